/* The queues that a client has with a DSP, on one side of them: who waits, and who wakes.
 *
 * A thread that finds nothing to read, or no room, says so in its ring's state, looks again, and
 * sleeps on a word of this process.  The other side, when it sees that somebody waits, tells so with
 * one call for all queues; `qda_hub_look` finds by the counters that all queues share which have
 * changed, and wakes who sleeps there.  In the other direction `qda_hub_tell` ends the host's call
 * `wait_signal`. */
#ifndef QDA_CORE_HUB_H
#define QDA_CORE_HUB_H

#include <pthread.h>

#include "mappings.h"
#include "queue.h"

enum { QDA_QUEUES = 64 };

#define QDA_QUEUE_SIGNAL 0xffffffffu /* a signal handler has run: ask again */
#define QDA_FOR_EVER UINT64_MAX

/* Counters by slot, which all queues of a client share. */
struct qda_counters {
    _Atomic uint32_t requests[QDA_QUEUES]; /* packets that the host has written */
    _Atomic uint32_t request_room[QDA_QUEUES]; /* those that the DSP has read */
    _Atomic uint32_t responses[QDA_QUEUES];
    _Atomic uint32_t response_room[QDA_QUEUES];
};

/* Where threads of this process sleep until something changes; where nobody does, nobody need be
 * woken, which is a call of the kernel less. */
struct qda_gate {
    _Atomic uint32_t changes, asleep;
};

struct qda_hub {
    int is_dsp;
    _Atomic uint32_t *written, *taken; /* counters of this side, by slot */
    _Atomic uint32_t *arrived, *freed; /* those of the other side */
    pthread_mutex_t lock; /* of `queues` */
    struct qda_queue *queues[QDA_QUEUES];
    struct qda_gate told; /* changes when the other side is to be told */
    _Atomic uint32_t heard; /* what of it `wait_signal` has said */
    _Atomic uint32_t cancelled, ended, holders;
    struct qda_mappings *mappings; /* on the DSP: what packets may refer to, and as whom */
    int32_t client_id;
};

/* Where the rings of a queue lie in its memory, from its header. */
struct qda_places {
    uint32_t ring, length, reader, writer;
};

struct qda_queue {
    struct qda_hub *hub;
    uint64_t id; /* by which the DSP's code finds it */
    uint32_t slot, serial, wait_counts;
    _Atomic uint32_t *serial_in_memory; /* another number there means that the memory is not ours */
    struct qda_ring in, out;
    pthread_mutex_t reading, writing;
    struct qda_gate packets, rooms; /* they change when it is time to look */
    uint32_t seen_packets, seen_rooms;
    _Atomic uint32_t ended; /* the status of all that is asked from then on */
    _Atomic uint32_t users, holders;
    _Atomic uint32_t emptied; /* how many wait until there are no users */
    _Atomic uint32_t claimed; /* code on the DSP has it */
    _Atomic uint32_t tenure; /* how often it was left: who has left it finds another number */
    uint32_t sequence, misses;
    _Atomic uint32_t looked; /* how often in a row a look before sleeping has found nothing */
    uint64_t waited;
    struct qda_queue *next;
};

/* A packet that is to be written, or that is read. */
struct qda_exchange {
    struct qda_packet packet; /* to write: `flags`, `buffers`, `message` */
    struct qda_packet_buffer *buffers; /* NULL: they are not wanted */
    void *message;
    uint32_t most_buffers, longest; /* for how much there is room */
    uint32_t tenure; /* of who asks, from `qda_queue_claim`; 0 on the host */
    int tell; /* the other side waits for this: on the host, it is to be told */
};

/* `mappings` are those of the DSP's side, for the hub to keep; NULL: this is the host's. */
struct qda_hub *qda_hub_make(struct qda_mappings *mappings, int32_t client_id);

/* Have the counters, without which there are no queues. */
void qda_hub_share(struct qda_hub *hub, struct qda_counters *counters);
void qda_hub_release(struct qda_hub *hub);

/* The other side has said that something has changed: wake who waits for it. */
void qda_hub_look(struct qda_hub *hub);

/* Have the other side told, who waits in `qda_hub_listen`. */
void qda_hub_tell(struct qda_hub *hub);

/* Wait until there is something to tell; or until that is cancelled, or the other side's session has
 * ended, for good. */
enum qda_heard { QDA_TOLD_SO, QDA_CANCELLED, QDA_ENDED };
enum qda_heard qda_hub_listen(struct qda_hub *hub);
void qda_hub_cancel(struct qda_hub *hub);
void qda_hub_end(struct qda_hub *hub);

/* A queue in memory at `base`, of which all parts have been found to lie there.  NULL: no memory, or
 * the slot is taken. */
struct qda_queue *qda_queue_make(struct qda_hub *hub, uint32_t slot, unsigned char *base,
                                 const struct qda_places *in, const struct qda_places *out,
                                 uint32_t wait_counts);

/* The other side has set its counters to zero: what was seen of them before, when another queue had
 * the slot, could be a number to come, and nobody would be woken. */
void qda_queue_begin(struct qda_queue *queue);

/* No more use of its memory, from when this returns: whatever is asked has that status. */
void qda_queue_end(struct qda_queue *queue, uint32_t status);

/* Have a queue for oneself: 0 and the number to ask with, or BUSY.  Whoever leaves it ends what waits
 * in it, and whatever is asked with that number from then on. */
uint32_t qda_queue_claim(struct qda_queue *queue, uint32_t *tenure);
void qda_queue_leave(struct qda_queue *queue);

/* Find a queue of this process by its id, and hold it; NULL if there is none. */
struct qda_queue *qda_queue_find(uint64_t id);
void qda_queue_release(struct qda_queue *queue);

/* Write, read, or only look at a packet; wait for it until that time of `qda_now`, 0 to wait not at
 * all.  Statuses are those of `qda_queue_status`; EXPIRED and WOULD_BLOCK if there was nothing. */
uint32_t qda_queue_write(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until);
uint32_t qda_queue_read(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until);
uint32_t qda_queue_peek(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until);

/* Wait until the other side has written another number of packets than `*seen`, which becomes it. */
uint32_t qda_queue_await(struct qda_queue *queue, uint32_t tenure, uint32_t *seen,
                         uint64_t until);

/* So many more wait for room, or for a packet, and do so elsewhere. */
void qda_queue_expect(struct qda_queue *queue, int writes, int change);

enum qda_queue_figure {
    QDA_FIGURE_READ_PACKETS = 1,
    QDA_FIGURE_READ_BYTES,
    QDA_FIGURE_WRITE_PACKETS,
    QDA_FIGURE_WRITE_BYTES,
    QDA_FIGURE_WAKEUP_TIME, /* microseconds; these two begin again when they are asked for */
    QDA_FIGURE_WAKEUP_MISSES,
    QDA_FIGURE_SIGNALLING, /* 100: who does not wait is not told */
};

uint32_t qda_queue_figure(struct qda_queue *queue, uint32_t figure, uint64_t *value);

/* Microseconds, from a time that means nothing. */
uint64_t qda_now(void);

/* Sleep while a word of this process is that number: 0, EXPIRED, or QDA_QUEUE_SIGNAL.  Wake all who
 * do, when it has been changed. */
uint32_t qda_sleep_on(_Atomic uint32_t *word, uint32_t seen, uint64_t until);
void qda_wake_on(_Atomic uint32_t *word);

/* The same at a gate, which is changed to wake who sleeps there. */
uint32_t qda_sleep(struct qda_gate *gate, uint32_t seen, uint64_t until);
void qda_wake(struct qda_gate *gate);

#endif
