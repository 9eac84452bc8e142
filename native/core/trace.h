/* What is noted of the core's own calls while somebody wants to know: a record each, in a ring of
 * Python's that is decoded later (`qda.core.ring`).  Who uses it has the interpreter's lock. */
#ifndef QDA_CORE_TRACE_H
#define QDA_CORE_TRACE_H

#include "module.h"

/* What the clock shows if somebody wants to know of calls, else 0. */
uint64_t qda_trace_now(void);

/* Note a call whose answer has come: times, handle, scalars, result and thread are in `traced`. */
void qda_trace_note(struct qda_traced *traced, const struct qda_session *session,
                    const struct qda_call *call);

/* The function `trace` of the module. */
PyObject *qda_trace(PyObject *module, PyObject *memory);

#endif
