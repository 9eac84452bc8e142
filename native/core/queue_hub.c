/* Queues for Python: `QueueHub`, all of a client's on one side. */
#include <string.h>

#include "queues.h"
#include "space.h"

enum { WAIT_SIGNAL = 0x06000100, CANCEL = 0x07000000, SIGNAL = 0x08000000 };

struct hub_object {
    PyObject_HEAD
    struct qda_hub *hub;
    PyObject *owner; /* of the memory of its counters */
};

int32_t qda_queues_entry(uint64_t own, uint32_t scalars, union qda_remote_argument *arguments)
{
    struct qda_hub *hub = (void *)(uintptr_t)own;
    enum qda_heard heard;
    int32_t answer;
    switch (scalars) {
    case WAIT_SIGNAL:
        if (arguments[0].buffer.length < sizeof answer)
            return (int32_t)QDA_BAD_PARAMETER;
        heard = qda_hub_listen(hub);
        if (heard == QDA_ENDED) /* -1 is for who has asked for it, and has no queues left */
            return (int32_t)QDA_QUEUE_RESET;
        answer = heard == QDA_CANCELLED ? -1 : 0;
        memcpy(arguments[0].buffer.bytes, &answer, sizeof answer);
        return 0;
    case CANCEL:
        qda_hub_cancel(hub);
        return 0;
    case SIGNAL:
        qda_hub_look(hub);
        return 0;
    default:
        return (int32_t)QDA_UNSUPPORTED;
    }
}

static PyObject *hub_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "space", "client_id", NULL };
    PyObject *space = Py_None;
    int client_id = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|Oi:QueueHub", words, &space, &client_id))
        return NULL;
    struct hub_object *self = qda_allocate(type);
    if (!self)
        return NULL;
    struct qda_mappings *mappings = NULL;
    if (space != Py_None)
        mappings = qda_mappings_hold(((struct qda_space_object *)space)->mappings);
    self->hub = qda_hub_make(mappings, client_id);
    if (!self->hub) {
        if (mappings)
            qda_mappings_release(mappings);
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static PyObject *hub_share(PyObject *object, PyObject *arguments)
{
    struct hub_object *self = (struct hub_object *)object;
    unsigned long long counters;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "KO:share", &counters, &owner))
        return NULL;
    if (self->owner) {
        PyErr_SetString(PyExc_ValueError, "there are counters already");
        return NULL;
    }
    qda_hub_share(self->hub, (void *)(uintptr_t)counters);
    self->owner = Py_NewRef(owner);
    Py_RETURN_NONE;
}

static void hub_free(PyObject *object)
{
    struct hub_object *self = (struct hub_object *)object;
    if (self->hub)
        qda_hub_release(self->hub);
    Py_XDECREF(self->owner);
    qda_release(object);
}

static PyObject *hub_entry(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return Py_BuildValue("KK", (unsigned long long)(uintptr_t)qda_queues_entry,
                         (unsigned long long)(uintptr_t)((struct hub_object *)object)->hub);
}

static PyObject *hub_look(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    Py_BEGIN_ALLOW_THREADS
    qda_hub_look(((struct hub_object *)object)->hub);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *hub_listen(PyObject *object, PyObject *nothing)
{
    enum qda_heard heard;
    (void)nothing;
    Py_BEGIN_ALLOW_THREADS
    heard = qda_hub_listen(((struct hub_object *)object)->hub);
    Py_END_ALLOW_THREADS
    if (heard == QDA_ENDED)
        Py_RETURN_NONE;
    return PyBool_FromLong(heard == QDA_TOLD_SO);
}

static PyObject *hub_cancel(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    qda_hub_cancel(((struct hub_object *)object)->hub);
    Py_RETURN_NONE;
}

static PyObject *hub_end(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    qda_hub_end(((struct hub_object *)object)->hub);
    Py_RETURN_NONE;
}

static PyMethodDef hub_methods[] = {
    { "entry", hub_entry, METH_NOARGS,
      "Where the function is that serves the calls with signals, and its handle." },
    { "share", hub_share, METH_VARARGS,
      "share(counters, owner): the block of counters that all queues share lies there, in memory of\n"
      "`owner`.  ValueError if there is one." },
    { "look", hub_look, METH_NOARGS, "The other side has told that something has changed." },
    { "listen", hub_listen, METH_NOARGS,
      "Wait until the other side is to be told something; False if it was cancelled, None if the\n"
      "session has ended." },
    { "cancel", hub_cancel, METH_NOARGS, "Cancel that, for good." },
    { "end", hub_end, METH_NOARGS, "The session ends, and so does that." },
    { 0 },
};

static PyType_Slot hub_slots[] = {
    { Py_tp_doc, "QueueHub(space=None, client_id=0): the queues of a client, on one side.  On the DSP\n"
                 "`space` is what packets refer to, as that client." },
    { Py_tp_new, hub_new },
    { Py_tp_dealloc, hub_free },
    { Py_tp_methods, hub_methods },
    { 0, NULL },
};

PyType_Spec qda_queue_hub_spec = {
    "qda.core._core.QueueHub", sizeof(struct hub_object), 0, Py_TPFLAGS_DEFAULT, hub_slots,
};

struct qda_hub *qda_hub_of(PyObject *object)
{
    struct hub_object *self = (struct hub_object *)object;
    return self->owner ? self->hub : NULL;
}
