/* The DSP's side for Python: `Space`, what the messages of a protection domain may name, and
 * `Server`, which serves one lane. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

/* Space. */

struct region {
    struct qda_region region;
    PyObject *owner;
};

struct space {
    PyObject_HEAD
    struct qda_space space;
};

static PyObject *space_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)names;
    if (!PyArg_ParseTuple(arguments, ":Space"))
        return NULL;
    return qda_allocate(type);
}

static void forget_region(struct region *region)
{
    PyObject *owner = region->owner;
    free(region);
    Py_XDECREF(owner);
}

static void space_free(PyObject *object)
{
    struct space *self = (struct space *)object;
    for (uint32_t i = 0; i < self->space.count; i++)
        forget_region((struct region *)self->space.regions[i]);
    free(self->space.regions);
    qda_release(object);
}

/* The place of the first region behind that address. */
static uint32_t place_of(const struct qda_space *space, uint64_t bus)
{
    uint32_t place = 0;
    while (place < space->count && space->regions[place]->bus <= bus)
        place++;
    return place;
}

static PyObject *space_add(PyObject *object, PyObject *arguments)
{
    struct qda_space *space = &((struct space *)object)->space;
    unsigned long long bus, size, address;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "KKKO:add", &bus, &size, &address, &owner))
        return NULL;
    struct region *added = calloc(1, sizeof *added);
    size_t room = sizeof(struct qda_region *) * (space->count + 1);
    struct qda_region **regions = realloc(space->regions, room);
    if (regions)
        space->regions = regions;
    if (!added || !regions) {
        free(added);
        return PyErr_NoMemory();
    }
    added->region = (struct qda_region){ bus, size, (void *)(uintptr_t)address, 0, 0 };
    added->owner = Py_NewRef(owner);
    uint32_t place = place_of(space, bus);
    memmove(regions + place + 1, regions + place, sizeof *regions * (space->count - place));
    regions[place] = &added->region;
    space->count++;
    Py_RETURN_NONE;
}

static PyObject *space_remove(PyObject *object, PyObject *arguments)
{
    struct qda_space *space = &((struct space *)object)->space;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "O:remove", &owner))
        return NULL;
    for (uint32_t place = 0; place < space->count; place++) {
        struct region *removed = (struct region *)space->regions[place];
        if (removed->owner != owner)
            continue;
        space->count--;
        memmove(space->regions + place, space->regions + place + 1,
                sizeof *space->regions * (space->count - place));
        removed->region.gone = 1;
        if (!removed->region.users)
            forget_region(removed);
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_KeyError, "no such memory");
    return NULL;
}

static PyMethodDef space_methods[] = {
    { "add", space_add, METH_VARARGS,
      "add(bus, size, address, owner): messages may name this memory, which lies at `address`." },
    { "remove", space_remove, METH_VARARGS,
      "remove(owner): they may no longer; calls under way keep the owner." },
    { 0 },
};

static PyType_Slot space_slots[] = {
    { Py_tp_doc, "Space(): the memory that messages to a protection domain may name." },
    { Py_tp_new, space_new },
    { Py_tp_dealloc, space_free },
    { Py_tp_methods, space_methods },
    { 0, NULL },
};

PyType_Spec qda_space_spec = {
    "qda.core._core.Space", sizeof(struct space), 0, Py_TPFLAGS_DEFAULT, space_slots,
};

/* Server. */

struct server {
    PyObject_HEAD
    struct space *space;
    struct qda_lane *lane;
    struct qda_waiter waiter;
    struct qda_served served;
    int32_t client_id;
    int driver;
    uint32_t number; /* of the request that is served, or was last */
    int answered;
    _Atomic uint32_t dead;
};

static PyObject *server_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "space", "address", "sleep", "wake", "client_id", "driver",
                             "patience", NULL };
    PyObject *space;
    unsigned long long address;
    int sleep, wake, client_id, driver, patience;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "OKiiipi:Server", words, &space, &address,
                                     &sleep, &wake, &client_id, &driver, &patience))
        return NULL;
    struct server *self = qda_allocate(type);
    if (!self)
        return NULL;
    self->space = (struct space *)Py_NewRef(space);
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
    self->answered = 1;
    return (PyObject *)self;
}

static void server_free(PyObject *object)
{
    Py_DECREF(((struct server *)object)->space);
    qda_release(object);
}

static void unpin(struct qda_served *served)
{
    struct region *last[QDA_ARGUMENTS + 1];
    uint32_t ended = 0;
    while (served->pins) {
        struct qda_region *region = served->pinned[--served->pins];
        if (!--region->users && region->gone)
            last[ended++] = (struct region *)region;
    }
    while (ended)
        forget_region(last[--ended]);
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

/* Write the answer and ring, once for each call. */
static void answer(struct server *self, int32_t result)
{
    if (self->answered)
        return;
    self->answered = 1;
    qda_dsp_answer(&self->served, self->lane, result);
    Py_BEGIN_ALLOW_THREADS
    qda_ring(&self->waiter, self->number);
    Py_END_ALLOW_THREADS
}

static void call_method(struct server *self, PyObject *method)
{
    struct qda_served *served = &self->served;
    uint32_t status = qda_dsp_take(&self->space->space, served, self->lane, self->client_id,
                                   self->driver);
    PyObject *arguments = status ? PyLong_FromUnsignedLong(status) : arguments_of(served);
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
    unpin(served);
    answer(self, number);
}

static PyObject *server_serve(PyObject *object, PyObject *method)
{
    struct server *self = (struct server *)object;
    for (;;) {
        enum qda_woken woken;
        Py_BEGIN_ALLOW_THREADS
        woken = qda_await(&self->waiter, self->number + 1, NULL, -1, -1);
        Py_END_ALLOW_THREADS
        if (woken == QDA_DEAD)
            Py_RETURN_NONE;
        if (woken == QDA_RUNG) {
            self->number++;
            self->answered = 0;
            call_method(self, method);
        } else if (PyErr_CheckSignals()) {
            return NULL;
        }
    }
}

static PyObject *server_answer(PyObject *object, PyObject *result)
{
    long number = PyLong_AsLong(result);
    if (number == -1 && PyErr_Occurred())
        return NULL;
    answer((struct server *)object, (int32_t)number);
    Py_RETURN_NONE;
}

static PyMethodDef server_methods[] = {
    { "serve", server_serve, METH_O,
      "serve(method): run method(handle, scalars, tid, arguments) for each call until nobody can\n"
      "ring any more.  It returns the result, signed; `arguments` is a status, an int, if they\n"
      "could not be found." },
    { "answer", server_answer, METH_O, "Answer the call under way before its method has ended." },
    { 0 },
};

static PyType_Slot server_slots[] = {
    { Py_tp_doc, "Server(space, address, sleep, wake, client_id, driver, patience): serves the\n"
                 "lane whose words lie at `address`.  `driver`: handle 1 may come on it." },
    { Py_tp_new, server_new },
    { Py_tp_dealloc, server_free },
    { Py_tp_methods, server_methods },
    { 0, NULL },
};

PyType_Spec qda_server_spec = {
    "qda.core._core.Server", sizeof(struct server), 0, Py_TPFLAGS_DEFAULT, server_slots,
};
