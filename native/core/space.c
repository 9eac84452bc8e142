/* What the messages of a protection domain may name, for Python: memory and modules in C, each with
 * what keeps it alive.
 *
 * Lanes look things up without the interpreter, so a lock guards them.  Whoever holds it waits for
 * nothing, and gives up no owner meanwhile: what that runs may come back here. */
#include "space.h"

#include <stdlib.h>
#include <string.h>

struct region {
    struct qda_region region;
    PyObject *owner;
};

struct module {
    struct qda_module module;
    PyObject *owner;
};

static PyObject *space_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)names;
    if (!PyArg_ParseTuple(arguments, ":Space"))
        return NULL;
    struct qda_mappings *mappings = qda_mappings_make();
    if (!mappings)
        return PyErr_NoMemory();
    struct qda_space_object *self = qda_allocate(type);
    if (!self) {
        qda_mappings_release(mappings);
        return NULL;
    }
    self->mappings = mappings;
    pthread_mutex_init(&self->lock, NULL);
    return (PyObject *)self;
}

static void forget_region(struct region *region)
{
    PyObject *owner = region->owner;
    free(region);
    Py_XDECREF(owner);
}

static void forget_module(struct module *module)
{
    PyObject *owner = module->owner;
    free(module);
    Py_XDECREF(owner);
}

static void space_free(PyObject *object)
{
    struct qda_space_object *self = (struct qda_space_object *)object;
    for (uint32_t i = 0; i < self->space.count; i++)
        forget_region((struct region *)self->space.regions[i]);
    for (uint32_t i = 0; i < self->space.opened; i++)
        forget_module((struct module *)self->space.modules[i]);
    free(self->space.regions);
    free(self->space.modules);
    pthread_mutex_destroy(&self->lock);
    qda_mappings_release(self->mappings);
    qda_release(object);
}

/* Memory. */

/* The place of the first region behind that address. */
static uint32_t place_of(const struct qda_space *space, uint64_t bus)
{
    uint32_t place = 0;
    while (place < space->count && space->regions[place]->bus <= bus)
        place++;
    return place;
}

static int insert_region(struct qda_space *space, struct qda_region *added)
{
    size_t room = sizeof(struct qda_region *) * (space->count + 1);
    struct qda_region **regions = realloc(space->regions, room);
    if (!regions)
        return -1;
    space->regions = regions;
    uint32_t place = place_of(space, added->bus);
    memmove(regions + place + 1, regions + place, sizeof *regions * (space->count - place));
    regions[place] = added;
    space->count++;
    return 0;
}

static PyObject *space_add(PyObject *object, PyObject *arguments)
{
    struct qda_space_object *self = (struct qda_space_object *)object;
    unsigned long long bus, size, address;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "KKKO:add", &bus, &size, &address, &owner))
        return NULL;
    struct region *added = calloc(1, sizeof *added);
    if (!added)
        return PyErr_NoMemory();
    added->region = (struct qda_region){ bus, size, (void *)(uintptr_t)address, 0, 0 };
    added->owner = Py_NewRef(owner);
    pthread_mutex_lock(&self->lock);
    int failed = insert_region(&self->space, &added->region);
    pthread_mutex_unlock(&self->lock);
    if (failed) {
        forget_region(added);
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

/* Take the region of an owner out; NULL if there is none. */
static struct qda_region *withdraw(struct qda_space *space, const PyObject *owner)
{
    for (uint32_t place = 0; place < space->count; place++) {
        struct qda_region *removed = space->regions[place];
        if (((struct region *)removed)->owner != owner)
            continue;
        space->count--;
        memmove(space->regions + place, space->regions + place + 1,
                sizeof *space->regions * (space->count - place));
        removed->gone = 1;
        return removed;
    }
    return NULL;
}

static PyObject *space_remove(PyObject *object, PyObject *arguments)
{
    struct qda_space_object *self = (struct qda_space_object *)object;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "O:remove", &owner))
        return NULL;
    pthread_mutex_lock(&self->lock);
    struct qda_region *removed = withdraw(&self->space, owner);
    int unused = removed && !removed->users;
    pthread_mutex_unlock(&self->lock);
    if (!removed) {
        PyErr_SetString(PyExc_KeyError, "no such memory");
        return NULL;
    }
    if (unused)
        forget_region((struct region *)removed);
    Py_RETURN_NONE;
}

/* Names of memory. */

static PyObject *space_name(PyObject *object, PyObject *arguments)
{
    int client_id, fd;
    unsigned long long address, size;
    if (!PyArg_ParseTuple(arguments, "iiKK:name", &client_id, &fd, &address, &size))
        return NULL;
    struct qda_mapping added = { client_id, fd, address, size, 0 };
    if (qda_mappings_add(((struct qda_space_object *)object)->mappings, added))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *space_unname(PyObject *object, PyObject *address)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(address);
    if (PyErr_Occurred())
        return NULL;
    qda_mappings_remove(((struct qda_space_object *)object)->mappings, number);
    Py_RETURN_NONE;
}

static PyObject *space_refer(PyObject *object, PyObject *arguments)
{
    int client_id, fd, change;
    struct qda_mapping found = { 0 };
    if (!PyArg_ParseTuple(arguments, "iii:refer", &client_id, &fd, &change))
        return NULL;
    struct qda_mappings *mappings = ((struct qda_space_object *)object)->mappings;
    uint32_t status = qda_mappings_refer(mappings, client_id, fd, change, &found);
    return Py_BuildValue("IKK", status, (unsigned long long)found.address,
                         (unsigned long long)found.size);
}

/* Modules. */

static int insert_module(struct qda_space *space, struct qda_module *added)
{
    size_t room = sizeof(struct qda_module *) * (space->opened + 1);
    struct qda_module **modules = realloc(space->modules, room);
    if (!modules)
        return -1;
    space->modules = modules;
    uint32_t place = space->opened;
    while (place && modules[place - 1]->handle > added->handle)
        place--;
    memmove(modules + place + 1, modules + place, sizeof *modules * (space->opened - place));
    modules[place] = added;
    space->opened++;
    return 0;
}

static PyObject *space_open(PyObject *object, PyObject *arguments)
{
    struct qda_space_object *self = (struct qda_space_object *)object;
    unsigned int handle;
    int client_id;
    unsigned int first = 0;
    unsigned long long entry, own = 0;
    PyObject *library_handle, *owner;
    if (!PyArg_ParseTuple(arguments, "IiKOO|I:open", &handle, &client_id, &entry, &library_handle,
                          &owner, &first))
        return NULL;
    int has_own = library_handle != Py_None;
    if (has_own) {
        own = PyLong_AsUnsignedLongLong(library_handle);
        if (PyErr_Occurred())
            return NULL;
    }
    struct module *added = calloc(1, sizeof *added);
    if (!added)
        return PyErr_NoMemory();
    added->module = (struct qda_module){
        .handle = handle,
        .client_id = client_id,
        .entry = (void (*)(void))(uintptr_t)entry,
        .own = own,
        .has_own = (uint32_t)has_own,
        .first = first,
    };
    added->owner = Py_NewRef(owner);
    pthread_mutex_lock(&self->lock);
    int failed = insert_module(&self->space, &added->module);
    pthread_mutex_unlock(&self->lock);
    if (failed) {
        forget_module(added);
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

/* Take the module of a handle out; NULL if there is none. */
static struct qda_module *shut(struct qda_space *space, uint32_t handle)
{
    for (uint32_t place = 0; place < space->opened; place++) {
        struct qda_module *removed = space->modules[place];
        if (removed->handle != handle)
            continue;
        space->opened--;
        memmove(space->modules + place, space->modules + place + 1,
                sizeof *space->modules * (space->opened - place));
        removed->gone = 1;
        return removed;
    }
    return NULL;
}

static PyObject *space_close(PyObject *object, PyObject *arguments)
{
    struct qda_space_object *self = (struct qda_space_object *)object;
    unsigned int handle;
    if (!PyArg_ParseTuple(arguments, "I:close", &handle))
        return NULL;
    pthread_mutex_lock(&self->lock);
    struct qda_module *removed = shut(&self->space, handle);
    int unused = removed && !removed->users;
    pthread_mutex_unlock(&self->lock);
    if (unused)
        forget_module((struct module *)removed);
    Py_RETURN_NONE;
}

/* Calls. */

uint32_t qda_space_enter(struct qda_space_object *space, struct qda_served *served,
                         struct qda_lane *lane, int32_t client_id, int driver)
{
    pthread_mutex_lock(&space->lock);
    uint32_t status = qda_dsp_take(&space->space, served, lane, client_id, driver);
    pthread_mutex_unlock(&space->lock);
    return status;
}

int qda_space_leave(struct qda_space_object *space, struct qda_served *served)
{
    uint32_t ended = 0;
    struct qda_module *module = served->module;

    pthread_mutex_lock(&space->lock);
    for (uint32_t i = 0; i < served->pins; i++) {
        struct qda_region *region = served->pinned[i];
        if (!--region->users && region->gone)
            served->pinned[ended++] = region;
    }
    if (module && (--module->users || !module->gone))
        served->module = NULL;
    pthread_mutex_unlock(&space->lock);
    served->pins = ended;
    return ended || served->module;
}

void qda_space_forget(struct qda_served *served)
{
    struct module *module = (struct module *)served->module;

    served->module = NULL;
    while (served->pins)
        forget_region((struct region *)served->pinned[--served->pins]);
    if (module)
        forget_module(module);
}

static PyMethodDef space_methods[] = {
    { "add", space_add, METH_VARARGS,
      "add(bus, size, address, owner): messages may name this memory, which lies at `address`." },
    { "remove", space_remove, METH_VARARGS,
      "remove(owner): they may no longer; calls under way keep the owner." },
    { "name", space_name, METH_VARARGS,
      "name(client_id, fd, address, size): packets of queues may refer to this by its fd." },
    { "unname", space_unname, METH_O, "unname(address): they may no longer." },
    { "refer", space_refer, METH_VARARGS,
      "refer(client_id, fd, change): change how often packets refer to memory; a plain status, its\n"
      "address and its size." },
    { "open", space_open, METH_VARARGS,
      "open(handle, client_id, entry, own, owner, first=0): calls of that client, from method\n"
      "`first` on, go to the function at `entry`, which gets the library's own handle before all,\n"
      "unless that is None." },
    { "close", space_close, METH_VARARGS,
      "close(handle): they do no longer; calls under way keep the owner." },
    { 0 },
};

static PyType_Slot space_slots[] = {
    { Py_tp_doc, "Space(): what messages to a protection domain may name, memory and modules in C." },
    { Py_tp_new, space_new },
    { Py_tp_dealloc, space_free },
    { Py_tp_methods, space_methods },
    { 0, NULL },
};

PyType_Spec qda_space_spec = {
    "qda.core._core.Space", sizeof(struct qda_space_object), 0, Py_TPFLAGS_DEFAULT, space_slots,
};
