/* What the parts of the extension module share. */
#ifndef QDA_CORE_MODULE_H
#define QDA_CORE_MODULE_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "dsp.h"
#include "host.h"

/* A new object of the type, all zeros. */
void *qda_allocate(PyTypeObject *type);

/* Free an object whose contents have been given back. */
void qda_release(PyObject *self);

struct qda_port_object {
    PyObject_HEAD
    struct qda_client client;
};

/* The number of the calling thread, as the kernel has it. */
int32_t qda_this_thread(void);

/* Whether somebody wants to know when methods run. */
extern uint32_t qda_times_wanted;

extern PyMethodDef qda_functions[];
extern PyType_Spec qda_emitter_spec, qda_port_spec, qda_pool_spec, qda_space_spec, qda_server_spec,
    qda_queue_hub_spec, qda_queue_spec;

#endif
