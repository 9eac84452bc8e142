/* Packets written and read, and the waits for them. */
#define _GNU_SOURCE
#include "hub.h"

#include <sched.h>

/* How long the first sleep of a wait is, in microseconds.  A writer on x86 that looks for who waits
 * before its packet has left the processor's store buffer sees nobody, and says nothing; the public
 * library has no barrier there.  A millisecond later the packet is seen. */
enum { FIRST_SLEEP = 1000 };

/* Before a thread says that it waits it looks for a moment, of so many microseconds, and hands the
 * CPU over meanwhile: whoever is about to write, or to read, then need not wake it, which takes
 * longer.  On one CPU the moment is one that others have, and has to be as long as they need to be
 * woken, to do their work and to write: a program of the public library took 37 us there and back
 * with 20, and 26 with 100.  Where that has found nothing so often in a row it is tried each so many
 * times. */
enum { LOOK = 100, IN_VAIN = 8, AGAIN = 16 };

/* Who is between these two may touch the queue's memory. */
static uint32_t enter(struct qda_queue *queue)
{
    atomic_fetch_add(&queue->users, 1);
    return atomic_load(&queue->ended);
}

static void leave(struct qda_queue *queue)
{
    if (atomic_fetch_sub(&queue->users, 1) == 1 && atomic_load(&queue->emptied))
        qda_wake_on(&queue->users);
}

static uint32_t still_ours(const struct qda_queue *queue)
{
    return atomic_load(queue->serial_in_memory) == queue->serial ? 0 : QDA_QUEUE_RPC;
}

static int is_to_be_told(const struct qda_queue *queue, const struct qda_ring *ring)
{
    return qda_ring_is_awaited(ring) || !queue->wait_counts;
}

static uint32_t try_write(struct qda_queue *queue, struct qda_exchange *exchange)
{
    const struct qda_packet *packet = &exchange->packet;
    pthread_mutex_lock(&queue->writing);
    uint32_t status = still_ours(queue);
    if (!status)
        status = qda_ring_write(&queue->out, packet->flags, queue->sequence, packet->buffers,
                                exchange->buffers, packet->message, exchange->message);
    if (!status) {
        queue->sequence++;
        exchange->tell = is_to_be_told(queue, &queue->out);
    }
    pthread_mutex_unlock(&queue->writing);
    return status;
}

/* Take the word that a packet comes soon, and look out for that. */
static uint32_t expect(struct qda_queue *queue, struct qda_exchange *exchange)
{
    const struct qda_packet *packet = &exchange->packet;
    uint32_t announced = 0;
    if (packet->buffers)
        return QDA_QUEUE_RPC;
    if (packet->message && packet->message != sizeof announced)
        return QDA_QUEUE_BAD_ITEM;
    qda_ring_take(&queue->in, packet, NULL, &announced);
    if (is_to_be_told(queue, &queue->in)) {
        exchange->tell = 1;
        if (queue->hub->is_dsp) /* who waits for room may be the one who is to write */
            qda_hub_tell(queue->hub);
    }
    if (!announced)
        announced = QDA_WAKEUP_WAIT;
    if (announced > QDA_WAKEUP_LONGEST)
        announced = QDA_WAKEUP_LONGEST;
    uint64_t start = qda_now(), now = start;
    while (qda_ring_used(&queue->in, 0) == 0 && now - start < announced
           && !atomic_load(&queue->emptied)) {
        sched_yield(); /* to the one who is to write, if there is one CPU */
        now = qda_now();
    }
    queue->waited += now - start;
    if (qda_ring_used(&queue->in, 0))
        return 0;
    queue->misses++;
    return QDA_QUEUE_WOULD_BLOCK;
}

static uint32_t fits(const struct qda_exchange *exchange)
{
    const struct qda_packet *packet = &exchange->packet;
    if ((exchange->buffers && packet->buffers > exchange->most_buffers)
        || (exchange->message && packet->message > exchange->longest))
        return QDA_QUEUE_BAD_PARAMETER;
    return 0;
}

static uint32_t try_read(struct qda_queue *queue, struct qda_exchange *exchange)
{
    pthread_mutex_lock(&queue->reading);
    uint32_t status = still_ours(queue);
    if (!status)
        status = qda_ring_peek(&queue->in, &exchange->packet);
    while (!status && exchange->packet.flags & QDA_PACKET_WAKEUP) {
        status = expect(queue, exchange);
        if (!status)
            status = qda_ring_peek(&queue->in, &exchange->packet);
    }
    if (!status)
        status = fits(exchange);
    if (!status) {
        qda_ring_take(&queue->in, &exchange->packet, exchange->buffers, exchange->message);
        exchange->tell |= is_to_be_told(queue, &queue->in);
    }
    pthread_mutex_unlock(&queue->reading);
    return status;
}

static uint32_t try_peek(struct qda_queue *queue, struct qda_exchange *exchange)
{
    pthread_mutex_lock(&queue->reading);
    uint32_t status = still_ours(queue);
    if (!status)
        status = qda_ring_peek(&queue->in, &exchange->packet);
    pthread_mutex_unlock(&queue->reading);
    return status;
}

/* Whether the number of packets that were written is still that of the exchange. */
static uint32_t try_await(struct qda_queue *queue, struct qda_exchange *exchange)
{
    uint32_t packets = atomic_load(&queue->in.other->packets);
    if (packets == exchange->packet.length)
        return QDA_QUEUE_WOULD_BLOCK;
    exchange->packet.length = packets;
    return 0;
}

static int is_worth_a_look(struct qda_queue *queue)
{
    uint32_t looked = atomic_fetch_add(&queue->looked, 1);
    return looked < IN_VAIN || looked % AGAIN == 0;
}

static uint32_t look(struct qda_queue *queue, const struct qda_ring *ring,
                     uint32_t (*attempt)(struct qda_queue *, struct qda_exchange *),
                     struct qda_exchange *exchange, uint64_t until)
{
    uint32_t seen = atomic_load(&ring->other->position);
    uint64_t end = qda_now() + LOOK;
    if (end > until)
        end = until;
    do {
        sched_yield();
        if (atomic_load(&ring->other->position) != seen) {
            atomic_store(&queue->looked, 0);
            return attempt(queue, exchange);
        }
    } while (qda_now() < end);
    return QDA_QUEUE_WOULD_BLOCK;
}

/* Try, say that one waits, try again; then sleep and try, until it is done or too late. */
static uint32_t insist(struct qda_queue *queue, struct qda_gate *gate, struct qda_ring *ring,
                       uint32_t (*attempt)(struct qda_queue *, struct qda_exchange *),
                       struct qda_exchange *exchange, uint64_t until)
{
    int waits = 0;
    uint64_t first = 0;
    exchange->tell = 0;
    uint32_t status = enter(queue);
    while (!status) {
        uint32_t seen = atomic_load(&gate->changes);
        status = atomic_load(&queue->ended);
        if (!status && atomic_load(&queue->tenure) != exchange->tenure)
            status = QDA_QUEUE_INTERRUPTED;
        if (!status)
            status = attempt(queue, exchange);
        if (status == QDA_QUEUE_WOULD_BLOCK && until && !waits && is_worth_a_look(queue))
            status = look(queue, ring, attempt, exchange, until);
        if (status != QDA_QUEUE_WOULD_BLOCK || !until)
            break;
        status = 0;
        if (!waits) {
            waits = 1;
            atomic_fetch_add(&ring->mine->waits, 1);
            first = qda_now() + FIRST_SLEEP;
            continue;
        }
        status = qda_sleep(gate, seen, first && first < until ? first : until);
        if (status == QDA_QUEUE_EXPIRED && first && first < until)
            status = 0, first = 0;
    }
    if (waits)
        atomic_fetch_sub(&ring->mine->waits, 1);
    if (exchange->tell && queue->hub->is_dsp)
        qda_hub_tell(queue->hub);
    leave(queue);
    return status;
}

uint32_t qda_queue_write(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until)
{
    return insist(queue, &queue->rooms, &queue->out, try_write, exchange, until);
}

uint32_t qda_queue_read(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until)
{
    return insist(queue, &queue->packets, &queue->in, try_read, exchange, until);
}

uint32_t qda_queue_peek(struct qda_queue *queue, struct qda_exchange *exchange, uint64_t until)
{
    return insist(queue, &queue->packets, &queue->in, try_peek, exchange, until);
}

uint32_t qda_queue_await(struct qda_queue *queue, uint32_t tenure, uint32_t *seen,
                         uint64_t until)
{
    struct qda_exchange exchange = { .packet = { .length = *seen }, .tenure = tenure };
    uint32_t status = insist(queue, &queue->packets, &queue->in, try_await, &exchange, until);
    *seen = exchange.packet.length;
    return status;
}

void qda_queue_expect(struct qda_queue *queue, int writes, int change)
{
    if (!enter(queue))
        atomic_fetch_add(&(writes ? &queue->out : &queue->in)->mine->waits, (uint32_t)change);
    leave(queue);
}

uint32_t qda_queue_figure(struct qda_queue *queue, uint32_t figure, uint64_t *value)
{
    uint32_t status = enter(queue);
    if (status) {
        leave(queue);
        return status;
    }
    pthread_mutex_lock(&queue->reading);
    switch (figure) {
    case QDA_FIGURE_READ_PACKETS:
        *value = (uint32_t)(atomic_load(&queue->in.other->packets) - queue->in.packets);
        break;
    case QDA_FIGURE_READ_BYTES:
        *value = qda_ring_used(&queue->in, 0);
        break;
    case QDA_FIGURE_WRITE_PACKETS:
        *value = (uint32_t)(queue->out.packets - atomic_load(&queue->out.other->packets));
        break;
    case QDA_FIGURE_WRITE_BYTES:
        *value = qda_ring_used(&queue->out, 1);
        break;
    case QDA_FIGURE_WAKEUP_TIME:
        *value = queue->waited;
        queue->waited = 0;
        break;
    case QDA_FIGURE_WAKEUP_MISSES:
        *value = queue->misses;
        queue->misses = 0;
        break;
    case QDA_FIGURE_SIGNALLING:
        *value = queue->wait_counts ? 100 : 0;
        break;
    default:
        status = QDA_QUEUE_BAD_PARAMETER;
    }
    pthread_mutex_unlock(&queue->reading);
    leave(queue);
    return status;
}
