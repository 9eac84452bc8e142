/* Signals of QuRT: 32 or 64 bits that are set, cleared, and waited for.  A wait clears none, but for
   that of an all-signal, which clears what it has waited for. */

#ifndef QURT_SIGNAL_H
#define QURT_SIGNAL_H

#ifdef __cplusplus
extern "C" {
#endif

#define QURT_SIGNAL_ATTR_WAIT_ANY 0
#define QURT_SIGNAL_ATTR_WAIT_ALL 1

typedef union {
    unsigned long long raw;
    struct {
        unsigned int signals;
        unsigned int waiting; /* threads */
        unsigned int queue;
        unsigned int attribute;
    } X;
} qurt_signal_t;

typedef qurt_signal_t qurt_anysignal_t;

typedef union {
    __extension__ struct {
        unsigned int cur_mask;
        unsigned int sig_state;
        unsigned int queue;
        unsigned int wait_mask;
    };
    unsigned long long raw;
} qurt_signal2_t;

typedef union {
    unsigned long long raw;
    struct {
        unsigned int waiting;
        unsigned int signals_in;
        unsigned int queue;
        unsigned int reserved;
    } X;
} qurt_allsignal_t;

typedef struct {
    qurt_signal_t signal_sum;
    unsigned long long signals;
    unsigned long long waiting;
} qurt_signal_64_t;

/* Waits return what is set in all of the signal. */
void qurt_signal_init(qurt_signal_t* signal);
void qurt_signal_destroy(qurt_signal_t* signal);
unsigned int qurt_signal_wait(qurt_signal_t* signal, unsigned int mask, unsigned int attribute);
/* QURT_EOK, or QURT_ETIMEDOUT after that many microseconds. */
int qurt_signal_wait_timed(
    qurt_signal_t* signal, unsigned int mask, unsigned int attribute, unsigned int* signals,
    unsigned long long duration);
int qurt_signal_wait_cancellable(
    qurt_signal_t* signal, unsigned int mask, unsigned int attribute, unsigned int* signals);
void qurt_signal_set(qurt_signal_t* signal, unsigned int mask);
unsigned int qurt_signal_get(qurt_signal_t* signal);
void qurt_signal_clear(qurt_signal_t* signal, unsigned int mask);

static inline unsigned int qurt_signal_wait_any(qurt_signal_t* signal, unsigned int mask) {
    return qurt_signal_wait(signal, mask, QURT_SIGNAL_ATTR_WAIT_ANY);
}
static inline unsigned int qurt_signal_wait_all(qurt_signal_t* signal, unsigned int mask) {
    return qurt_signal_wait(signal, mask, QURT_SIGNAL_ATTR_WAIT_ALL);
}

/* These two return what was set before. */
unsigned int qurt_anysignal_set(qurt_anysignal_t* signal, unsigned int mask);
unsigned int qurt_anysignal_clear(qurt_anysignal_t* signal, unsigned int mask);

static inline void qurt_anysignal_init(qurt_anysignal_t* signal) { qurt_signal_init(signal); }
static inline void qurt_anysignal_destroy(qurt_anysignal_t* signal) { qurt_signal_destroy(signal); }
static inline unsigned int qurt_anysignal_get(qurt_anysignal_t* signal) {
    return qurt_signal_get(signal);
}
static inline unsigned int qurt_anysignal_wait(qurt_anysignal_t* signal, unsigned int mask) {
    return qurt_signal_wait(signal, mask, QURT_SIGNAL_ATTR_WAIT_ANY);
}
static inline int qurt_anysignal_wait_timed(
    qurt_anysignal_t* signal, unsigned int mask, unsigned int* signals,
    unsigned long long duration) {
    return qurt_signal_wait_timed(signal, mask, QURT_SIGNAL_ATTR_WAIT_ANY, signals, duration);
}

void qurt_signal2_init(qurt_signal2_t* signal);
void qurt_signal2_destroy(qurt_signal2_t* signal);
unsigned int qurt_signal2_wait(qurt_signal2_t* signal, unsigned int mask, unsigned int attribute);
void qurt_signal2_set(qurt_signal2_t* signal, unsigned int mask);
unsigned int qurt_signal2_get(qurt_signal2_t* signal);
void qurt_signal2_clear(qurt_signal2_t* signal, unsigned int mask);

void qurt_allsignal_init(qurt_allsignal_t* signal);
void qurt_allsignal_destroy(qurt_allsignal_t* signal);
void qurt_allsignal_wait(qurt_allsignal_t* signal, unsigned int mask);
void qurt_allsignal_set(qurt_allsignal_t* signal, unsigned int mask);
unsigned int qurt_allsignal_get(qurt_allsignal_t* signal);

void qurt_signal_64_init(qurt_signal_64_t* signal);
void qurt_signal_64_destroy(qurt_signal_64_t* signal);
unsigned long long qurt_signal_64_wait(
    qurt_signal_64_t* signal, unsigned long long mask, unsigned int attribute);
void qurt_signal_64_set(qurt_signal_64_t* signal, unsigned long long mask);
unsigned long long qurt_signal_64_get(qurt_signal_64_t* signal);
void qurt_signal_64_clear(qurt_signal_64_t* signal, unsigned long long mask);

#ifdef __cplusplus
}
#endif

#endif
