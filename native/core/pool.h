/* The lanes of a session on the driver's side, and the calls on them.  Who uses them has the
 * interpreter's lock. */
#ifndef QDA_CORE_POOL_H
#define QDA_CORE_POOL_H

#include "names.h"
#include "states.h"

/* A lane: it is free, carries a call of the core's own, or is claimed for one of Python's, who then
 * has its state. */
struct qda_entry {
    struct qda_call call;
    struct qda_waiter waiter;
    enum qda_call_state state; /* of the call of our own; QDA_CALL_OVER if there is none */
    int claimed;
    uint32_t doubted; /* during which request its words were found to be none that there can be */
};

struct qda_pool {
    PyObject_HEAD
    struct qda_session session;
    struct qda_entry *lanes[QDA_LANES + 1];
    uint64_t free[QDA_LANES / 64 + 1]; /* a bit for each lane that may be used */
    uint32_t abandoned, calling;
    int closed;
    uint32_t poll; /* see `qda_choose_look` */
    PyObject *idle;
    _Atomic uint32_t dead;
    struct qda_guard guard;
};

void qda_pool_free_lane(struct qda_pool *self, struct qda_entry *entry);
void qda_pool_use_lane(struct qda_pool *self, struct qda_entry *entry);

/* End the calls whose callers went away and which have been answered by now. */
void qda_pool_reap(struct qda_pool *self);

/* See the methods `guard` and `look`. */
PyObject *qda_pool_guard(PyObject *object, PyObject *bell);
PyObject *qda_pool_look(PyObject *object, PyObject *nothing);

/* See the method `invoke`. */
PyObject *qda_pool_invoke(PyObject *object, PyObject *const *arguments, Py_ssize_t count);

#endif
