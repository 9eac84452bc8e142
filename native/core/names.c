#include "names.h"

#include <stdlib.h>
#include <string.h>

struct named {
    struct qda_object object;
    PyObject *owner;
};

static void forget(struct named *named)
{
    PyObject *owner = named->owner;
    free(named);
    Py_XDECREF(owner); /* which may do anything */
}

/* Make room for a name.  0, or -1 with an exception. */
static int make_room(struct qda_session *session, uint32_t name)
{
    uint32_t names = name < 64 ? 64 : (name | (name >> 1)) + 1;
    size_t size = sizeof(struct qda_object *);
    struct qda_object **objects = realloc(session->objects, size * names);
    if (!objects) {
        PyErr_NoMemory();
        return -1;
    }
    memset(objects + session->names, 0, size * (names - session->names));
    session->objects = objects;
    session->names = names;
    return 0;
}

PyObject *qda_names_add(struct qda_session *session, PyObject *arguments)
{
    enum { LAST = 1 << 20 };
    unsigned long long device, size, inode;
    unsigned int name, major, minor;
    PyObject *owner;
    if (!PyArg_ParseTuple(arguments, "IKKKIIO:add", &name, &device, &size, &inode, &major, &minor,
                          &owner))
        return NULL;
    if (name > LAST)
        Py_RETURN_NONE; /* its calls go the long way */
    if (name >= session->names && make_room(session, name))
        return NULL;
    if (session->objects[name])
        return PyErr_Format(PyExc_ValueError, "name %u is taken", name);
    struct named *added = calloc(1, sizeof *added);
    if (!added)
        return PyErr_NoMemory();
    added->object = (struct qda_object){ device, size, inode, major, minor, 0, 1 };
    added->owner = Py_NewRef(owner);
    session->objects[name] = &added->object;
    Py_RETURN_NONE;
}

PyObject *qda_names_take(struct qda_session *session, unsigned long name)
{
    if (name >= session->names || !session->objects[name])
        return NULL;
    struct named *taken = (struct named *)session->objects[name];
    PyObject *owner = Py_NewRef(taken->owner);
    session->objects[name] = NULL;
    taken->object.named = 0;
    if (!taken->object.users)
        forget(taken);
    return owner;
}

void qda_names_clear(struct qda_session *session)
{
    for (uint32_t name = 0; name < session->names; name++) {
        PyObject *owner = qda_names_take(session, name);
        Py_XDECREF(owner);
    }
}

void qda_unpin(struct qda_call *call)
{
    struct named *last[QDA_BUFFERS + QDA_HANDLES];
    uint32_t ended = 0;
    while (call->pins) {
        struct qda_object *object = call->pinned[--call->pins];
        if (!--object->users && !object->named)
            last[ended++] = (struct named *)object;
    }
    while (ended)
        forget(last[--ended]);
}
