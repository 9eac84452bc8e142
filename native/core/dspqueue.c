/* Queues for C on the DSP: what dspqueue.h declares for who imports.  Statuses are plain numbers, to
 * which the library `qda_runtime` adds the offset of the DSP. */
#include "queues.h"

#include <stdlib.h>

struct dspqueue;
typedef void (*callback)(struct dspqueue *queue, int error, void *context);

struct dspqueue {
    struct qda_queue *queue;
    callback on_packet, on_error;
    void *context;
    pthread_t thread;
    int has_thread;
    uint32_t tenure;
    _Atomic uint32_t holders; /* who has it, its thread, and those who are in a function */
    _Atomic uint32_t closed;
};

enum { NO_MEMORY = 0x02 };

static void release(struct dspqueue *handle)
{
    if (atomic_fetch_sub(&handle->holders, 1) != 1)
        return;
    qda_queue_release(handle->queue);
    free(handle);
}

static int enter(struct dspqueue *handle)
{
    if (!handle)
        return QDA_QUEUE_BAD_PARAMETER;
    if (atomic_load(&handle->closed))
        return QDA_QUEUE_INTERRUPTED;
    atomic_fetch_add(&handle->holders, 1);
    return 0;
}

static void *call_back(void *argument)
{
    struct dspqueue *handle = argument;
    uint32_t seen = 0, status;
    do {
        status = qda_queue_await(handle->queue, handle->tenure, &seen, QDA_FOR_EVER);
        if (atomic_load(&handle->closed))
            break;
        if (!status && handle->on_packet)
            handle->on_packet(handle, 0, handle->context);
        else if (status && status != QDA_QUEUE_SIGNAL && handle->on_error)
            handle->on_error(handle, (int)status, handle->context);
    } while (!status || status == QDA_QUEUE_SIGNAL);
    release(handle);
    return NULL;
}

static int queue_close(struct dspqueue *handle)
{
    if (!handle || atomic_exchange(&handle->closed, 1))
        return QDA_QUEUE_BAD_PARAMETER;
    qda_queue_leave(handle->queue);
    if (handle->has_thread) {
        if (pthread_equal(handle->thread, pthread_self()))
            pthread_detach(handle->thread);
        else
            pthread_join(handle->thread, NULL);
    }
    release(handle);
    return 0;
}

static int queue_import(uint64_t id, callback on_packet, callback on_error, void *context,
                        struct dspqueue **imported)
{
    if (!imported)
        return QDA_QUEUE_BAD_PARAMETER;
    *imported = NULL;
    struct qda_queue *queue = qda_queue_find(id);
    if (!queue)
        return QDA_QUEUE_BAD_STATE;
    struct dspqueue *handle = calloc(1, sizeof *handle);
    int status = handle ? (int)qda_queue_claim(queue, &handle->tenure) : NO_MEMORY;
    if (status) {
        free(handle);
        qda_queue_release(queue);
        return status;
    }
    handle->queue = queue;
    handle->on_packet = on_packet;
    handle->on_error = on_error;
    handle->context = context;
    handle->holders = 1;
    if (on_packet || on_error) {
        /* Its thread may use it before this returns. */
        *imported = handle;
        atomic_fetch_add(&handle->holders, 1);
        handle->has_thread = 1;
        if (pthread_create(&handle->thread, NULL, call_back, handle)) {
            *imported = NULL;
            handle->has_thread = 0;
            release(handle);
            queue_close(handle);
            return QDA_QUEUE_NO_THREAD;
        }
    }
    *imported = handle;
    return 0;
}

/* What the packets of a queue refer to. */

static uint32_t resolve(const struct qda_hub *hub, struct qda_packet_buffer *buffer, int received)
{
    struct qda_mapping found;
    uint32_t wrong = received ? QDA_QUEUE_BAD_ITEM : QDA_QUEUE_BAD_PARAMETER;
    uint32_t both = QDA_BUFFER_REF | QDA_BUFFER_DEREF, named = buffer->flags & both;
    if (named == both)
        return QDA_QUEUE_BAD_PARAMETER;
    int change = named == QDA_BUFFER_REF ? 1 : named == QDA_BUFFER_DEREF ? -1 : 0;
    uint32_t status = qda_mappings_refer(hub->mappings, hub->client_id, (int32_t)buffer->fd, change,
                                         &found);
    if (status)
        return status;
    if (buffer->size ? buffer->size > found.size || buffer->offset > found.size - buffer->size
                     : buffer->offset != 0)
        status = wrong;
    if (status)
        qda_mappings_refer(hub->mappings, hub->client_id, (int32_t)buffer->fd, -change, &found);
    else if (received) {
        buffer->address = found.address + buffer->offset;
        if (!buffer->size)
            buffer->size = (uint32_t)found.size;
    }
    return status;
}

/* Undo what was changed for the first `count` buffers. */
static void unrefer(const struct qda_hub *hub, const struct qda_packet_buffer *buffers,
                    uint32_t count)
{
    struct qda_mapping found;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t flags = buffers[i].flags;
        int change = flags & QDA_BUFFER_REF ? -1 : flags & QDA_BUFFER_DEREF ? 1 : 0;
        qda_mappings_refer(hub->mappings, hub->client_id, (int32_t)buffers[i].fd, change, &found);
    }
}

static uint32_t resolve_all(const struct qda_hub *hub, struct qda_packet_buffer *buffers,
                            uint32_t count, int received)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t status = resolve(hub, &buffers[i], received);
        if (status) {
            unrefer(hub, buffers, i);
            return status;
        }
    }
    return 0;
}

static uint64_t time_of(uint32_t timeout)
{
    return timeout == UINT32_MAX ? QDA_FOR_EVER : timeout ? qda_now() + timeout : 0;
}

static uint32_t insist(struct dspqueue *handle,
                       uint32_t (*operation)(struct qda_queue *, struct qda_exchange *, uint64_t),
                       struct qda_exchange *exchange, uint32_t timeout)
{
    uint64_t until = time_of(timeout);
    uint32_t status;
    exchange->tenure = handle->tenure;
    do
        status = operation(handle->queue, exchange, until);
    while (status == QDA_QUEUE_SIGNAL);
    return status;
}

static int queue_write(struct dspqueue *handle, uint32_t flags, uint32_t count,
                       struct qda_packet_buffer *buffers, uint32_t length, const uint8_t *message,
                       uint32_t timeout)
{
    int entered = enter(handle);
    if (entered)
        return entered;
    const struct qda_hub *hub = handle->queue->hub;
    struct qda_exchange exchange = {
        .packet = { .flags = flags & ~(uint32_t)QDA_PACKET_READY, count, length, 0 },
        .buffers = buffers,
        .message = (void *)(uintptr_t)message,
    };
    uint32_t status = 0;
    if (count > QDA_PACKET_MOST_BUFFERS || (count && !buffers) || (length && !message))
        status = QDA_QUEUE_BAD_PARAMETER;
    if (!status)
        status = resolve_all(hub, buffers, count, 0);
    if (!status) {
        status = insist(handle, qda_queue_write, &exchange, timeout);
        if (status)
            unrefer(hub, buffers, count);
    }
    release(handle);
    return (int)status;
}

static int queue_read(struct dspqueue *handle, uint32_t *flags, uint32_t most, uint32_t *count,
                      struct qda_packet_buffer *buffers, uint32_t longest, uint32_t *length,
                      uint8_t *message, uint32_t timeout)
{
    int entered = enter(handle);
    if (entered)
        return entered;
    struct qda_exchange exchange = {
        .buffers = buffers, .message = message, .most_buffers = most, .longest = longest,
    };
    uint32_t status = insist(handle, qda_queue_read, &exchange, timeout);
    if (!status) {
        if (flags)
            *flags = exchange.packet.flags;
        if (count)
            *count = exchange.packet.buffers;
        if (length)
            *length = exchange.packet.message;
        if (buffers)
            status = resolve_all(handle->queue->hub, buffers, exchange.packet.buffers, 1);
    }
    release(handle);
    return (int)status;
}

static int queue_peek(struct dspqueue *handle, uint32_t *flags, uint32_t *count, uint32_t *length,
                      uint32_t timeout)
{
    int entered = enter(handle);
    if (entered)
        return entered;
    struct qda_exchange exchange = { 0 };
    uint32_t status = insist(handle, qda_queue_peek, &exchange, timeout);
    if (!status) {
        if (flags)
            *flags = exchange.packet.flags;
        if (count)
            *count = exchange.packet.buffers;
        if (length)
            *length = exchange.packet.message;
    }
    release(handle);
    return (int)status;
}

static int queue_figure(struct dspqueue *handle, uint32_t figure, uint64_t *value)
{
    int entered = enter(handle);
    if (entered)
        return entered;
    uint32_t status = value ? qda_queue_figure(handle->queue, figure, value)
                            : QDA_QUEUE_BAD_PARAMETER;
    release(handle);
    return (int)status;
}

PyObject *qda_dspqueue_functions(void)
{
    static const struct {
        const char *name;
        void (*function)(void);
    } all[] = {
        { "dspqueue_import", (void (*)(void))queue_import },
        { "dspqueue_close", (void (*)(void))queue_close },
        { "dspqueue_write", (void (*)(void))queue_write },
        { "dspqueue_read", (void (*)(void))queue_read },
        { "dspqueue_peek", (void (*)(void))queue_peek },
        { "dspqueue_get_stat", (void (*)(void))queue_figure },
    };
    PyObject *functions = PyDict_New();
    for (size_t i = 0; functions && i < sizeof all / sizeof *all; i++) {
        PyObject *address = PyLong_FromVoidPtr((void *)(uintptr_t)all[i].function);
        if (!address || PyDict_SetItemString(functions, all[i].name, address))
            Py_CLEAR(functions);
        Py_XDECREF(address);
    }
    return functions;
}
