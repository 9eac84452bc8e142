/* dspqueue.h for code on the DSP.  The protection domain fills in pointers to the functions of its
   core (native/core/dspqueue.c), whose statuses are plain numbers. */

#define HAP_RUNTIME

#include "AEEStdErr.h"
#include "HAP_runtime.h"
#include "dspqueue.h"

enum { AT_ONCE = 0 };

HAP_RUNTIME_POINTER int (*qda_dspqueue_import)(
    uint64_t, dspqueue_callback_t, dspqueue_callback_t, void*, dspqueue_t*);
HAP_RUNTIME_POINTER int (*qda_dspqueue_close)(dspqueue_t);
HAP_RUNTIME_POINTER int (*qda_dspqueue_write)(
    dspqueue_t, uint32_t, uint32_t, struct dspqueue_buffer*, uint32_t, const uint8_t*, uint32_t);
HAP_RUNTIME_POINTER int (*qda_dspqueue_read)(
    dspqueue_t,
    uint32_t*,
    uint32_t,
    uint32_t*,
    struct dspqueue_buffer*,
    uint32_t,
    uint32_t*,
    uint8_t*,
    uint32_t);
HAP_RUNTIME_POINTER int (*qda_dspqueue_peek)(
    dspqueue_t, uint32_t*, uint32_t*, uint32_t*, uint32_t);
HAP_RUNTIME_POINTER int (*qda_dspqueue_get_stat)(dspqueue_t, uint32_t, uint64_t*);

/* A status as code on the DSP says it: four that programs compare on both sides have no offset. */
static AEEResult on_dsp(int status) {
    if (!status || status == AEE_ENOSUCH || status == AEE_EINTERRUPTED ||
        status == AEE_ECONNRESET || status == AEE_EWOULDBLOCK)
        return status;
    return (AEEResult)(DSP_AEE_EOFFSET + (uint32_t)status);
}

AEEResult dspqueue_import(
    uint64_t queue_id,
    dspqueue_callback_t packet_callback,
    dspqueue_callback_t error_callback,
    void* callback_context,
    dspqueue_t* queue) {
    if (!qda_dspqueue_import) return HAP_RUNTIME_ABSENT;
    return on_dsp(
        qda_dspqueue_import(queue_id, packet_callback, error_callback, callback_context, queue));
}

AEEResult dspqueue_close(dspqueue_t queue) {
    return qda_dspqueue_close ? on_dsp(qda_dspqueue_close(queue)) : HAP_RUNTIME_ABSENT;
}

AEEResult dspqueue_write(
    dspqueue_t queue,
    uint32_t flags,
    uint32_t num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t message_length,
    const uint8_t* message,
    uint32_t timeout_us) {
    if (!qda_dspqueue_write) return HAP_RUNTIME_ABSENT;
    return on_dsp(qda_dspqueue_write(
        queue, flags, num_buffers, buffers, message_length, message, timeout_us));
}

AEEResult dspqueue_write_noblock(
    dspqueue_t queue,
    uint32_t flags,
    uint32_t num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t message_length,
    const uint8_t* message) {
    return dspqueue_write(queue, flags, num_buffers, buffers, message_length, message, AT_ONCE);
}

AEEResult dspqueue_write_early_wakeup_noblock(
    dspqueue_t queue, uint32_t wakeup_delay, uint32_t packet_flags) {
    uint32_t flags = packet_flags | DSPQUEUE_PACKET_FLAG_WAKEUP;
    uint32_t length = wakeup_delay ? sizeof(wakeup_delay) : 0;
    return dspqueue_write(
        queue, flags, 0, NULL, length, length ? (const uint8_t*)&wakeup_delay : NULL, AT_ONCE);
}

AEEResult dspqueue_read(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t max_buffers,
    uint32_t* num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t max_message_length,
    uint32_t* message_length,
    uint8_t* message,
    uint32_t timeout_us) {
    if (!qda_dspqueue_read) return HAP_RUNTIME_ABSENT;
    return on_dsp(qda_dspqueue_read(
        queue, flags, max_buffers, num_buffers, buffers, max_message_length, message_length,
        message, timeout_us));
}

AEEResult dspqueue_read_noblock(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t max_buffers,
    uint32_t* num_buffers,
    struct dspqueue_buffer* buffers,
    uint32_t max_message_length,
    uint32_t* message_length,
    uint8_t* message) {
    return dspqueue_read(
        queue, flags, max_buffers, num_buffers, buffers, max_message_length, message_length,
        message, AT_ONCE);
}

AEEResult dspqueue_peek(
    dspqueue_t queue,
    uint32_t* flags,
    uint32_t* num_buffers,
    uint32_t* message_length,
    uint32_t timeout_us) {
    if (!qda_dspqueue_peek) return HAP_RUNTIME_ABSENT;
    return on_dsp(qda_dspqueue_peek(queue, flags, num_buffers, message_length, timeout_us));
}

AEEResult dspqueue_peek_noblock(
    dspqueue_t queue, uint32_t* flags, uint32_t* num_buffers, uint32_t* message_length) {
    return dspqueue_peek(queue, flags, num_buffers, message_length, AT_ONCE);
}

AEEResult dspqueue_get_stat(dspqueue_t queue, enum dspqueue_stat stat, uint64_t* value) {
    return qda_dspqueue_get_stat ? on_dsp(qda_dspqueue_get_stat(queue, (uint32_t)stat, value))
                                 : HAP_RUNTIME_ABSENT;
}
