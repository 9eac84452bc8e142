/* Lanes that the server has lent to this program, on which it calls without the server.
 *
 *     lease.c   which sessions it has lanes of, and their lanes
 *     kept.c    the descriptors that this takes
 *     direct.c  a call
 *
 * What is known here is forgotten by a fork: it lies in memory that a child finds zeroed, or does
 * not find.  So a child knows itself, and borrows lanes of its own.
 *
 * Everything may be used by several threads and by signal handlers that interrupt them: there is no
 * lock, and whatever cannot be had at once goes through the server. */
#ifndef QDA_PRELOAD_LEASE_H
#define QDA_PRELOAD_LEASE_H

#include "preload.h" /* first: it says which functions of libc there are */

#include "../core/host.h"

/* What checks the program's memory wants to know what the device has written. */
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define CHECKED RUNNING_ON_VALGRIND
#define NOTE_WRITTEN(address, length) VALGRIND_MAKE_MEM_DEFINED(address, length)
#else
#define CHECKED 0
#define NOTE_WRITTEN(address, length) ((void)(address), (void)(length))
#endif

/* kept.c */

/* A descriptor of ours.  The program may close any number, and have something else there. */
struct qda_kept {
    _Atomic int number; /* 0: there is none; -1: somebody is busy with this */
    dev_t device;
    ino_t inode;
};

/* Keep a descriptor out of the program's way, which is this function's to close; NULL if it cannot
 * be kept. */
struct qda_kept *qda_keep(int descriptor);

/* Whether the number still is what it was. */
int qda_is_there(const struct qda_kept *kept);

/* Close it, if it is there. */
void qda_drop(struct qda_kept *kept);

/* In a forked child: close what was the parent's. */
void qda_drop_all(void);

/* lease.c */

/* Which request of which thread a call is, to find it again after a signal (R24). */
struct qda_key {
    int32_t tid; /* 0: nobody will come back to it */
    uint32_t handle, scalars;
    uint64_t arguments;
};

/* A lane's word, which the server shares: what has the lane, and above that a count of its calls.
 * So who compares and exchanges it sees that meanwhile the lane was another call's. */
enum {
    QDA_LANE_CALL = 8,
    QDA_LANE_STATES = QDA_LANE_BUSY | QDA_LANE_LEFT | QDA_LANE_RECALLED,
};

struct qda_lent_lane {
    _Atomic uint32_t taken; /* by a thread that takes up what the server has sent: first of all */
    _Atomic uint32_t there; /* last of all that is set */
    uint32_t number;
    _Atomic uint32_t *word;
    struct qda_call *call;
    struct qda_waiter waiter;
    struct qda_kept *sleep, *wake;
    struct qda_key key; /* of a call that was left */
};

enum qda_lease_state { QDA_LEASE_NONE, QDA_LEASE_ASKED, QDA_LEASE_THERE, QDA_LEASE_OVER, QDA_LEASE_SWEPT };

/* A session of which the program has lanes. */
struct qda_leased {
    struct qda_session session; /* first: what is given to the core */
    _Atomic uint32_t state, users, left; /* users: threads that look at it; left: calls */
    _Atomic uint32_t wishing; /* a request wishes for one more lane */
    int32_t asker; /* the thread whose request wishes for the lease */
    char token[sizeof(((struct qda_question *)0)->token)];
    struct qda_lease *page;
    struct qda_lent_lane lanes[QDA_LENT_LANES];
};

/* The process that all this is about, 0 if nothing can be. */
int32_t qda_lease_process(void);

/* Where its descriptor of /proc/self/maps is kept; NULL if nothing can be. */
_Atomic(struct qda_kept *) *qda_lease_maps(void);

/* The lease of a node, for as long as `leave` is not called; NULL if there is none. */
struct qda_leased *qda_lease_enter(const char *token);
void qda_lease_leave(struct qda_leased *lease);

/* A free lane; NULL if there is none, or nobody answers any more. */
struct qda_lent_lane *qda_lane_take(struct qda_leased *lease);

/* The lane of a call that was left, and its lease, entered; NULL if there is none. */
struct qda_lent_lane *qda_lane_resume(const char *token, const struct qda_key *key,
                                      struct qda_leased **lease);

/* The thread goes on to another call: nobody comes back to the one in which it was interrupted. */
void qda_lane_forsake(struct qda_leased *lease, int32_t tid);

/* These return whether the server wants the lane back. */
int qda_lane_leave(struct qda_leased *lease, struct qda_lent_lane *lane, const struct qda_key *key);
int qda_lane_give_back(struct qda_lent_lane *lane);

/* The descriptors of a lease are gone: no call begins on it any more. */
void qda_lease_give_up(struct qda_leased *lease);

/* What to wish for from the server, of LEASE or LANE, in a request on a node: 0 if another thread
 * does already.  What came of it has been taken up when `over` is called. */
uint32_t qda_wish(const char *token, uint32_t wish);
void qda_wish_over(const char *token, uint32_t wish);

/* Take up what the server has sent to this thread: two descriptors, or negative numbers without
 * them. */
void qda_lease_receive(const char *token, const struct qda_answer *sent, const int *descriptors);

/* direct.c */

/* Carry out an ioctl that is described to the server, without it if that can be; returns the result
 * or a negative errno. */
long qda_call(struct qda_question *question);

#endif
