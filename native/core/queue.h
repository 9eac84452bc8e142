/* A queue of packets: two rings in memory that both sides map (spec/dspqueue.md), each written by one
 * side and read by the other.  `qda.fastrpc.queue` says the same in Python and is its judge.
 *
 * Nothing that the other side writes is trusted: its position and its packets are copied, then
 * checked, and each side keeps its own position, which the other could change in memory. */
#ifndef QDA_CORE_QUEUE_H
#define QDA_CORE_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QDA_PACKET_MESSAGE = 0x01,
    QDA_PACKET_BUFFERS = 0x02,
    QDA_PACKET_WAKEUP = 0x04, /* nothing but the word that another packet comes soon */
    QDA_PACKET_READY = 0x10,
    QDA_PACKET_FLAGS = 0x1f,

    QDA_BUFFER_REF = 0x04,
    QDA_BUFFER_DEREF = 0x08,

    QDA_PACKET_HEADER = 8,
    QDA_PACKET_MOST_BUFFERS = 64,
    QDA_PACKET_LONGEST = 65536, /* bytes of a message */

    QDA_WAKEUP_WAIT = 1000, /* microseconds, if the packet does not say */
    QDA_WAKEUP_LONGEST = 2500,
};

/* Plain numbers of AEEStdErr.h (qda.errors, which a test compares). */
enum qda_queue_status {
    QDA_QUEUE_EXPIRED = 0x0c,
    QDA_QUEUE_BAD_STATE = 0x0d,
    QDA_QUEUE_BAD_PARAMETER = 0x0e,
    QDA_QUEUE_BAD_ITEM = 0x10,
    QDA_QUEUE_BUSY = 0x20,
    QDA_QUEUE_RESET = 0x68,
    QDA_QUEUE_INTERRUPTED = 0x2e,
    QDA_QUEUE_NO_SUCH_MAP = 0x48,
    QDA_QUEUE_NO_THREAD = 0x14b,
    QDA_QUEUE_RPC = 0x200,
    QDA_QUEUE_WOULD_BLOCK = 0x204,
};

/* What a side of a ring says: its place in bytes, how many packets it has written or read, and how
 * many of its threads wait for the other side. */
struct qda_ring_state {
    _Atomic uint32_t position;
    _Atomic uint32_t packets;
    _Atomic uint32_t waits;
};

/* A reference to a buffer, as it lies in a packet. */
struct qda_packet_buffer {
    uint32_t fd;
    uint32_t size; /* 0: all that is mapped */
    uint32_t offset;
    uint32_t flags;
    uint64_t address; /* of the sender, for whom it means something */
};

/* What the header of a packet says of it. */
struct qda_packet {
    uint32_t flags;
    uint32_t buffers;
    uint32_t message; /* bytes */
    uint32_t length; /* with the header, as it takes place in the ring without padding */
};

/* A ring as one of its sides has it: `mine` is that side's state.  A length need be no multiple of 8;
 * there is room for the header that may be written where no packet has room. */
struct qda_ring {
    unsigned char *bytes;
    uint32_t length;
    struct qda_ring_state *mine, *other;
    _Atomic uint32_t *counter; /* of this side's packets, in the block that all queues share */
    uint32_t position, packets, counted;
};

/* Put a packet into a ring that this side writes, and publish it.  Returns 0, WOULD_BLOCK if there is
 * no room now, BAD_PARAMETER if there never is, BAD_ITEM if the reader's position is none.  The flags
 * of message, buffers and READY are set here; `sequence` is the packet's number. */
uint32_t qda_ring_write(struct qda_ring *ring, uint32_t flags, uint32_t sequence, uint32_t count,
                        const struct qda_packet_buffer *buffers, uint32_t length,
                        const void *message);

/* What the next packet of a ring that this side reads is.  Returns 0, WOULD_BLOCK if there is none,
 * BAD_ITEM if what lies there is no packet. */
uint32_t qda_ring_peek(const struct qda_ring *ring, struct qda_packet *packet);

/* Copy the parts of the packet that `qda_ring_peek` has found, and give its room back.  NULL for
 * what is not wanted. */
void qda_ring_take(struct qda_ring *ring, const struct qda_packet *packet,
                   struct qda_packet_buffer *buffers, void *message);

/* Whether the other side waits for what this side has just published.  The barrier keeps the look
 * behind that: whoever has said that he waits looks once more, and one of the two sees the other. */
int qda_ring_is_awaited(const struct qda_ring *ring);

/* Bytes that lie in a ring, of which this side is the writer or the reader; more than `length` if the
 * other side's position is none. */
uint32_t qda_ring_used(const struct qda_ring *ring, int writes);

_Static_assert(sizeof(struct qda_ring_state) == 12, "layout");
_Static_assert(sizeof(struct qda_packet_buffer) == 24, "layout");

#endif
