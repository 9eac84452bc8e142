/* The states of a call: printed from its table, not to be edited. */
enum qda_call_state {
    QDA_CALL_RESERVED, /* a context number and a lane are reserved; the message is being made */
    QDA_CALL_SENT, /* the DSP works on it, and its caller waits */
    QDA_CALL_INTERRUPTED, /* the DSP works on it; its caller handles a signal and may come back */
    QDA_CALL_ABANDONED, /* the DSP works on it, and nobody waits */
    QDA_CALL_RETURNED, /* the DSP has done with it; its caller takes the results */
    QDA_CALL_OVER, /* nobody needs it: number, lane and buffers are given back */
};
enum qda_call_event {
    QDA_CALL_SEND, /* its message goes to the DSP */
    QDA_CALL_SIGNAL, /* its caller has to handle a signal first */
    QDA_CALL_RESUME, /* the same thread makes the same request again */
    QDA_CALL_LEAVE, /* its caller goes: with the results, after a failure, or broken off */
    QDA_CALL_ANSWER, /* the response of the DSP has come */
    QDA_CALL_DEATH, /* no response will come: the protection domain has died, or the session ends */
};
static const signed char qda_call_after[6][6] = {
    {1, -1, -1, 5, -1, -1}, /* RESERVED */
    {-1, 2, -1, 3, 4, 4}, /* SENT */
    {-1, -1, 1, 3, -1, 5}, /* INTERRUPTED */
    {-1, -1, -1, -1, 5, 5}, /* ABANDONED */
    {-1, -1, -1, 5, -1, -1}, /* RETURNED */
    {-1, -1, -1, -1, -1, -1}, /* OVER */
};
