/* Queues as the extension module has them. */
#ifndef QDA_CORE_QUEUES_H
#define QDA_CORE_QUEUES_H

#include "hub.h"
#include "module.h"

/* Calls of the module `dspqueue_rpc` that carry signals; `own` is the hub. */
int32_t qda_queues_entry(uint64_t own, uint32_t scalars, union qda_remote_argument *arguments);

/* The hub of a `QueueHub`; NULL while it has no counters. */
struct qda_hub *qda_hub_of(PyObject *object);

/* Addresses of the functions of dspqueue.h, by name, for libraries of the DSP. */
PyObject *qda_dspqueue_functions(void);

#endif
