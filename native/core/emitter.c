/* The client's side for Python: from arguments in memory to the structure of INVOKE.
 *
 * What is not plain is declined, and the client in Python does it: it has the errors. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

/* A buffer of the client: [start, end), which elements name by a number. */
struct place {
    uint64_t start, end;
    uint32_t name;
};

/* A slot of the arena: where the arguments of one call lie that lie in no buffer. */
struct slot {
    uint64_t address;
    uint32_t name; /* of the arena's buffer */
};

struct emitter {
    PyObject_HEAD
    struct place *places;
    uint32_t count, room;
    uint32_t slot_size; /* 0: such arguments are not packed, the driver copies them */
    struct slot *slots; /* those that are free */
    uint32_t free, slot_room;
    int closed; /* the session has ended, and the slots with it */
};

static PyObject *emitter_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    unsigned int slot_size;
    (void)names;
    if (!PyArg_ParseTuple(arguments, "I:Emitter", &slot_size))
        return NULL;
    struct emitter *self = qda_allocate(type);
    if (self)
        self->slot_size = slot_size;
    return (PyObject *)self;
}

static void emitter_free(PyObject *object)
{
    free(((struct emitter *)object)->places);
    free(((struct emitter *)object)->slots);
    qda_release(object);
}

/* How many places begin at that address or before it. */
static uint32_t places_before(const struct emitter *self, uint64_t address)
{
    uint32_t low = 0, high = self->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (self->places[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static PyObject *emitter_add(PyObject *object, PyObject *arguments)
{
    struct emitter *self = (struct emitter *)object;
    unsigned long long start, end;
    unsigned int name;
    if (!PyArg_ParseTuple(arguments, "KKI:add", &start, &end, &name))
        return NULL;
    if (self->count == self->room) {
        uint32_t room = self->room ? 2 * self->room : 16;
        struct place *places = realloc(self->places, sizeof *places * room);
        if (!places)
            return PyErr_NoMemory();
        self->places = places;
        self->room = room;
    }
    uint32_t index = places_before(self, start);
    memmove(self->places + index + 1, self->places + index,
            sizeof *self->places * (self->count - index));
    self->places[index] = (struct place){ start, end, name };
    self->count++;
    Py_RETURN_NONE;
}

static PyObject *emitter_remove(PyObject *object, PyObject *arguments)
{
    struct emitter *self = (struct emitter *)object;
    unsigned long long start;
    unsigned int name;
    if (!PyArg_ParseTuple(arguments, "KI:remove", &start, &name))
        return NULL;
    uint32_t index = places_before(self, start);
    while (index && self->places[index - 1].start == start
           && self->places[index - 1].name != name)
        index--;
    if (index && self->places[index - 1].start == start) {
        memmove(self->places + index - 1, self->places + index,
                sizeof *self->places * (self->count - index));
        self->count--;
    }
    Py_RETURN_NONE;
}

/* A slot is free.  There may be more of them than ever before, if others came while calls had these.
 * 0 if it is lost for lack of memory. */
static int push(struct emitter *self, struct slot slot)
{
    if (self->free == self->slot_room) {
        uint32_t room = self->slot_room ? 2 * self->slot_room : 16;
        struct slot *slots = realloc(self->slots, sizeof *slots * room);
        if (!slots)
            return 0;
        self->slots = slots;
        self->slot_room = room;
    }
    self->slots[self->free++] = slot;
    return 1;
}

static PyObject *emitter_lend(PyObject *object, PyObject *arguments)
{
    struct emitter *self = (struct emitter *)object;
    unsigned long long address;
    unsigned int name;
    if (!PyArg_ParseTuple(arguments, "KI:lend", &address, &name))
        return NULL;
    if (!self->closed && !push(self, (struct slot){ address, name }))
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *emitter_take(PyObject *object, PyObject *none)
{
    struct emitter *self = (struct emitter *)object;
    (void)none;
    if (!self->free)
        Py_RETURN_NONE;
    struct slot slot = self->slots[--self->free];
    return Py_BuildValue("(KI)", (unsigned long long)slot.address, slot.name);
}

static PyObject *emitter_close(PyObject *object, PyObject *none)
{
    struct emitter *self = (struct emitter *)object;
    (void)none;
    self->closed = 1;
    self->free = 0;
    Py_RETURN_NONE;
}

/* The memory of a call's arguments, until it is over.  What of them is packed lies in `slot`, each
 * at its place; a slot that nobody has given back is lost, since the DSP may still write there. */
struct kept {
    struct slot slot; /* address 0: none */
    uint32_t count, inputs, used;
    unsigned char **places; /* for each view, NULL if it is not packed */
    Py_buffer views[];
};

static void forget(PyObject *capsule)
{
    struct kept *kept = PyCapsule_GetPointer(capsule, NULL);
    while (kept->count)
        PyBuffer_Release(&kept->views[--kept->count]);
    free(kept);
}

static int overlap(const Py_buffer *a, const Py_buffer *b)
{
    const char *first = a->buf, *second = b->buf;
    return first < second + b->len && second < first + a->len;
}

/* Pack an argument into the call's slot.  0 if that cannot be: there is no slot, no room in it, or an
 * output shares bytes with another argument, as the client in Python packs them. */
static int pack(struct emitter *self, struct kept *kept, int writable, struct qda_element *element)
{
    uint32_t index = kept->count - 1;
    const Py_buffer *view = &kept->views[index];
    uint64_t length = element->length;

    if (self->closed)
        return 0;
    if (!kept->slot.address) {
        if (!self->free)
            return 0;
        kept->slot = self->slots[--self->free];
    }
    for (uint32_t other = 0; writable && other < index; other++)
        if (kept->places[other] && overlap(view, &kept->views[other]))
            return 0;
    if (length > self->slot_size - kept->used)
        return 0;
    unsigned char *place = (unsigned char *)(uintptr_t)kept->slot.address + kept->used;
    if (writable)
        memset(place, 0, length);
    else
        memcpy(place, view->buf, length);
    kept->used += (uint32_t)qda_align(length, QDA_ALIGNMENT);
    if (kept->used > self->slot_size)
        kept->used = self->slot_size;
    kept->places[index] = place;
    element->address = (uint64_t)(uintptr_t)place;
    element->fd = (int32_t)kept->slot.name;
    return 1;
}

/* A slot is for others, as long as there is one: then there is room, where it was taken from. */
static void give_back(struct emitter *self, struct kept *kept)
{
    if (kept->slot.address && !self->closed)
        push(self, kept->slot);
    kept->slot.address = 0;
}

/* The call is over: copy its outputs, if they are of any worth, and have the slot for others.  False
 * if they are gone, as the session has ended meanwhile. */
static PyObject *emitter_finish(PyObject *object, PyObject *arguments)
{
    struct emitter *self = (struct emitter *)object;
    PyObject *capsule;
    int copies;
    if (!PyArg_ParseTuple(arguments, "Op:finish", &capsule, &copies))
        return NULL;
    struct kept *kept = capsule == Py_None ? NULL : PyCapsule_GetPointer(capsule, NULL);
    PyErr_Clear();
    if (!kept || !kept->slot.address)
        Py_RETURN_TRUE;
    if (self->closed)
        Py_RETURN_FALSE;
    for (uint32_t index = kept->inputs; copies && index < kept->count; index++)
        if (kept->places[index])
            memcpy(kept->views[index].buf, kept->places[index], (size_t)kept->views[index].len);
    give_back(self, kept);
    Py_RETURN_TRUE;
}

/* Describe one argument.  0 if it is not plain memory. */
static int emit(struct emitter *self, PyObject *item, int writable, struct kept *kept,
                struct qda_element *element)
{
    Py_buffer *view = &kept->views[kept->count];
    int flags = PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);

    if (PyObject_GetBuffer(item, view, flags)) {
        PyErr_Clear();
        return 0;
    }
    kept->count++;
    *element = (struct qda_element){ .fd = self->slot_size ? 0 : -1 };
    if (view->format && strchr(view->format, 'O'))
        return 0; /* the DSP cannot see Python objects */
    if (!view->len)
        return 1;
    element->address = (uint64_t)(uintptr_t)view->buf;
    element->length = (uint64_t)view->len;
    uint32_t index = PyBytes_CheckExact(item) ? 0 : places_before(self, element->address);
    if (index && element->address + element->length <= self->places[index - 1].end) {
        if (!self->places[index - 1].name)
            return 0; /* its name has to be asked for */
        element->fd = (int32_t)self->places[index - 1].name;
        return 1;
    }
    return !self->slot_size || pack(self, kept, writable, element);
}

static int emit_all(struct emitter *self, PyObject *items, Py_ssize_t count, int writable,
                    struct kept *kept, struct qda_element *elements)
{
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *item = PySequence_GetItem(items, index);
        int plain = item && emit(self, item, writable, kept, &elements[index]);
        Py_XDECREF(item);
        if (!plain)
            return 0;
    }
    return 1;
}

/* Room for the views of so many arguments, in a capsule that gives them back.  NULL with an
 * exception. */
static PyObject *make_kept(Py_ssize_t count, struct kept **kept)
{
    size_t each = sizeof(Py_buffer) + sizeof(unsigned char *);
    *kept = calloc(1, sizeof **kept + each * (size_t)count);
    if (!*kept)
        return PyErr_NoMemory();
    (*kept)->places = (void *)((*kept)->views + count);
    PyObject *capsule = PyCapsule_New(*kept, NULL, forget);
    if (!capsule)
        free(*kept);
    return capsule;
}

/* Write the structure and its elements.  NULL, at times without an exception, if it cannot be. */
static PyObject *write_request(struct emitter *self, uint32_t handle, uint32_t method,
                               PyObject *ins, PyObject *outs, Py_ssize_t inputs,
                               Py_ssize_t outputs)
{
    Py_ssize_t count = inputs + outputs;
    struct kept *kept = NULL;
    PyObject *capsule = count ? make_kept(count, &kept) : Py_NewRef(Py_None);
    PyObject *request = capsule
        ? PyByteArray_FromStringAndSize(NULL, 16 + (Py_ssize_t)sizeof(struct qda_element) * count)
        : NULL;
    PyObject *both = request ? PyTuple_New(2) : NULL;
    if (!both) {
        Py_XDECREF(request);
        Py_XDECREF(capsule);
        return NULL;
    }
    PyTuple_SetItem(both, 0, request);
    PyTuple_SetItem(both, 1, capsule);
    char *bytes = PyByteArray_AsString(request);
    struct qda_element *elements = (void *)(bytes + 16);
    if (count)
        kept->inputs = (uint32_t)inputs;
    if (count
        && (!emit_all(self, ins, inputs, 0, kept, elements)
            || !emit_all(self, outs, outputs, 1, kept, elements + inputs))) {
        give_back(self, kept);
        Py_DECREF(both);
        return NULL;
    }
    uint32_t words[2] = { handle,
                          (method < 31 ? method : 31) << 24 | (uint32_t)inputs << 16
                              | (uint32_t)outputs << 8 };
    uint64_t address = count ? (uint64_t)(uintptr_t)elements : 0;
    memcpy(bytes, words, sizeof words);
    memcpy(bytes + sizeof words, &address, sizeof address);
    return both;
}

static PyObject *emitter_request(PyObject *object, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 4)
        return PyErr_Format(PyExc_TypeError, "request of %zd arguments: it has 4", count);
    unsigned long handle = PyLong_AsUnsignedLong(arguments[0]);
    unsigned long method = PyErr_Occurred() ? 0 : PyLong_AsUnsignedLong(arguments[1]);
    Py_ssize_t inputs = PyErr_Occurred() ? -1 : PySequence_Size(arguments[2]);
    Py_ssize_t outputs = inputs < 0 ? -1 : PySequence_Size(arguments[3]);
    PyObject *request = NULL;
    if (outputs >= 0 && handle <= UINT32_MAX && method <= INT32_MAX && inputs <= 255
        && outputs <= 255)
        request = write_request((struct emitter *)object, (uint32_t)handle, (uint32_t)method,
                                arguments[2], arguments[3], inputs, outputs);
    if (request)
        return request;
    PyErr_Clear(); /* a plan has the words for it */
    Py_RETURN_NONE;
}

static PyMethodDef emitter_methods[] = {
    { "add", emitter_add, METH_VARARGS,
      "add(start, end, name): a buffer lies there; name 0 if it has to be asked for." },
    { "remove", emitter_remove, METH_VARARGS, "remove(start, name): it does no more." },
    { "lend", emitter_lend, METH_VARARGS,
      "lend(address, name): a slot there, of the buffer of that name, may be used from now on." },
    { "take", emitter_take, METH_NOARGS,
      "take(): address and name of a slot, which nobody else uses then; None if none is free." },
    { "finish", emitter_finish, METH_VARARGS,
      "finish(kept, copies): a call is over; what keeps its memory, and whether to copy outputs.  False\n"
      "if their slot is gone." },
    { "close", emitter_close, METH_NOARGS,
      "close(): the memory of all slots is about to go; nothing is packed any more." },
    { "request", (PyCFunction)(void (*)(void))emitter_request, METH_FASTCALL,
      "request(handle, method, ins, outs): the structure of INVOKE with its elements behind it, and\n"
      "what keeps the memory of the arguments; None if they are not all plain memory." },
    { 0 },
};

static PyType_Slot emitter_slots[] = {
    { Py_tp_doc, "Emitter(slot): writes the structures of a session's calls.  Arguments that lie in no\n"
                 "buffer it packs into slots of so many bytes; 0: the driver copies them." },
    { Py_tp_new, emitter_new },
    { Py_tp_dealloc, emitter_free },
    { Py_tp_methods, emitter_methods },
    { 0, NULL },
};

PyType_Spec qda_emitter_spec = {
    "qda.core._core.Emitter", sizeof(struct emitter), 0, Py_TPFLAGS_DEFAULT, emitter_slots,
};
