/* The core as a Python extension module, in the stable ABI: one file serves every CPython from 3.11
 * on.  Written against the C API and not in Cython, because what is bound are a few objects, while
 * a generator would add a build dependency and thirty thousand lines.
 *
 * What threads of this process share is touched only while the interpreter is held; it is let go of
 * while a side waits, and taken once for a method. */
#include "queues.h"
#include "version.h"

#include <errno.h>
#include <stdlib.h>

void *qda_allocate(PyTypeObject *type)
{
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return make(type, 0);
}

void qda_release(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc end = (freefunc)PyType_GetSlot(type, Py_tp_free);
    end(self);
    Py_DECREF(type);
}

static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    int failed = !type || PyModule_AddObjectRef(module, name, type);
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static int execute(PyObject *module)
{
    if (add_type(module, "Emitter", &qda_emitter_spec) || add_type(module, "Port", &qda_port_spec)
        || add_type(module, "Pool", &qda_pool_spec) || add_type(module, "Space", &qda_space_spec)
        || add_type(module, "Server", &qda_server_spec)
        || add_type(module, "QueueHub", &qda_queue_hub_spec)
        || add_type(module, "Queue", &qda_queue_spec))
        return -1;
    PyObject *functions = qda_dspqueue_functions();
    int refused = !functions || PyModule_AddObjectRef(module, "QUEUE_FUNCTIONS", functions);
    Py_XDECREF(functions);
    if (refused)
        return -1;
    PyObject *version = PyLong_FromUnsignedLong(QDA_CORE_VERSION);
    int failed = !version || PyModule_AddObjectRef(module, "VERSION", version);
    Py_XDECREF(version);
    if (failed)
        return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = { { Py_mod_exec, (void *)execute }, { 0, NULL } };

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "qda.core._core",
    .m_doc = "The hot path of a call, compiled; `qda.core.twin` says the same in Python.",
    .m_methods = qda_functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
