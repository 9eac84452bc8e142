/* How a Linux process reaches its client, wakes and sleeps: the port of the core. */
#ifndef QDA_CORE_HOST_H
#define QDA_CORE_HOST_H

#include "driver.h"

/* A process as client. */
struct qda_client {
    struct qda_port port;
    int32_t pid;
    int maps; /* descriptor of /proc/PID/maps, which answers PROCMAP_QUERY */
    const unsigned char *at_hand; /* memory of this process that is known to be there during a call */
    uint64_t at_hand_size;
};

/* The mapping that contains an address, by a descriptor of /proc/PID/maps; see `qda_port`. */
long qda_locate(int maps, uint64_t address, struct qda_area *found);

void qda_client_init(struct qda_client *client, int32_t pid, uint64_t limit, int maps);

/* Whether to do something for a moment has been worth it on this lane: how often in a row it found
 * nothing; when it is tried again; how many of those trials may be long; whether what was found last
 * was found late. */
struct qda_habit {
    uint32_t misses, calls, next, interval, trials, late;
};

enum qda_woken {
    QDA_RUNG = 0,
    QDA_DEAD = 1, /* the mark is set, or nobody is left who could ring */
    QDA_ALSO = 2, /* the other descriptor has something to say */
    QDA_LATE = 3, /* the time is over */
    QDA_SIGNAL = 4, /* a signal handler has run, or who looks after the wait thinks of one */
};

/* Who looks after those who wait long: it sleeps at the other end of `bell` while nobody does. */
struct qda_guard {
    _Atomic uint32_t told; /* that somebody has begun to wait since it has looked last */
    int bell; /* -1: there is none */
};

/* What one side of a lane waits with. */
struct qda_waiter {
    struct qda_side *mine, *other;
    const _Atomic uint32_t *dead; /* the process's own mark */
    struct qda_habit looks; /* for the other side's bell, before sleeping */
    struct qda_habit turns; /* handing the CPU over, before sleeping */
    struct qda_habit moments; /* waiting with the interpreter's lock */
    int sleep; /* read end of the pipe that the other side writes to */
    int wake; /* write end of the pipe that the other side sleeps on */
    uint32_t patience; /* microseconds to look at most; 0: never */
    uint32_t poll; /* to look for longer, as the client has asked; 0: it has not */
    struct qda_guard *guard; /* NULL: nobody looks after it */
    _Atomic uint32_t sleeps; /* how often it has begun or ended to: odd while it sleeps */
    _Atomic uint32_t roused; /* it is to look whether a signal has come just before the sleep */
};

/* What the clock shows; from a time that means nothing. */
uint64_t qda_microseconds(void);
uint64_t qda_nanoseconds(void);

/* Choose how long to wait awake for the answer of a call of `handle` that begins: `poll` microseconds
 * in poll mode, which is for modules that were opened, as a call of another may be parked for ever.
 * What was learned otherwise is forgotten. */
void qda_choose_look(struct qda_waiter *waiter, uint32_t handle, uint32_t poll);

/* Tell the other side the number of a request, or of an answer. */
void qda_ring(struct qda_waiter *waiter, uint32_t number);

/* Wait until the other side tells that number, with the context word `*context` if that is not
 * NULL; whatever else it writes changes nothing (H15).  `also`: a descriptor that ends the wait when it can
 * be read, -1 for none; `timeout`: milliseconds, -1 for ever. */
enum qda_woken qda_await(struct qda_waiter *waiter, uint32_t number, const uint64_t *context,
                         int also, int timeout);

/* Wait for a short answer, of some 50 us: for 5 ms at most, and not at all, QDA_LATE, on a lane whose
 * answers have taken longer lately, that does not look, or that is in poll mode. */
enum qda_woken qda_await_a_moment(struct qda_waiter *waiter, uint32_t number,
                                  const uint64_t *context);

#endif
