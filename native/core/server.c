/* The DSP's side for Python: `Server`, which serves one lane.
 *
 * A call of a module in C is answered without the interpreter; all others, and what is not simply
 * right, go to a method in Python.  So does the end of a call that has failed, or has been noted:
 * what it has logged is its own.  The words that other threads use, too, are atomic: whether a
 * call is under way, whether it is still to be answered, whether Python has to see them all. */
#define _GNU_SOURCE
#include "space.h"

#include <string.h>
#include <unistd.h>

struct server {
    PyObject_HEAD
    struct qda_space_object *space;
    struct qda_lane *lane;
    struct qda_waiter waiter;
    struct qda_served served;
    int32_t client_id;
    int driver;
    uint32_t number; /* of the request that is served, or was last */
    int in_c; /* its method was run in C */
    int noted; /* its end is to be told, however it ends */
    uint32_t status; /* why its arguments could not be found */
    int32_t result;
    struct qda_times times; /* of the call that is served, if its driver wants to know */
    _Atomic uint32_t unanswered;
    _Atomic uint32_t running; /* from before `watched` is read until the call has ended */
    _Atomic uint32_t watched; /* the method gets all calls, and `ended` is called after each */
    _Atomic uint32_t dead;
};

static PyObject *server_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "space", "address", "sleep", "wake", "client_id", "driver",
                             "patience", "polled", NULL };
    PyObject *space;
    unsigned long long address;
    int sleep, wake, client_id, driver, patience, polled;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "OKiiipip:Server", words, &space, &address,
                                     &sleep, &wake, &client_id, &driver, &patience, &polled))
        return NULL;
    struct server *self = qda_allocate(type);
    if (!self)
        return NULL;
    self->space = (struct qda_space_object *)Py_NewRef(space);
    self->lane = (void *)(uintptr_t)address;
    self->waiter = (struct qda_waiter){
        .mine = &self->lane->dsp,
        .other = &self->lane->driver,
        .dead = &self->dead,
        .sleep = sleep,
        .wake = wake,
        .patience = (uint32_t)patience,
    };
    self->client_id = client_id;
    self->driver = driver;
    self->served.polled = polled;
    return (PyObject *)self;
}

static void server_free(PyObject *object)
{
    Py_DECREF(((struct server *)object)->space);
    qda_release(object);
}

static PyObject *view_of(const struct qda_argument *argument, int readable_only)
{
    return PyMemoryView_FromMemory((char *)argument->bytes, (Py_ssize_t)argument->length,
                                   readable_only ? PyBUF_READ : PyBUF_WRITE);
}

static PyObject *handle_of(const struct qda_argument *argument)
{
    PyObject *view = argument->bytes ? view_of(argument, 0) : Py_NewRef(Py_None);
    if (!view)
        return NULL;
    return Py_BuildValue("iIKKN", argument->fd, argument->offset,
                         (unsigned long long)argument->length, (unsigned long long)argument->raw,
                         view);
}

static PyObject *arguments_of(const struct qda_served *served)
{
    PyObject *list = PyList_New((Py_ssize_t)served->shape.arguments);
    for (uint32_t index = 0; list && index < served->shape.arguments; index++) {
        const struct qda_argument *argument = &served->arguments[index];
        PyObject *item = index < served->shape.buffers
            ? view_of(argument, index < served->shape.inputs)
            : handle_of(argument);
        if (!item || PyList_SetItem(list, (Py_ssize_t)index, item))
            Py_CLEAR(list);
    }
    return list;
}

/* Write the answer and ring: whoever comes first, once for each call. */
static void answer(struct server *self, int32_t result)
{
    if (!atomic_exchange(&self->unanswered, 0))
        return;
    if (self->times.begun) {
        self->times.ended = qda_nanoseconds();
        memcpy(self->lane->dsp.record + QDA_TOLD, &self->times, sizeof self->times);
    }
    qda_dsp_answer(&self->served, self->lane, result);
    qda_ring(&self->waiter, self->number);
}

/* Take the call whose bell has rung, and serve it if nobody in Python has to do anything for it;
 * returns whether that was so.  Without the interpreter. */
static int serve_in_c(struct server *self)
{
    struct qda_served *served = &self->served;

    self->number++;
    self->noted = 0;
    self->times.begun = atomic_load_explicit(&self->lane->driver.timed, memory_order_relaxed)
        ? qda_nanoseconds()
        : 0;
    atomic_store(&self->running, 1); /* before: what it finds must not be forgotten meanwhile */
    self->status = qda_space_enter(self->space, served, self->lane, self->client_id, self->driver);
    atomic_store(&self->unanswered, 1);
    self->in_c = served->module && !atomic_load(&self->watched);
    if (!self->in_c)
        return 0;
    self->result = qda_dsp_run(served);
    if (qda_space_leave(self->space, served) || self->result || self->noted)
        return 0;
    answer(self, self->result);
    atomic_store(&self->running, 0);
    return !atomic_load(&self->watched);
}

static int32_t call_method(struct server *self, PyObject *method)
{
    struct qda_served *served = &self->served;
    PyObject *arguments = self->status ? PyLong_FromUnsignedLong(self->status)
                                       : arguments_of(served);
    PyObject *result = NULL;
    int32_t number = 0;

    if (arguments)
        result = PyObject_CallFunction(method, "IIiN", served->message.handle,
                                       served->message.scalars, served->message.tid, arguments);
    if (result)
        number = (int32_t)PyLong_AsLong(result);
    if (!result || PyErr_Occurred()) { /* the method answers for what it runs: this is our own */
        PyErr_WriteUnraisable(method);
        number = (int32_t)QDA_FAILED;
    }
    Py_XDECREF(result);
    return number;
}

static void tell(PyObject *whom, PyObject *answer)
{
    if (!answer)
        PyErr_WriteUnraisable(whom);
    Py_XDECREF(answer);
}

/* Serve what was not served in C, or do what is left of it.  What was withdrawn under a call goes
 * before its answer, so that nobody is told too early. */
static void serve_in_python(struct server *self, PyObject *method, PyObject *over, PyObject *ended)
{
    if (!self->in_c) {
        self->result = call_method(self, method);
        qda_space_leave(self->space, &self->served);
    }
    qda_space_forget(&self->served);
    if (self->result || self->noted)
        tell(over, PyObject_CallFunction(over, "ii", self->served.message.tid, self->result));
    Py_BEGIN_ALLOW_THREADS
    answer(self, self->result);
    Py_END_ALLOW_THREADS
    atomic_store(&self->running, 0);
    if (atomic_load(&self->watched))
        tell(ended, PyObject_CallNoArgs(ended));
}

static PyObject *server_serve(PyObject *object, PyObject *arguments)
{
    struct server *self = (struct server *)object;
    PyObject *method, *over, *ended;
    if (!PyArg_ParseTuple(arguments, "OOO:serve", &method, &over, &ended))
        return NULL;
    self->times.process = getpid();
    self->times.thread = gettid();
    for (;;) {
        enum qda_woken woken;
        Py_BEGIN_ALLOW_THREADS
        do
            woken = qda_await(&self->waiter, self->number + 1, NULL, -1, -1);
        while (woken == QDA_RUNG && serve_in_c(self));
        Py_END_ALLOW_THREADS
        if (woken == QDA_DEAD)
            Py_RETURN_NONE;
        if (woken == QDA_RUNG)
            serve_in_python(self, method, over, ended);
        else if (PyErr_CheckSignals())
            return NULL;
    }
}

static PyObject *server_answer(PyObject *object, PyObject *result)
{
    long number = PyLong_AsLong(result);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    answer((struct server *)object, (int32_t)number);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *server_watch(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    atomic_store(&((struct server *)object)->watched, 1);
    Py_RETURN_NONE;
}

static PyObject *server_runs(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyBool_FromLong((long)atomic_load(&((struct server *)object)->running));
}

static PyObject *server_note(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    struct server *self = (struct server *)object;
    self->noted = 1;
    return PyLong_FromLong(self->served.message.tid);
}

static PyObject *server_handles(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    const struct qda_served *served = &((struct server *)object)->served;
    PyObject *list = PyList_New(0);
    for (uint32_t index = served->shape.buffers; list && index < served->shape.arguments; index++) {
        PyObject *item = handle_of(&served->arguments[index]);
        if (!item || PyList_Append(list, item))
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyMethodDef server_methods[] = {
    { "serve", server_serve, METH_VARARGS,
      "serve(method, over, ended): serve calls until nobody can ring any more.  Those that are not\n"
      "for a module in C go to method(handle, scalars, tid, arguments), which returns the result,\n"
      "signed; `arguments` is a status, an int, if they could not be found.  Before the answer of\n"
      "one that has failed, or is noted, over(tid, result) is called." },
    { "answer", server_answer, METH_O, "Answer the call under way before its method has ended." },
    { "watch", server_watch, METH_NOARGS,
      "From now on all calls go to the method, and `ended` is called after each." },
    { "runs", server_runs, METH_NOARGS, "Whether a call is under way." },
    { "note", server_note, METH_NOARGS,
      "Have the end of the call under way in this thread told; returns the caller's thread." },
    { "handles", server_handles, METH_NOARGS,
      "The handle arguments of the call that runs in C in this thread." },
    { 0 },
};

static PyType_Slot server_slots[] = {
    { Py_tp_doc, "Server(space, address, sleep, wake, client_id, driver, patience, polled): serves\n"
                 "the lane whose words lie at `address`.  `driver`: handle 1 may come on it; `polled`:\n"
                 "messages have a poll word." },
    { Py_tp_new, server_new },
    { Py_tp_dealloc, server_free },
    { Py_tp_methods, server_methods },
    { 0, NULL },
};

PyType_Spec qda_server_spec = {
    "qda.core._core.Server", sizeof(struct server), 0, Py_TPFLAGS_DEFAULT, server_slots,
};
