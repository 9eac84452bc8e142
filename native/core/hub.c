/* The queues of a client: their life, and who is woken.  `packets.c` has what is done with them. */
#define _GNU_SOURCE
#include "hub.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t qda_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint32_t qda_sleep_on(_Atomic uint32_t *word, uint32_t seen, uint64_t until)
{
    struct timespec left, *limit = NULL;
    if (until != QDA_FOR_EVER) {
        uint64_t now = qda_now();
        if (now >= until)
            return QDA_QUEUE_EXPIRED;
        left.tv_sec = (time_t)((until - now) / 1000000);
        left.tv_nsec = (long)((until - now) % 1000000) * 1000;
        limit = &left;
    }
    if (!syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, limit, NULL, 0))
        return 0;
    return errno == EINTR ? QDA_QUEUE_SIGNAL : errno == ETIMEDOUT ? QDA_QUEUE_EXPIRED : 0;
}

void qda_wake_on(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

uint32_t qda_sleep(struct qda_gate *gate, uint32_t seen, uint64_t until)
{
    atomic_fetch_add(&gate->asleep, 1); /* before the kernel looks whether it has changed */
    uint32_t status = qda_sleep_on(&gate->changes, seen, until);
    atomic_fetch_sub(&gate->asleep, 1);
    return status;
}

void qda_wake(struct qda_gate *gate)
{
    atomic_fetch_add(&gate->changes, 1);
    if (atomic_load(&gate->asleep))
        qda_wake_on(&gate->changes);
}

/* All queues of this process, for those who have an id. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct qda_queue *list;
static uint64_t last_id = 0x1000;

struct qda_hub *qda_hub_make(struct qda_mappings *mappings, int32_t client_id)
{
    struct qda_hub *hub = calloc(1, sizeof *hub);
    if (!hub)
        return NULL;
    hub->is_dsp = mappings != NULL;
    hub->mappings = mappings;
    hub->client_id = client_id;
    hub->holders = 1;
    pthread_mutex_init(&hub->lock, NULL);
    return hub;
}

void qda_hub_share(struct qda_hub *hub, struct qda_counters *counters)
{
    hub->written = hub->is_dsp ? counters->responses : counters->requests;
    hub->taken = hub->is_dsp ? counters->request_room : counters->response_room;
    hub->arrived = hub->is_dsp ? counters->requests : counters->responses;
    hub->freed = hub->is_dsp ? counters->response_room : counters->request_room;
}

void qda_hub_release(struct qda_hub *hub)
{
    if (atomic_fetch_sub(&hub->holders, 1) != 1)
        return;
    if (hub->mappings)
        qda_mappings_release(hub->mappings);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

static void look_at(struct qda_queue *queue)
{
    uint32_t packets = atomic_load(&queue->hub->arrived[queue->slot]);
    uint32_t rooms = atomic_load(&queue->hub->freed[queue->slot]);
    if (packets != queue->seen_packets) {
        queue->seen_packets = packets;
        qda_wake(&queue->packets);
    }
    if (rooms != queue->seen_rooms) {
        queue->seen_rooms = rooms;
        qda_wake(&queue->rooms);
    }
}

void qda_hub_look(struct qda_hub *hub)
{
    pthread_mutex_lock(&hub->lock);
    for (uint32_t slot = 0; slot < QDA_QUEUES; slot++)
        if (hub->queues[slot])
            look_at(hub->queues[slot]);
    pthread_mutex_unlock(&hub->lock);
}

void qda_hub_tell(struct qda_hub *hub)
{
    qda_wake(&hub->told);
}

enum qda_heard qda_hub_listen(struct qda_hub *hub)
{
    for (;;) {
        uint32_t told = atomic_load(&hub->told.changes);
        if (atomic_load(&hub->cancelled))
            return atomic_load(&hub->ended) ? QDA_ENDED : QDA_CANCELLED;
        if (told != atomic_exchange(&hub->heard, told))
            return QDA_TOLD_SO;
        qda_sleep(&hub->told, told, QDA_FOR_EVER);
    }
}

void qda_hub_cancel(struct qda_hub *hub)
{
    atomic_store(&hub->cancelled, 1);
    qda_wake(&hub->told);
}

void qda_hub_end(struct qda_hub *hub)
{
    atomic_store(&hub->ended, 1);
    qda_hub_cancel(hub);
}

static struct qda_ring ring_at(unsigned char *base, const struct qda_places *places, int writes,
                               _Atomic uint32_t *counter)
{
    struct qda_ring_state *reader = (void *)(base + places->reader);
    struct qda_ring_state *writer = (void *)(base + places->writer);
    struct qda_ring ring = {
        .bytes = base + places->ring,
        .length = places->length,
        .mine = writes ? writer : reader,
        .other = writes ? reader : writer,
        .counter = counter,
    };
    atomic_store(counter, 0);
    return ring;
}

struct qda_queue *qda_queue_make(struct qda_hub *hub, uint32_t slot, unsigned char *base,
                                 const struct qda_places *in, const struct qda_places *out,
                                 uint32_t wait_counts)
{
    struct qda_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return NULL;
    queue->hub = hub;
    queue->slot = slot;
    queue->wait_counts = wait_counts;
    queue->serial_in_memory = (void *)(base + 44);
    queue->serial = atomic_load(queue->serial_in_memory);
    queue->in = ring_at(base, in, 0, &hub->taken[slot]);
    queue->out = ring_at(base, out, 1, &hub->written[slot]);
    queue->holders = 1;
    pthread_mutex_init(&queue->reading, NULL);
    pthread_mutex_init(&queue->writing, NULL);
    pthread_mutex_lock(&hub->lock);
    int taken = hub->queues[slot] != NULL;
    if (!taken)
        hub->queues[slot] = queue;
    pthread_mutex_unlock(&hub->lock);
    if (taken) {
        free(queue);
        return NULL;
    }
    atomic_fetch_add(&hub->holders, 1);
    pthread_mutex_lock(&list_lock);
    queue->id = ++last_id;
    queue->next = list;
    list = queue;
    pthread_mutex_unlock(&list_lock);
    return queue;
}

void qda_queue_begin(struct qda_queue *queue)
{
    pthread_mutex_lock(&queue->hub->lock);
    queue->seen_packets = queue->seen_rooms = 0;
    pthread_mutex_unlock(&queue->hub->lock);
}

/* Wake all who wait in a queue, and wait until nobody is in it. */
static void empty(struct qda_queue *queue)
{
    uint32_t users;
    atomic_fetch_add(&queue->emptied, 1);
    qda_wake(&queue->packets);
    qda_wake(&queue->rooms);
    while ((users = atomic_load(&queue->users)) != 0)
        qda_sleep_on(&queue->users, users, QDA_FOR_EVER);
    atomic_fetch_sub(&queue->emptied, 1);
}

void qda_queue_end(struct qda_queue *queue, uint32_t status)
{
    uint32_t lives = 0;
    if (atomic_compare_exchange_strong(&queue->ended, &lives, status)) {
        pthread_mutex_lock(&queue->hub->lock);
        queue->hub->queues[queue->slot] = NULL;
        pthread_mutex_unlock(&queue->hub->lock);
        pthread_mutex_lock(&list_lock);
        struct qda_queue **place = &list;
        while (*place != queue)
            place = &(*place)->next;
        *place = queue->next;
        pthread_mutex_unlock(&list_lock);
    }
    empty(queue);
}

uint32_t qda_queue_claim(struct qda_queue *queue, uint32_t *tenure)
{
    if (atomic_exchange(&queue->claimed, 1))
        return QDA_QUEUE_BUSY;
    *tenure = atomic_load(&queue->tenure);
    return 0;
}

void qda_queue_leave(struct qda_queue *queue)
{
    atomic_fetch_add(&queue->tenure, 1);
    empty(queue);
    atomic_store(&queue->claimed, 0);
}

struct qda_queue *qda_queue_find(uint64_t id)
{
    pthread_mutex_lock(&list_lock);
    struct qda_queue *queue = list;
    while (queue && queue->id != id)
        queue = queue->next;
    if (queue)
        atomic_fetch_add(&queue->holders, 1);
    pthread_mutex_unlock(&list_lock);
    return queue;
}

void qda_queue_release(struct qda_queue *queue)
{
    if (atomic_fetch_sub(&queue->holders, 1) != 1)
        return;
    qda_hub_release(queue->hub);
    pthread_mutex_destroy(&queue->reading);
    pthread_mutex_destroy(&queue->writing);
    free(queue);
}

