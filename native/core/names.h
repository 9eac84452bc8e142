/* The buffer objects that calls of a session may name, each with what keeps it alive. */
#ifndef QDA_CORE_NAMES_H
#define QDA_CORE_NAMES_H

#include "module.h"

/* add(name, device, size, inode, major, minor, owner): None, or NULL with an exception. */
PyObject *qda_names_add(struct qda_session *session, PyObject *arguments);

/* Give a name back.  Returns the owner, which is the caller's to release, NULL if there is none. */
PyObject *qda_names_take(struct qda_session *session, unsigned long name);

/* Give all names back. */
void qda_names_clear(struct qda_session *session);

/* Give up the objects that a call keeps in place.  One whose name was given back meanwhile ends
 * with its last call. */
void qda_unpin(struct qda_call *call);

#endif
