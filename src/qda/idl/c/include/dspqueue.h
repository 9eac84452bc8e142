/* Queues of packets between a host and its DSP.

   On the host these are functions of the client library.  On the DSP they are in the library
   `qda_runtime`, which is there when a skeleton is loaded: link nothing.  There code imports a queue
   by the id under which the host has exported it, and neither creates nor exports any.

   Functions return 0 or an error of AEEStdErr.h, on the DSP with its offset. */

#ifndef DSPQUEUE_H
#define DSPQUEUE_H

#include <stdint.h>
#include <stdlib.h>

#include "AEEStdDef.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A time limit that is none; all are in microseconds. */
#define DSPQUEUE_TIMEOUT_NONE 0xffffffff

enum dspqueue_packet_flags {
    DSPQUEUE_PACKET_FLAG_MESSAGE = 0x0001,
    DSPQUEUE_PACKET_FLAG_BUFFERS = 0x0002,
    DSPQUEUE_PACKET_FLAG_WAKEUP = 0x0004, /* another packet comes soon */
    DSPQUEUE_PACKET_FLAG_DRIVER_READY = 0x0008,
    DSPQUEUE_PACKET_FLAG_USER_READY = 0x0010, /* every packet has it */
    DSPQUEUE_PACKET_FLAG_RESERVED_ZERO = 0xffe0
};

enum dspqueue_buffer_flags {
    DSPQUEUE_BUFFER_FLAG_REF = 0x00000004,   /* one reference more to the buffer */
    DSPQUEUE_BUFFER_FLAG_DEREF = 0x00000008, /* one less */
    DSPQUEUE_BUFFER_FLAG_FLUSH_SENDER = 0x00000010,
    DSPQUEUE_BUFFER_FLAG_INVALIDATE_SENDER = 0x00000020,
    DSPQUEUE_BUFFER_FLAG_FLUSH_RECIPIENT = 0x00000040,
    DSPQUEUE_BUFFER_FLAG_INVALIDATE_RECIPIENT = 0x00000080,
    DSPQUEUE_BUFFER_FLAG_RESERVED_ZERO = (int)0xffffff00
};

enum dspqueue_stat {
    DSPQUEUE_STAT_READ_QUEUE_PACKETS = 1,
    DSPQUEUE_STAT_READ_QUEUE_BYTES,
    DSPQUEUE_STAT_WRITE_QUEUE_PACKETS,
    DSPQUEUE_STAT_WRITE_QUEUE_BYTES,
    DSPQUEUE_STAT_EARLY_WAKEUP_WAIT_TIME, /* microseconds; these two begin again when they are read */
    DSPQUEUE_STAT_EARLY_WAKEUP_MISSES,
    DSPQUEUE_STAT_SIGNALING_PERF
};

#define DSPQUEUE_SIGNALING_PERF_REDUCED_SIGNALING 100
#define DSPQUEUE_SIGNALING_PERF_OPTIMIZED_SIGNALING 1000

typedef struct dspqueue* dspqueue_t;

/* A buffer that a packet refers to.  Of a packet that was read `ptr` is where the reader has it. */
struct dspqueue_buffer {
    uint32_t fd;
    uint32_t size;   /* bytes, 0 for all */
    uint32_t offset; /* from where in the buffer */
    uint32_t flags;
    union {
        void* ptr;
        uint64_t address;
    };
};

typedef void (*dspqueue_callback_t)(dspqueue_t queue, AEEResult error, void* context);

/* The host makes queues, and exports them to its DSP. */
AEEResult dspqueue_create(
    int domain,
    uint32_t flags,
    uint32_t req_queue_size,
    uint32_t resp_queue_size,
    dspqueue_callback_t packet_callback,
    dspqueue_callback_t error_callback,
    void* callback_context,
    dspqueue_t* queue);
AEEResult dspqueue_export(dspqueue_t queue, uint64_t* queue_id);

/* The host may also have one queue for several DSPs: what it writes goes to each.  `ids` has room for
   `num_ids`, as many as the context has domains. */
typedef enum { DSPQUEUE_CREATE } dspqueue_request_req_id;

typedef struct dspqueue_create_req {
    uint64_t ctx;   /* of FASTRPC_CONTEXT_CREATE */
    uint64_t flags; /* 0 */
    uint32_t req_queue_size;
    uint32_t resp_queue_size; /* of each domain */
    uint32_t priority;        /* 0 */
    dspqueue_callback_t packet_callback;
    dspqueue_callback_t error_callback;
    void* callback_context;
    dspqueue_t queue; /* answered */
    uint64_t* ids;    /* answered */
    uint32_t num_ids;
} dspqueue_create_req;

typedef struct dspqueue_request_payload {
    dspqueue_request_req_id id;
    union {
        dspqueue_create_req create;
    };
} dspqueue_request_payload;

int dspqueue_request(dspqueue_request_payload* req);

/* Code on the DSP opens one.  The callback runs in a thread of its own, each time that there are more
   packets; it reads what there is.  EITEMBUSY: somebody has the queue. */
AEEResult dspqueue_import(
    uint64_t queue_id,
    dspqueue_callback_t packet_callback,
    dspqueue_callback_t error_callback,
    void* callback_context,
    dspqueue_t* queue);
AEEResult dspqueue_close(dspqueue_t queue);

/* EWOULDBLOCK: there is no room now; EEXPIRED: there was none in that time. */
AEEResult dspqueue_write_noblock(
    dspqueue_t queue,
    uint32_t flags,
    uint32_t num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t message_length,
    const uint8_t* message);
AEEResult dspqueue_write(
    dspqueue_t queue,
    uint32_t flags,
    uint32_t num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t message_length,
    const uint8_t* message,
    uint32_t timeout_us);

/* Say that a packet comes in so many microseconds, 0 if that is not known. */
AEEResult dspqueue_write_early_wakeup_noblock(
    dspqueue_t queue, uint32_t wakeup_delay, uint32_t packet_flags);

/* EWOULDBLOCK: there is no packet; EEXPIRED: none came in that time; EINTERRUPTED: the queue was
   closed. */
AEEResult dspqueue_read_noblock(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t max_buffers,
    uint32_t* num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t max_message_length,
    uint32_t* message_length,
    uint8_t* message);
AEEResult dspqueue_read(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t max_buffers,
    uint32_t* num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t max_message_length,
    uint32_t* message_length,
    uint8_t* message,
    uint32_t timeout_us);

/* What the next packet is, which stays. */
AEEResult dspqueue_peek_noblock(
    dspqueue_t queue, uint32_t* flags, uint32_t* num_buffers, uint32_t* message_length);
AEEResult dspqueue_peek(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t* num_buffers,
    uint32_t* message_length,
    uint32_t timeout_us);

AEEResult dspqueue_get_stat(dspqueue_t queue, enum dspqueue_stat stat, uint64_t* value);

#ifdef __cplusplus
}
#endif

#endif
