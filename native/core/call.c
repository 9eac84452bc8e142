/* Calls of the core's own on the lanes of a pool. */
#include "pool.h"
#include "trace.h"

#include <errno.h>
#include <string.h>

void qda_pool_free_lane(struct qda_pool *self, struct qda_entry *entry)
{
    self->free[entry->call.lane / 64] |= (uint64_t)1 << entry->call.lane % 64;
}

void qda_pool_use_lane(struct qda_pool *self, struct qda_entry *entry)
{
    self->free[entry->call.lane / 64] &= ~((uint64_t)1 << entry->call.lane % 64);
}

static uint32_t *counter_of(struct qda_pool *self, enum qda_call_state state)
{
    return state == QDA_CALL_ABANDONED ? &self->abandoned : &self->calling;
}

/* Make a step of the table, which `qda.driver.call` has with its rules.  What is over gives back
 * its objects and its lane. */
static void take(struct qda_pool *self, struct qda_entry *entry, enum qda_call_event event)
{
    int after = qda_call_after[entry->state][event];
    if (after < 0)
        Py_FatalError("qda: a call has made no legal step");
    --*counter_of(self, entry->state);
    entry->state = (enum qda_call_state)after;
    if (entry->state != QDA_CALL_OVER) {
        ++*counter_of(self, entry->state);
    } else {
        qda_pool_free_lane(self, entry);
        qda_unpin(&entry->call);
    }
}

/* End the calls whose callers went away and which have been answered by now, or never will be: then
 * the lanes may be gone, too. */
void qda_pool_reap(struct qda_pool *self)
{
    int32_t result;
    for (uint32_t number = 1; number <= QDA_LANES && self->abandoned; number++) {
        struct qda_entry *entry = self->lanes[number];
        if (!entry || entry->state != QDA_CALL_ABANDONED)
            continue;
        if (atomic_load(&self->dead))
            take(self, entry, QDA_CALL_DEATH);
        else if (qda_has_rung(entry->waiter.other, entry->call.number, &entry->call.context)
            && qda_driver_answered(&self->session, &entry->call, &result))
            take(self, entry, QDA_CALL_ANSWER);
    }
}

/* The lowest lane that is free, for a call of our own. */
static struct qda_entry *begin_call(struct qda_pool *self)
{
    if (self->abandoned)
        qda_pool_reap(self);
    if (self->closed || atomic_load(&self->dead))
        return NULL;
    for (uint32_t word = 0; word <= QDA_LANES / 64; word++) {
        if (!self->free[word])
            continue;
        uint32_t number = 64 * word + (uint32_t)__builtin_ctzll(self->free[word]);
        qda_pool_use_lane(self, self->lanes[number]);
        self->lanes[number]->state = QDA_CALL_RESERVED;
        self->calling++;
        return self->lanes[number];
    }
    return NULL;
}

static void leave(struct qda_pool *self, struct qda_entry *entry)
{
    take(self, entry, QDA_CALL_LEAVE);
    if (self->closed && !self->calling && self->idle) {
        PyObject *done = PyObject_CallNoArgs(self->idle);
        if (!done)
            PyErr_WriteUnraisable((PyObject *)self);
        Py_XDECREF(done);
    }
}

/* Whether other threads have wanted the interpreter's lock lately: for so many calls more it is
 * taken that they do.  Who has the lock has these. */
static struct {
    int32_t caller; /* the thread that has called last */
    uint32_t calls;
} wanted;

enum { STILL_WANTED = 256, TAKEN_LATE = 100 /* microseconds to get the lock back */ };

static int is_lock_wanted(int32_t tid)
{
    if (tid != wanted.caller)
        wanted.calls = STILL_WANTED;
    else if (wanted.calls)
        wanted.calls--;
    wanted.caller = tid;
    return wanted.calls != 0;
}

static enum qda_woken await_without_lock(struct qda_entry *entry, int timeout)
{
    enum qda_woken woken;
    uint64_t ended;
    Py_BEGIN_ALLOW_THREADS
    woken = qda_await(&entry->waiter, entry->call.number, &entry->call.context, -1, timeout);
    ended = qda_microseconds();
    Py_END_ALLOW_THREADS
    if (qda_microseconds() - ended > TAKEN_LATE)
        wanted.calls = STILL_WANTED;
    return woken;
}

/* Run the handlers of signals that have come; -1 with an exception if one has raised.  In a section
 * (qda.interrupts) they have only been noted, and run at the end of `timeout`, in milliseconds. */
static int handle_signals(int *timeout)
{
    if (PyErr_CheckSignals())
        return -1;
    PyObject *module = PyImport_ImportModule("qda.interrupts");
    PyObject *left = module ? PyObject_CallMethod(module, "at_wait", "i", 1) : NULL;
    if (left)
        *timeout = (int)PyLong_AsLong(left);
    Py_XDECREF(module);
    Py_XDECREF(left);
    return PyErr_Occurred() ? -1 : 0;
}

/* Wait for the answer of a call.  Returns 1 with the result, 0 if there will be none, -1 with an
 * exception if a signal handler has raised one. */
static int await_answer(struct qda_pool *self, struct qda_entry *entry, int32_t tid, int32_t *result)
{
    int is_wanted = is_lock_wanted(tid), timeout = -1;
    for (;;) {
        enum qda_woken woken = QDA_LATE;
        /* A short call is over before another thread could have used the lock. */
        if (is_wanted)
            woken = qda_await_a_moment(&entry->waiter, entry->call.number, &entry->call.context);
        if (woken == QDA_LATE)
            woken = await_without_lock(entry, timeout);
        if (woken == QDA_RUNG && qda_driver_answered(&self->session, &entry->call, result))
            return 1;
        if (woken == QDA_DEAD)
            return 0;
        if (handle_signals(&timeout))
            return -1;
    }
}

PyObject *qda_pool_invoke(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    struct qda_pool *self = (struct qda_pool *)object;
    Py_buffer request;
    int32_t result = 0;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "invoke of %zd arguments: it has 2", count);
    struct qda_port_object *client = (struct qda_port_object *)arguments[0];
    if (PyObject_GetBuffer(arguments[1], &request, PyBUF_SIMPLE))
        return NULL;
    struct qda_entry *entry = (size_t)request.len < sizeof(struct qda_request) ? NULL : begin_call(self);
    if (!entry) {
        PyBuffer_Release(&request);
        Py_RETURN_NONE;
    }
    struct qda_port *port = &client->client.port;
    struct qda_request asked;
    int32_t tid = qda_this_thread();
    uint64_t noted = qda_trace_now();
    memcpy(&asked, request.buf, sizeof asked);
    client->client.at_hand = request.buf;
    client->client.at_hand_size = (uint64_t)request.len;
    /* What a trace has to look into goes the long way: modules that are opened, the host's calls. */
    int64_t begun = noted && asked.handle <= QDA_LAST_FIXED
        ? QDA_DECLINED
        : qda_driver_begin(&self->session, &entry->call, port, tid, asked.handle, asked.scalars,
                           asked.arguments);
    client->client.at_hand_size = 0;
    PyBuffer_Release(&request);
    if (begun) {
        leave(self, entry);
        Py_RETURN_NONE;
    }
    take(self, entry, QDA_CALL_SEND);
    qda_choose_look(&entry->waiter, asked.handle, self->poll);
    atomic_store_explicit(&entry->waiter.mine->timed, noted != 0, memory_order_relaxed);
    uint64_t sent = noted ? qda_nanoseconds() : 0;
    qda_ring(&entry->waiter, ++entry->call.number);
    int answered = await_answer(self, entry, tid, &result);
    uint64_t came = noted ? qda_nanoseconds() : 0;
    if (answered < 0) { /* a signal handler raised: the DSP still has the call (H16) */
        take(self, entry, QDA_CALL_LEAVE);
        return NULL;
    }
    take(self, entry, answered ? QDA_CALL_ANSWER : QDA_CALL_DEATH);
    long copied = answered ? qda_driver_finish(&entry->call, port) : 0;
    if (noted) {
        struct qda_traced traced = {
            .begun = noted, .sent = sent, .answered = came, .handle = asked.handle,
            .scalars = asked.scalars, .result = answered ? result : QDA_DIED, .thread = tid,
        };
        qda_trace_note(&traced, &self->session, &entry->call);
    }
    leave(self, entry);
    if (!answered)
        return PyBool_FromLong(0);
    if (copied) {
        errno = EFAULT;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return PyLong_FromLong(result);
}
