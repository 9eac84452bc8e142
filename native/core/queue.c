/* Rings of packets.  A packet is never split: one that does not fit before the end of the ring lies
 * at its start, with its header there and, for the reader to find it, also where it would have been. */
#include "queue.h"

#include "wire.h"

static uint32_t padded(uint32_t length)
{
    return (uint32_t)qda_align(length, QDA_PACKET_HEADER);
}

uint32_t qda_ring_used(const struct qda_ring *ring, int writes)
{
    uint32_t other = atomic_load_explicit(&ring->other->position, memory_order_acquire);
    if (other % QDA_PACKET_HEADER || other >= ring->length)
        return UINT32_MAX;
    uint32_t from = writes ? other : ring->position, to = writes ? ring->position : other;
    return to >= from ? to - from : to + ring->length - from;
}

static uint32_t after(const struct qda_ring *ring, uint32_t position)
{
    return position >= ring->length ? 0 : position;
}

static uint32_t put(const struct qda_ring *ring, uint32_t position, const void *bytes, uint32_t count)
{
    if (count)
        memcpy(ring->bytes + position, bytes, count);
    return after(ring, position + padded(count));
}

/* Tell that this side has come to its position. */
static void publish(struct qda_ring *ring)
{
    ring->packets++;
    atomic_store_explicit(&ring->mine->position, ring->position, memory_order_release);
    atomic_store_explicit(&ring->mine->packets, ring->packets, memory_order_release);
    if (ring->counter)
        atomic_store_explicit(ring->counter, ++ring->counted, memory_order_release);
}

uint32_t qda_ring_write(struct qda_ring *ring, uint32_t flags, uint32_t sequence, uint32_t count,
                        const struct qda_packet_buffer *buffers, uint32_t length,
                        const void *message)
{
    if (count > QDA_PACKET_MOST_BUFFERS || length > QDA_PACKET_LONGEST || flags > QDA_PACKET_FLAGS)
        return QDA_QUEUE_BAD_PARAMETER;
    uint32_t listed = count * (uint32_t)sizeof *buffers;
    uint32_t whole = QDA_PACKET_HEADER + listed + length;
    if (padded(whole) > ring->length - QDA_PACKET_HEADER)
        return QDA_QUEUE_BAD_PARAMETER;

    uint32_t used = qda_ring_used(ring, 1);
    if (used > ring->length)
        return QDA_QUEUE_BAD_ITEM;
    uint32_t free = ring->length - used - QDA_PACKET_HEADER; /* full is not to look like empty */
    uint32_t rest = ring->length - ring->position;
    int moves = rest < padded(whole);
    if (used + QDA_PACKET_HEADER > ring->length || free < padded(whole)
        || (moves && (free < rest || free - rest < padded(whole))))
        return QDA_QUEUE_WOULD_BLOCK;

    flags &= ~(uint32_t)(QDA_PACKET_MESSAGE | QDA_PACKET_BUFFERS);
    flags |= QDA_PACKET_READY | (length ? QDA_PACKET_MESSAGE : 0) | (count ? QDA_PACKET_BUFFERS : 0);
    uint64_t header = whole | (uint64_t)flags << 32 | (uint64_t)count << 48
        | (uint64_t)(sequence & 0xff) << 56;
    uint32_t position = put(ring, ring->position, &header, sizeof header);
    if (moves)
        position = put(ring, 0, &header, sizeof header);
    position = put(ring, position, buffers, listed);
    ring->position = put(ring, position, message, length);
    publish(ring);
    return 0;
}

uint32_t qda_ring_peek(const struct qda_ring *ring, struct qda_packet *packet)
{
    uint64_t header;
    uint32_t used = qda_ring_used(ring, 0);
    if (used > ring->length)
        return QDA_QUEUE_BAD_ITEM;
    if (used < QDA_PACKET_HEADER)
        return QDA_QUEUE_WOULD_BLOCK;
    memcpy(&header, ring->bytes + ring->position, sizeof header);
    packet->length = (uint32_t)header;
    packet->flags = (uint32_t)(header >> 32) & 0xffff;
    packet->buffers = packet->flags & QDA_PACKET_BUFFERS ? (uint32_t)(header >> 48) & 0xff : 0;
    uint32_t first = QDA_PACKET_HEADER + packet->buffers * (uint32_t)sizeof(struct qda_packet_buffer);
    if (!(packet->flags & QDA_PACKET_READY) || packet->buffers > QDA_PACKET_MOST_BUFFERS
        || packet->length < first || packet->length - first > QDA_PACKET_LONGEST)
        return QDA_QUEUE_BAD_ITEM;
    packet->message = packet->flags & QDA_PACKET_MESSAGE ? packet->length - first : 0;

    uint32_t rest = ring->length - ring->position;
    uint32_t skipped = rest < padded(packet->length) ? rest : 0;
    if (used < skipped || used - skipped < padded(packet->length))
        return QDA_QUEUE_BAD_ITEM;
    return 0;
}

void qda_ring_take(struct qda_ring *ring, const struct qda_packet *packet,
                   struct qda_packet_buffer *buffers, void *message)
{
    uint32_t rest = ring->length - ring->position;
    uint32_t start = rest < padded(packet->length) ? 0 : ring->position;
    const unsigned char *from = ring->bytes + start + QDA_PACKET_HEADER;
    uint32_t listed = packet->buffers * (uint32_t)sizeof *buffers;

    if (buffers && listed)
        memcpy(buffers, from, listed);
    if (message && packet->message)
        memcpy(message, from + listed, packet->message);
    ring->position = after(ring, start + padded(packet->length));
    publish(ring);
}

int qda_ring_is_awaited(const struct qda_ring *ring)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&ring->other->waits, memory_order_relaxed) != 0;
}
