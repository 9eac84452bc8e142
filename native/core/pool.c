/* The driver's side for Python: `Pool`, the lanes of a session and the calls on them. */
#include "names.h"
#include "states.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A lane: it is free, carries a call of the core's own, or is claimed for one of Python's, who then
 * has its state. */
struct entry {
    struct qda_call call;
    struct qda_waiter waiter;
    enum qda_call_state state; /* of the call of our own; QDA_CALL_OVER if there is none */
    int claimed;
};

struct pool {
    PyObject_HEAD
    struct qda_session session;
    struct entry *lanes[QDA_LANES + 1];
    uint64_t free[QDA_LANES / 64 + 1]; /* a bit for each lane that may be used */
    uint32_t abandoned, calling;
    int closed;
    /* See `choose_look`.  Lanes that are lent out have none yet: it belongs on the page of their
     * lease, beside the patience, and is to be chosen where a direct call begins. */
    uint32_t poll;
    PyObject *idle;
    _Atomic uint32_t dead;
};

static PyObject *pool_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "address", "device", "client_id", "tag", NULL };
    unsigned long long address, device;
    int client_id;
    unsigned int tag;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "KKiI:Pool", words, &address, &device,
                                     &client_id, &tag))
        return NULL;
    struct pool *self = qda_allocate(type);
    if (self) {
        self->session.pool = (unsigned char *)(uintptr_t)address;
        self->session.device = device;
        self->session.client_id = client_id;
        self->session.tag = tag;
    }
    return (PyObject *)self;
}

static void pool_free(PyObject *object)
{
    struct pool *self = (struct pool *)object;
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

static struct entry *lane_of(struct pool *self, int number)
{
    if (number < 1 || number > QDA_LANES || !self->lanes[number]) {
        PyErr_Format(PyExc_ValueError, "lane %d: there is none of this number", number);
        return NULL;
    }
    return self->lanes[number];
}

static void set_free(struct pool *self, struct entry *entry)
{
    self->free[entry->call.lane / 64] |= (uint64_t)1 << entry->call.lane % 64;
}

static void set_used(struct pool *self, struct entry *entry)
{
    self->free[entry->call.lane / 64] &= ~((uint64_t)1 << entry->call.lane % 64);
}

static PyObject *pool_open(PyObject *object, PyObject *arguments)
{
    struct pool *self = (struct pool *)object;
    int number, sleep, wake, patience;
    if (!PyArg_ParseTuple(arguments, "iiii:open", &number, &sleep, &wake, &patience))
        return NULL;
    if (number < 1 || number > QDA_LANES || self->lanes[number])
        return PyErr_Format(PyExc_ValueError, "lane %d: 1 to %d, each once", number, QDA_LANES);
    struct entry *entry = calloc(1, sizeof *entry);
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
    };
    entry->state = QDA_CALL_OVER;
    self->lanes[number] = entry;
    set_free(self, entry);
    Py_RETURN_NONE;
}

static uint32_t *counter_of(struct pool *self, enum qda_call_state state)
{
    return state == QDA_CALL_ABANDONED ? &self->abandoned : &self->calling;
}

/* Make a step of the table, which `qda.driver.call` has with its rules.  What is over gives back
 * its objects and its lane. */
static void take(struct pool *self, struct entry *entry, enum qda_call_event event)
{
    int after = qda_call_after[entry->state][event];
    if (after < 0)
        Py_FatalError("qda: a call has made no legal step");
    --*counter_of(self, entry->state);
    entry->state = (enum qda_call_state)after;
    if (entry->state != QDA_CALL_OVER) {
        ++*counter_of(self, entry->state);
    } else {
        set_free(self, entry);
        qda_unpin(&entry->call);
    }
}

/* End the calls whose callers went away and which have been answered by now. */
static void reap(struct pool *self)
{
    int32_t result;
    for (uint32_t number = 1; number <= QDA_LANES && self->abandoned; number++) {
        struct entry *entry = self->lanes[number];
        if (!entry || entry->state != QDA_CALL_ABANDONED)
            continue;
        if (qda_has_rung(entry->waiter.other, entry->call.number, &entry->call.context)
            && qda_driver_answered(&self->session, &entry->call, &result))
            take(self, entry, QDA_CALL_ANSWER);
    }
}

/* The lowest lane that is free, for a call of our own. */
static struct entry *begin_call(struct pool *self)
{
    if (self->abandoned)
        reap(self);
    if (self->closed || atomic_load(&self->dead))
        return NULL;
    for (uint32_t word = 0; word <= QDA_LANES / 64; word++) {
        if (!self->free[word])
            continue;
        uint32_t number = 64 * word + (uint32_t)__builtin_ctzll(self->free[word]);
        set_used(self, self->lanes[number]);
        self->lanes[number]->state = QDA_CALL_RESERVED;
        self->calling++;
        return self->lanes[number];
    }
    return NULL;
}

static PyObject *pool_claim(PyObject *object, PyObject *number)
{
    struct pool *self = (struct pool *)object;
    struct entry *entry = lane_of(self, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    if (self->abandoned)
        reap(self);
    int is_free = !entry->claimed && entry->state == QDA_CALL_OVER && !self->closed;
    if (is_free) {
        set_used(self, entry);
        entry->claimed = 1;
    }
    return PyBool_FromLong(is_free);
}

static PyObject *pool_give_back(PyObject *object, PyObject *number)
{
    struct pool *self = (struct pool *)object;
    struct entry *entry = lane_of(self, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    if (entry->claimed) {
        entry->claimed = 0;
        set_free(self, entry);
    }
    Py_RETURN_NONE;
}

/* Others have sent on the lane: what the DSP has answered is what has been sent. */
static PyObject *pool_recount(PyObject *object, PyObject *number)
{
    struct entry *entry = lane_of((struct pool *)object, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    uint32_t asked = atomic_load(&entry->waiter.mine->bell);
    if (asked != atomic_load(&entry->waiter.other->bell))
        Py_RETURN_FALSE;
    entry->call.number = asked;
    Py_RETURN_TRUE;
}

/* How long to wait awake for the answer of a call that begins.  Poll mode is for modules that were
 * opened: a call of another may be parked for ever.  What was learned without it is forgotten. */
static void choose_look(struct pool *self, struct entry *entry, uint32_t handle)
{
    enum { LAST_FIXED = 20 };
    uint32_t poll = handle > LAST_FIXED ? self->poll : 0;
    if (entry->waiter.poll != poll) {
        entry->waiter.poll = poll;
        entry->waiter.looks = (struct qda_habit){ 0 };
    }
}

static PyObject *pool_poll(PyObject *object, PyObject *microseconds)
{
    unsigned long poll = PyLong_AsUnsignedLong(microseconds);
    if (PyErr_Occurred())
        return NULL;
    ((struct pool *)object)->poll = (uint32_t)poll;
    Py_RETURN_NONE;
}

static PyObject *pool_send(PyObject *object, PyObject *arguments)
{
    struct pool *self = (struct pool *)object;
    const char *message;
    Py_ssize_t length;
    int number;
    if (!PyArg_ParseTuple(arguments, "iy#:send", &number, &message, &length))
        return NULL;
    struct entry *entry = lane_of(self, number);
    if (!entry)
        return NULL;
    if (length != sizeof(struct qda_message))
        return PyErr_Format(PyExc_ValueError, "a message of %zd bytes: it has 40", length);
    memcpy(entry->waiter.mine->record, message, (size_t)length);
    memcpy(&entry->call.context, message + offsetof(struct qda_message, context),
           sizeof entry->call.context);
    uint32_t handle;
    memcpy(&handle, message + offsetof(struct qda_message, handle), sizeof handle);
    choose_look(self, entry, handle);
    qda_ring(&entry->waiter, ++entry->call.number);
    Py_RETURN_NONE;
}

static PyObject *pool_sent(PyObject *object, PyObject *number)
{
    struct entry *entry = lane_of((struct pool *)object, (int)PyLong_AsLong(number));
    return entry ? PyLong_FromUnsignedLong(entry->call.number) : NULL;
}

static PyObject *pool_wait(PyObject *object, PyObject *arguments)
{
    struct pool *self = (struct pool *)object;
    int number, also = -1, timeout = -1;
    if (!PyArg_ParseTuple(arguments, "i|ii:wait", &number, &also, &timeout))
        return NULL;
    struct entry *entry = lane_of(self, number);
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
    struct entry *entry = lane_of((struct pool *)object, (int)PyLong_AsLong(number));
    if (!entry)
        return NULL;
    return PyBytes_FromStringAndSize((const char *)entry->waiter.other->record,
                                     sizeof(struct qda_response));
}

static PyObject *pool_add(PyObject *object, PyObject *arguments)
{
    return qda_names_add(&((struct pool *)object)->session, arguments);
}

static PyObject *pool_remove(PyObject *object, PyObject *number)
{
    unsigned long name = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred())
        return NULL;
    PyObject *owner = qda_names_take(&((struct pool *)object)->session, name);
    return owner ? owner : Py_NewRef(Py_None);
}

static void leave(struct pool *self, struct entry *entry)
{
    take(self, entry, QDA_CALL_LEAVE);
    if (self->closed && !self->calling && self->idle) {
        PyObject *done = PyObject_CallNoArgs(self->idle);
        if (!done)
            PyErr_WriteUnraisable((PyObject *)self);
        Py_XDECREF(done);
    }
}

/* Wait for the answer of a call.  Returns 1 with the result, 0 if there will be none, -1 with an
 * exception if a signal handler has raised one. */
static int await_answer(struct pool *self, struct entry *entry, int32_t *result)
{
    for (;;) {
        /* A short call is over before another thread could have used the lock. */
        enum qda_woken woken =
            qda_await_a_moment(&entry->waiter, entry->call.number, &entry->call.context);
        if (woken == QDA_LATE) {
            Py_BEGIN_ALLOW_THREADS
            woken = qda_await(&entry->waiter, entry->call.number, &entry->call.context, -1, -1);
            Py_END_ALLOW_THREADS
        }
        if (woken == QDA_RUNG && qda_driver_answered(&self->session, &entry->call, result))
            return 1;
        if (woken == QDA_DEAD)
            return 0;
        if (PyErr_CheckSignals())
            return -1;
    }
}

static PyObject *pool_invoke(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    struct pool *self = (struct pool *)object;
    Py_buffer request;
    int32_t result = 0;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "invoke of %zd arguments: it has 2", count);
    struct qda_port_object *client = (struct qda_port_object *)arguments[0];
    if (PyObject_GetBuffer(arguments[1], &request, PyBUF_SIMPLE))
        return NULL;
    struct entry *entry = (size_t)request.len < sizeof(struct qda_request) ? NULL : begin_call(self);
    if (!entry) {
        PyBuffer_Release(&request);
        Py_RETURN_NONE;
    }
    struct qda_port *port = &client->client.port;
    struct qda_request asked;
    memcpy(&asked, request.buf, sizeof asked);
    client->client.at_hand = request.buf;
    client->client.at_hand_size = (uint64_t)request.len;
    long begun = qda_driver_begin(&self->session, &entry->call, port, qda_this_thread(),
                                  asked.handle, asked.scalars, asked.arguments);
    client->client.at_hand_size = 0;
    PyBuffer_Release(&request);
    if (begun) {
        leave(self, entry);
        Py_RETURN_NONE;
    }
    take(self, entry, QDA_CALL_SEND);
    choose_look(self, entry, asked.handle);
    qda_ring(&entry->waiter, ++entry->call.number);
    int answered = await_answer(self, entry, &result);
    if (answered < 0) { /* a signal handler raised: the DSP still has the call (H16) */
        take(self, entry, QDA_CALL_LEAVE);
        return NULL;
    }
    take(self, entry, answered ? QDA_CALL_ANSWER : QDA_CALL_DEATH);
    long copied = answered ? qda_driver_finish(&entry->call, port) : 0;
    leave(self, entry);
    if (!answered)
        return PyBool_FromLong(0);
    if (copied) {
        errno = EFAULT;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLong(result);
}

/* Nobody will answer any more: wake all who wait. */
static PyObject *pool_kill(PyObject *object, PyObject *unused)
{
    struct pool *self = (struct pool *)object;
    (void)unused;
    atomic_store(&self->dead, 1);
    for (uint32_t number = 1; number <= QDA_LANES; number++) {
        struct entry *entry = self->lanes[number];
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
    struct pool *self = (struct pool *)object;
    self->closed = 1;
    if (!self->idle)
        self->idle = Py_NewRef(idle);
    qda_names_clear(&self->session);
    return PyBool_FromLong(!self->calling);
}

static PyObject *pool_count(PyObject *object, void *unused)
{
    struct pool *self = (struct pool *)object;
    (void)unused;
    if (self->abandoned)
        reap(self);
    return PyLong_FromUnsignedLong(self->calling + self->abandoned);
}

static PyMethodDef pool_methods[] = {
    { "open", pool_open, METH_VARARGS, "open(lane, sleep, wake, patience): a lane to use." },
    { "claim", pool_claim, METH_O, "Take a lane if it is free; whether it was." },
    { "give_back", pool_give_back, METH_O, "Free a lane that was claimed; else nothing." },
    { "recount", pool_recount, METH_O,
      "Go on counting where others have, who sent on a claimed lane; false if a request of theirs\n"
      "has not been answered." },
    { "send", pool_send, METH_VARARGS, "send(lane, message): put the message in, and ring." },
    { "poll", pool_poll, METH_O,
      "From now on look for so many microseconds before sleeping, in calls of opened modules." },
    { "sent", pool_sent, METH_O, "How many messages have been sent on a lane; of 32 bits." },
    { "wait", pool_wait, METH_VARARGS, "wait(lane, also=-1, timeout=-1): why the wait ended." },
    { "answer", pool_answer, METH_O, "The 16 bytes of the lane's response." },
    { "add", pool_add, METH_VARARGS,
      "add(name, device, size, inode, major, minor, owner): an object that calls may name." },
    { "remove", pool_remove, METH_O,
      "The name is given back; returns the owner, which calls under way keep, too." },
    { "invoke", (PyCFunction)(void (*)(void))pool_invoke, METH_FASTCALL,
      "invoke(port, request): the result of a call of this thread, whose structure is at hand; None\n"
      "if it has to go the long way and nothing was sent, False if nobody answers any more." },
    { "kill", pool_kill, METH_NOARGS, "Nobody will answer: all who wait are woken." },
    { "close", pool_close, METH_O, "No more calls, and no names; true if none is under way." },
    { 0 },
};

static PyGetSetDef pool_values[] = {
    { "calls", pool_count, NULL, "Calls under way that `invoke` has made.", NULL },
    { 0 },
};

static PyType_Slot pool_slots[] = {
    { Py_tp_doc, "Pool(address, device, client_id, tag): the lanes of a session, on the driver's\n"
                 "side.  `address` is where it is mapped, `device` where it lies on the bus." },
    { Py_tp_new, pool_new },
    { Py_tp_dealloc, pool_free },
    { Py_tp_methods, pool_methods },
    { Py_tp_getset, pool_values },
    { 0, NULL },
};

PyType_Spec qda_pool_spec = {
    "qda.core._core.Pool", sizeof(struct pool), 0, Py_TPFLAGS_DEFAULT, pool_slots,
};
