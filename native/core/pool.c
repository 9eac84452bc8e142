/* The driver's side for Python: `Pool`, the lanes of a session. */
#include "pool.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static PyObject *pool_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "address", "device", "client_id", "tag", "domain", NULL };
    unsigned long long address, device;
    int client_id;
    unsigned int tag, domain = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "KKiI|I:Pool", words, &address, &device,
                                     &client_id, &tag, &domain))
        return NULL;
    struct qda_pool *self = qda_allocate(type);
    if (self) {
        self->session.pool = (unsigned char *)(uintptr_t)address;
        self->session.device = device;
        self->session.client_id = client_id;
        self->session.tag = tag;
        self->session.domain = domain;
        self->guard.bell = -1;
        self->guard.told = 1;
    }
    return (PyObject *)self;
}

static void pool_free(PyObject *object)
{
    struct qda_pool *self = (struct qda_pool *)object;
    for (uint32_t number = 0; number <= QDA_LANES; number++) {
        if (self->lanes[number])
            qda_unpin(&self->lanes[number]->call);
        free(self->lanes[number]);
    }
    qda_names_clear(&self->session);
    free(self->session.objects);
    Py_XDECREF(self->idle);
    qda_release(object);
}

static struct qda_entry *lane_of(struct qda_pool *self, int number)
{
    if (number < 1 || number > QDA_LANES || !self->lanes[number]) {
        PyErr_Format(PyExc_ValueError, "lane %d: there is none of this number", number);
        return NULL;
    }
    return self->lanes[number];
}

static PyObject *pool_open(PyObject *object, PyObject *arguments)
{
    struct qda_pool *self = (struct qda_pool *)object;
    int number, sleep, wake, patience;
    if (!PyArg_ParseTuple(arguments, "iiii:open", &number, &sleep, &wake, &patience))
        return NULL;
    if (number < 1 || number > QDA_LANES || self->lanes[number])
        return PyErr_Format(PyExc_ValueError, "lane %d: 1 to %d, each once", number, QDA_LANES);
    struct qda_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return PyErr_NoMemory();
    struct qda_lane *lane = qda_lane_of(self->session.pool, (uint32_t)number);
    entry->call.lane = (uint32_t)number;
    entry->waiter = (struct qda_waiter){
        .mine = &lane->driver,
        .other = &lane->dsp,
        .dead = &self->dead,
        .sleep = sleep,
        .wake = wake,
        .patience = (uint32_t)patience,
        .guard = &self->guard,
    };
    entry->state = QDA_CALL_OVER;
    self->lanes[number] = entry;
    qda_pool_free_lane(self, entry);
    Py_RETURN_NONE;
}

static PyObject *pool_claim(PyObject *object, PyObject *number)
{
    struct qda_pool *self = (struct qda_pool *)object;
    struct qda_entry *entry = lane_of(self, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    if (self->abandoned)
        qda_pool_reap(self);
    int is_free = !entry->claimed && entry->state == QDA_CALL_OVER && !self->closed;
    if (is_free) {
        qda_pool_use_lane(self, entry);
        entry->claimed = 1;
    }
    return PyBool_FromLong(is_free);
}

static PyObject *pool_give_back(PyObject *object, PyObject *number)
{
    struct qda_pool *self = (struct qda_pool *)object;
    struct qda_entry *entry = lane_of(self, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    if (entry->claimed) {
        entry->claimed = 0;
        qda_pool_free_lane(self, entry);
    }
    Py_RETURN_NONE;
}

/* Others have sent on the lane: what the DSP has answered is what has been sent.  Who sent may have
 * died before it woke the DSP.  Where nobody answers any more nothing is owed, and the lane may be
 * gone, too. */
static PyObject *pool_recount(PyObject *object, PyObject *number)
{
    struct qda_pool *self = (struct qda_pool *)object;
    struct qda_entry *entry = lane_of(self, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    if (atomic_load(&self->dead))
        Py_RETURN_TRUE;
    uint32_t asked = atomic_load(&entry->waiter.mine->bell);
    if (asked != atomic_load(&entry->waiter.other->bell)) {
        qda_ring(&entry->waiter, asked);
        Py_RETURN_FALSE;
    }
    entry->call.number = asked;
    Py_RETURN_TRUE;
}

static PyObject *pool_lengthen(PyObject *object, PyObject *arguments)
{
    unsigned long long address, device, size;
    int number;
    if (!PyArg_ParseTuple(arguments, "iKKK:lengthen", &number, &address, &device, &size))
        return NULL;
    struct qda_entry *entry = lane_of((struct qda_pool *)object, number);
    if (!entry)
        return NULL;
    entry->call.longer = (struct qda_room){ (unsigned char *)(uintptr_t)address, device, size };
    Py_RETURN_NONE;
}

static PyObject *pool_poll(PyObject *object, PyObject *microseconds)
{
    unsigned long poll = PyLong_AsUnsignedLong(microseconds);
    if (PyErr_Occurred())
        return NULL;
    ((struct qda_pool *)object)->poll = (uint32_t)poll;
    Py_RETURN_NONE;
}

static PyObject *pool_send(PyObject *object, PyObject *arguments)
{
    struct qda_pool *self = (struct qda_pool *)object;
    const char *message;
    Py_ssize_t length;
    int number;
    if (!PyArg_ParseTuple(arguments, "iy#:send", &number, &message, &length))
        return NULL;
    struct qda_entry *entry = lane_of(self, number);
    if (!entry)
        return NULL;
    if (length != sizeof(struct qda_message))
        return PyErr_Format(PyExc_ValueError, "a message of %zd bytes: it has 40", length);
    memcpy(entry->waiter.mine->record, message, (size_t)length);
    memcpy(&entry->call.context, message + offsetof(struct qda_message, context),
           sizeof entry->call.context);
    uint32_t handle;
    memcpy(&handle, message + offsetof(struct qda_message, handle), sizeof handle);
    qda_choose_look(&entry->waiter, handle, self->poll);
    atomic_store_explicit(&entry->waiter.mine->timed, qda_times_wanted, memory_order_relaxed);
    qda_ring(&entry->waiter, ++entry->call.number);
    Py_RETURN_NONE;
}

static PyObject *pool_sent(PyObject *object, PyObject *number)
{
    struct qda_entry *entry = lane_of((struct qda_pool *)object, (int)PyLong_AsLong(number));
    return entry ? PyLong_FromUnsignedLong(entry->call.number) : NULL;
}

static PyObject *pool_wait(PyObject *object, PyObject *arguments)
{
    struct qda_pool *self = (struct qda_pool *)object;
    int number, also = -1, timeout = -1;
    if (!PyArg_ParseTuple(arguments, "i|ii:wait", &number, &also, &timeout))
        return NULL;
    struct qda_entry *entry = lane_of(self, number);
    if (!entry)
        return NULL;
    enum qda_woken woken;
    Py_BEGIN_ALLOW_THREADS
    woken = qda_await(&entry->waiter, entry->call.number, &entry->call.context, also, timeout);
    Py_END_ALLOW_THREADS
    return PyLong_FromLong(woken);
}

static PyObject *pool_answer(PyObject *object, PyObject *number)
{
    struct qda_entry *entry = lane_of((struct qda_pool *)object, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)entry->waiter.other->record, QDA_RECORD);
}

static PyObject *pool_add(PyObject *object, PyObject *arguments)
{
    return qda_names_add(&((struct qda_pool *)object)->session, arguments);
}

static PyObject *pool_remove(PyObject *object, PyObject *number)
{
    unsigned long name = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred())
        return NULL;
    PyObject *owner = qda_names_take(&((struct qda_pool *)object)->session, name);
    return owner ? owner : Py_NewRef(Py_None);
}

/* Nobody will answer any more: wake all who wait. */
static PyObject *pool_kill(PyObject *object, PyObject *unused)
{
    struct qda_pool *self = (struct qda_pool *)object;
    (void)unused;
    atomic_store(&self->dead, 1);
    for (uint32_t number = 1; number <= QDA_LANES; number++) {
        struct qda_entry *entry = self->lanes[number];
        struct pollfd room = { entry ? entry->waiter.sleep : -1, POLLOUT, 0 };
        /* A pipe without room has bytes, so nobody sleeps on it. */
        if (entry && poll(&room, 1, 0) == 1 && room.revents & POLLOUT)
            (void)!write(entry->waiter.sleep, "", 1);
    }
    Py_RETURN_NONE;
}

/* No more calls; returns whether there are none, else `idle` is called when the last has ended. */
static PyObject *pool_close(PyObject *object, PyObject *idle)
{
    struct qda_pool *self = (struct qda_pool *)object;
    self->closed = 1;
    if (!self->idle)
        self->idle = Py_NewRef(idle);
    qda_names_clear(&self->session);
    return PyBool_FromLong(!self->calling);
}

static PyObject *pool_count(PyObject *object, void *unused)
{
    struct qda_pool *self = (struct qda_pool *)object;
    (void)unused;
    if (self->abandoned)
        qda_pool_reap(self);
    return PyLong_FromUnsignedLong(self->calling + self->abandoned);
}

static PyMethodDef pool_methods[] = {
    { "open", pool_open, METH_VARARGS, "open(lane, sleep, wake, patience): a lane to use." },
    { "claim", pool_claim, METH_O, "Take a lane if it is free; whether it was." },
    { "give_back", pool_give_back, METH_O, "Free a lane that was claimed; else nothing." },
    { "recount", pool_recount, METH_O,
      "Go on counting where others have, who sent on a claimed lane; false if a request of theirs\n"
      "has not been answered: then the DSP is told of it again.  True where nobody answers." },
    { "send", pool_send, METH_VARARGS, "send(lane, message): put the message in, and ring." },
    { "lengthen", pool_lengthen, METH_VARARGS,
      "lengthen(lane, address, device, size): what does not fit the slot of a claimed lane is from\n"
      "now on put there, up to `size` bytes; 0: nowhere." },
    { "poll", pool_poll, METH_O,
      "From now on look for so many microseconds before sleeping, in calls of opened modules." },
    { "sent", pool_sent, METH_O, "How many messages have been sent on a lane; of 32 bits." },
    { "wait", pool_wait, METH_VARARGS, "wait(lane, also=-1, timeout=-1): why the wait ended." },
    { "answer", pool_answer, METH_O,
      "The record of the lane's response: its 16 bytes, and the times that the DSP has told." },
    { "add", pool_add, METH_VARARGS,
      "add(name, device, size, inode, major, minor, owner): an object that calls may name." },
    { "remove", pool_remove, METH_O,
      "The name is given back; returns the owner, which calls under way keep, too." },
    { "invoke", (PyCFunction)(void (*)(void))qda_pool_invoke, METH_FASTCALL,
      "invoke(port, request): the result of a call of this thread, whose structure is at hand; None\n"
      "if it has to go the long way and nothing was sent, False if nobody answers any more." },
    { "guard", qda_pool_guard, METH_O,
      "Who sleeps for an answer is looked after from now on: a byte is written to the descriptor\n"
      "when somebody begins to, and `look` has not been called since the last time.  -1: no more." },
    { "look", qda_pool_look, METH_NOARGS,
      "Look after those who sleep: wake each side that may have missed the other.  Returns how many\n"
      "there are, or below 0 the number of a lane of which the words have been overwritten." },
    { "kill", pool_kill, METH_NOARGS, "Nobody will answer: all who wait are woken." },
    { "close", pool_close, METH_O, "No more calls, and no names; true if none is under way." },
    { 0 },
};

static PyGetSetDef pool_values[] = {
    { "calls", pool_count, NULL, "Calls under way that `invoke` has made.", NULL },
    { 0 },
};

static PyType_Slot pool_slots[] = {
    { Py_tp_doc, "Pool(address, device, client_id, tag, domain=0): the lanes of a session, on the\n"
                 "driver's side.  `address` is where it is mapped, `device` where it lies on the bus." },
    { Py_tp_new, pool_new },
    { Py_tp_dealloc, pool_free },
    { Py_tp_methods, pool_methods },
    { Py_tp_getset, pool_values },
    { 0, NULL },
};

PyType_Spec qda_pool_spec = {
    "qda.core._core.Pool", sizeof(struct qda_pool), 0, Py_TPFLAGS_DEFAULT, pool_slots,
};
