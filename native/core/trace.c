#include "trace.h"

#include <string.h>

/* The ring: how many records have been written so far, and room for some. */
static struct {
    Py_buffer memory;
    struct qda_traced *records; /* NULL: nobody wants to know */
    uint64_t room;
} ring;

uint32_t qda_times_wanted;

uint64_t qda_trace_now(void)
{
    return ring.records ? qda_nanoseconds() : 0;
}

/* The number of a method from 31 on is the first word of the first in-buffer. */
static uint32_t method_of(uint32_t scalars, const struct qda_session *session,
                          const struct qda_call *call)
{
    enum { EXTENDED = 31 };
    uint32_t number = scalars >> 24 & 31;
    struct qda_message message;
    uint64_t offset = (uint64_t)QDA_SLOT * call->lane;

    if (number != EXTENDED || !qda_shape_of(scalars).inputs || call->positions[0] < 0)
        return number;
    memcpy(&message, qda_lane_of(session->pool, call->lane)->driver.record, sizeof message);
    unsigned char *bytes = message.address == session->device + offset ? session->pool + offset
                                                                       : call->longer.bytes;
    memcpy(&number, bytes + call->positions[0], sizeof number);
    return number;
}

void qda_trace_note(struct qda_traced *traced, const struct qda_session *session,
                    const struct qda_call *call)
{
    struct qda_shape shape = qda_shape_of(traced->scalars);
    struct qda_times method;
    uint64_t count;

    if (!ring.records)
        return;
    traced->ended = qda_nanoseconds();
    traced->number = method_of(traced->scalars, session, call);
    traced->client_id = session->client_id;
    traced->domain = session->domain;
    for (uint32_t index = 0; index < shape.buffers; index++) {
        const struct qda_element *element = &call->elements[index];
        if (element->fd > 0) {
            traced->shared += element->length;
        } else {
            traced->copied += element->length;
            if (element->length > traced->longest)
                traced->longest = element->length;
        }
    }
    memcpy(&method, qda_lane_of(session->pool, call->lane)->dsp.record + QDA_TOLD, sizeof method);
    if (traced->sent <= method.begun && method.begun <= method.ended
        && method.ended <= traced->answered)
        traced->method = method;
    memcpy(&count, ring.memory.buf, sizeof count);
    ring.records[count % ring.room] = *traced;
    count++;
    memcpy(ring.memory.buf, &count, sizeof count);
}

PyObject *qda_trace(PyObject *module, PyObject *memory)
{
    (void)module;
    if (ring.records)
        PyBuffer_Release(&ring.memory);
    ring.records = NULL;
    if (memory != Py_None) {
        if (PyObject_GetBuffer(memory, &ring.memory, PyBUF_WRITABLE))
            return NULL;
        ring.room = ((size_t)ring.memory.len - sizeof(uint64_t)) / sizeof(struct qda_traced);
        if ((size_t)ring.memory.len < sizeof(uint64_t) + sizeof(struct qda_traced)) {
            PyBuffer_Release(&ring.memory);
            return PyErr_Format(PyExc_ValueError, "a ring needs room for a record");
        }
        ring.records = (void *)((char *)ring.memory.buf + sizeof(uint64_t));
    }
    qda_times_wanted = ring.records != NULL;
    Py_RETURN_NONE;
}
