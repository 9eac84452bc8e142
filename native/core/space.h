/* The memory and the modules of a protection domain, as its lanes use them. */
#ifndef QDA_CORE_SPACE_H
#define QDA_CORE_SPACE_H

#include <pthread.h>

#include "mappings.h"
#include "module.h"

struct qda_space_object {
    PyObject_HEAD
    struct qda_space space;
    pthread_mutex_t lock;
    struct qda_mappings *mappings;
};

/* qda_dsp_take; what the call has found is kept for it.  The interpreter is not needed. */
uint32_t qda_space_enter(struct qda_space_object *space, struct qda_served *served,
                         struct qda_lane *lane, int32_t client_id, int driver);

/* Give up what a call keeps.  Returns whether it was the last to have something that is gone, which
 * then waits for `qda_space_forget`.  The interpreter is not needed. */
int qda_space_leave(struct qda_space_object *space, struct qda_served *served);

/* Give up the owners of what has ended with the call. */
void qda_space_forget(struct qda_served *served);

#endif
