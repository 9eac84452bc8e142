/* A process that calls, for Python: `Port`. */
#include "module.h"

static PyObject *port_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    static char *words[] = { "pid", "limit", "maps", NULL };
    unsigned long long limit;
    int pid, maps;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "iKi:Port", words, &pid, &limit, &maps))
        return NULL;
    struct qda_port_object *self = qda_allocate(type);
    if (self)
        qda_client_init(&self->client, pid, limit, maps);
    return (PyObject *)self;
}

static PyType_Slot port_slots[] = {
    { Py_tp_doc, "Port(pid, limit, maps): a process whose memory calls name.  `maps` is a\n"
                 "descriptor of its /proc/PID/maps, `limit` the first address above user space." },
    { Py_tp_new, port_new },
    { Py_tp_dealloc, qda_release },
    { 0, NULL },
};

PyType_Spec qda_port_spec = {
    "qda.core._core.Port", sizeof(struct qda_port_object), 0, Py_TPFLAGS_DEFAULT, port_slots,
};
