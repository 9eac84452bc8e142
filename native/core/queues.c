/* Queues for Python: `Queue`, one of them.
 *
 * The interpreter is let go of in every operation: another thread may be in one for as long as an
 * early wake-up announces. */
#include "queues.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct queue_object {
    PyObject_HEAD
    struct qda_queue *queue;
    uint32_t tenure;
    PyObject *made; /* NULL: this is who has made it */
    PyObject *hub, *owner;
    pid_t process;
};

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    unsigned int slot, wait_counts;
    unsigned long long base;
    struct qda_places in, out;
    PyObject *hub, *owner;
    (void)names;
    if (!PyArg_ParseTuple(arguments, "OIK(IIII)(IIII)IO:Queue", &hub, &slot, &base, &in.ring,
                          &in.length, &in.reader, &in.writer, &out.ring, &out.length, &out.reader,
                          &out.writer, &wait_counts, &owner))
        return NULL;
    struct queue_object *self = qda_allocate(type);
    if (!self)
        return NULL;
    self->process = getpid();
    self->hub = Py_NewRef(hub);
    self->owner = Py_NewRef(owner);
    struct qda_hub *own = qda_hub_of(hub);
    if (own && slot < QDA_QUEUES)
        self->queue = qda_queue_make(own, slot, (void *)(uintptr_t)base, &in, &out, wait_counts);
    if (!self->queue) {
        Py_DECREF(self);
        PyErr_Format(PyExc_ValueError, "slot %u is taken, or none", slot);
        return NULL;
    }
    return (PyObject *)self;
}

static void queue_free(PyObject *object)
{
    struct queue_object *self = (struct queue_object *)object;
    /* In a forked child nobody leaves a queue that threads of the parent were in. */
    if (self->queue && !self->made && self->process == getpid()) {
        qda_queue_end(self->queue, QDA_QUEUE_INTERRUPTED);
        qda_queue_release(self->queue);
    }
    Py_XDECREF(self->made);
    Py_XDECREF(self->hub);
    Py_XDECREF(self->owner);
    qda_release(object);
}

static struct qda_queue *queue_of(PyObject *object)
{
    return ((struct queue_object *)object)->queue;
}

static uint64_t time_of(long long timeout)
{
    return timeout < 0 ? QDA_FOR_EVER : timeout ? qda_now() + (uint64_t)timeout : 0;
}

typedef uint32_t (*operation)(struct qda_queue *, struct qda_exchange *, uint64_t);

/* Until when to wait before it is looked whether a signal has come just before the sleep, which has
 * not ended it then. */
static uint64_t first_of(uint64_t until)
{
    enum { SECOND = 1000000 };
    uint64_t look = until ? qda_now() + SECOND : 0;
    return until < look ? until : look;
}

/* Whether to wait on: it is not too late.  -1 with what a signal handler has raised. */
static int goes_on(uint32_t status, uint64_t until)
{
    if (status != QDA_QUEUE_SIGNAL && (status != QDA_QUEUE_EXPIRED || !until))
        return 0;
    if (PyErr_CheckSignals())
        return -1;
    return status == QDA_QUEUE_SIGNAL || qda_now() < until;
}

/* Do it, also when signal handlers run meanwhile; -1 with what one of them has raised. */
static int exchange(PyObject *object, operation operation, struct qda_exchange *exchange,
                    long long timeout, uint32_t *status)
{
    uint64_t until = time_of(timeout);
    int goes = 1;
    exchange->tenure = ((struct queue_object *)object)->tenure;
    while (goes > 0) {
        Py_BEGIN_ALLOW_THREADS
        *status = operation(queue_of(object), exchange, first_of(until));
        Py_END_ALLOW_THREADS
        goes = goes_on(*status, until);
    }
    return goes;
}

static PyObject *queue_write(PyObject *object, PyObject *arguments)
{
    unsigned int flags;
    const char *buffers, *message;
    Py_ssize_t listed, length;
    long long timeout;
    if (!PyArg_ParseTuple(arguments, "Iy#y#L:write", &flags, &buffers, &listed, &message, &length,
                          &timeout))
        return NULL;
    struct qda_packet_buffer copies[QDA_PACKET_MOST_BUFFERS];
    struct qda_exchange written = { .packet = { .flags = flags }, .buffers = copies };
    uint32_t status = QDA_QUEUE_BAD_PARAMETER;
    if (listed > (Py_ssize_t)sizeof copies || length > QDA_PACKET_LONGEST)
        return Py_BuildValue("IO", status, Py_False);
    memcpy(copies, buffers, (size_t)listed);
    written.packet.buffers = (uint32_t)((size_t)listed / sizeof *copies);
    written.packet.message = (uint32_t)length;
    written.message = (void *)(uintptr_t)message;
    if (exchange(object, qda_queue_write, &written, timeout, &status))
        return NULL;
    return Py_BuildValue("IO", status, written.tell ? Py_True : Py_False);
}

static PyObject *queue_read(PyObject *object, PyObject *arguments)
{
    long long timeout;
    if (!PyArg_ParseTuple(arguments, "L:read", &timeout))
        return NULL;
    struct qda_packet_buffer buffers[QDA_PACKET_MOST_BUFFERS];
    unsigned char message[QDA_PACKET_LONGEST];
    struct qda_exchange read = {
        .buffers = buffers,
        .message = message,
        .most_buffers = QDA_PACKET_MOST_BUFFERS,
        .longest = QDA_PACKET_LONGEST,
    };
    uint32_t status;
    if (exchange(object, qda_queue_read, &read, timeout, &status))
        return NULL;
    PyObject *tell = read.tell ? Py_True : Py_False;
    if (status)
        return Py_BuildValue("IOIyy", status, tell, 0, "", "");
    return Py_BuildValue("IOIy#y#", status, tell, read.packet.flags, (char *)buffers,
                         (Py_ssize_t)(read.packet.buffers * sizeof *buffers), (char *)message,
                         (Py_ssize_t)read.packet.message);
}

static PyObject *queue_peek(PyObject *object, PyObject *arguments)
{
    long long timeout;
    uint32_t status;
    struct qda_exchange seen = { 0 };
    if (!PyArg_ParseTuple(arguments, "L:peek", &timeout))
        return NULL;
    if (exchange(object, qda_queue_peek, &seen, timeout, &status))
        return NULL;
    if (status)
        memset(&seen.packet, 0, sizeof seen.packet);
    return Py_BuildValue("IIII", status, seen.packet.flags, seen.packet.buffers,
                         seen.packet.message);
}

static PyObject *queue_await(PyObject *object, PyObject *arguments)
{
    unsigned int packets;
    uint32_t status, seen;
    long long timeout;
    if (!PyArg_ParseTuple(arguments, "IL:await_packets", &packets, &timeout))
        return NULL;
    uint64_t until = time_of(timeout);
    int goes = 1;
    while (goes > 0) {
        seen = packets;
        Py_BEGIN_ALLOW_THREADS
        status = qda_queue_await(queue_of(object), ((struct queue_object *)object)->tenure, &seen,
                                 first_of(until));
        Py_END_ALLOW_THREADS
        goes = goes_on(status, until);
    }
    if (goes)
        return NULL;
    return Py_BuildValue("II", status, seen);
}

static PyObject *queue_begin(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    qda_queue_begin(queue_of(object));
    Py_RETURN_NONE;
}

static PyObject *queue_expect(PyObject *object, PyObject *arguments)
{
    int writes, change;
    if (!PyArg_ParseTuple(arguments, "pi:expect", &writes, &change))
        return NULL;
    qda_queue_expect(queue_of(object), writes, change);
    Py_RETURN_NONE;
}

static PyObject *queue_figure(PyObject *object, PyObject *figure)
{
    unsigned long number = PyLong_AsUnsignedLong(figure);
    uint64_t value = 0;
    uint32_t status;
    if (PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    status = qda_queue_figure(queue_of(object), (uint32_t)number, &value);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("IK", status, (unsigned long long)value);
}

static PyObject *queue_end(PyObject *object, PyObject *status)
{
    unsigned long number = PyLong_AsUnsignedLong(status);
    if (PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    qda_queue_end(queue_of(object), (uint32_t)number);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *queue_id(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyLong_FromUnsignedLongLong(queue_of(object)->id);
}

static PyObject *queue_claim(PyObject *object, PyObject *nothing)
{
    uint32_t tenure;
    (void)nothing;
    if (qda_queue_claim(queue_of(object), &tenure))
        Py_RETURN_NONE;
    struct queue_object *claimed = qda_allocate(Py_TYPE(object));
    if (!claimed) {
        qda_queue_leave(queue_of(object));
        return NULL;
    }
    claimed->queue = queue_of(object);
    claimed->tenure = tenure;
    claimed->made = Py_NewRef(object);
    return (PyObject *)claimed;
}

static PyObject *queue_give_back(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    Py_BEGIN_ALLOW_THREADS
    qda_queue_leave(queue_of(object));
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *queue_is_claimed(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyBool_FromLong((long)atomic_load(&queue_of(object)->claimed));
}

static PyMethodDef queue_methods[] = {
    { "write", queue_write, METH_VARARGS,
      "write(flags, buffers, message, timeout): a plain status, and whether the other side is to be\n"
      "told.  `timeout` is in microseconds, 0 to wait not at all, below 0 for ever." },
    { "read", queue_read, METH_VARARGS,
      "read(timeout): status, whether the other side is to be told, flags, buffers, message." },
    { "peek", queue_peek, METH_VARARGS,
      "peek(timeout): status, flags, number of buffers, bytes of the message." },
    { "await_packets", queue_await, METH_VARARGS,
      "await_packets(seen, timeout): wait until the other side has written another number of packets\n"
      "than `seen`; status, and that number." },
    { "begin", queue_begin, METH_NOARGS,
      "The other side has set its counters to zero: what was seen of them before means nothing." },
    { "expect", queue_expect, METH_VARARGS,
      "expect(writes, change): so many more threads wait for room, or for a packet, which do so\n"
      "elsewhere." },
    { "figure", queue_figure, METH_O, "figure(number): status, and what dspqueue_get_stat tells." },
    { "end", queue_end, METH_O,
      "end(status): from when this returns its memory is not touched; whatever is asked, or waits,\n"
      "has that status." },
    { "id", queue_id, METH_NOARGS, "The number by which code on the DSP imports it." },
    { "claim", queue_claim, METH_NOARGS,
      "The queue for oneself, until `give_back`; None if somebody has it." },
    { "give_back", queue_give_back, METH_NOARGS,
      "Somebody else may have it; what waits in it is interrupted." },
    { "is_claimed", queue_is_claimed, METH_NOARGS, "Whether somebody has it." },
    { 0 },
};

static PyType_Slot queue_slots[] = {
    { Py_tp_doc, "Queue(hub, slot, base, ins, outs, wait_counts, owner): a queue in memory at `base`,\n"
                 "which `owner` keeps.  `ins` and `outs` are what this side reads and writes: ring,\n"
                 "length, reader's and writer's state, as found to lie there.  ValueError for a slot\n"
                 "that is taken." },
    { Py_tp_new, queue_new },
    { Py_tp_dealloc, queue_free },
    { Py_tp_methods, queue_methods },
    { 0, NULL },
};

PyType_Spec qda_queue_spec = {
    "qda.core._core.Queue", sizeof(struct queue_object), 0, Py_TPFLAGS_DEFAULT, queue_slots,
};
