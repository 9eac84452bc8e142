/* The driver's side of a call: from argument elements to a message, and from a response to results.
 *
 * Only what goes well is done here.  Whatever is not simply right is declined before anything is
 * sent, and the Python driver takes the call over: it has the errors, in their order.  So there is
 * no way for the two to disagree about an errno. */
#ifndef QDA_CORE_DRIVER_H
#define QDA_CORE_DRIVER_H

#include "lane.h"
#include "wire.h"

/* No result of a call, which has 32 bits: a DSP may say any of those. */
#define QDA_DECLINED (-((int64_t)1 << 32))

/* A tag: the kind of protection domain, and how calls are written (qda.fastrpc.message.CallForm). */
enum {
    QDA_TAG_DOMAIN = 0xff,
    QDA_TAG_HANDLES = 0x100, /* elements name objects by handles alone: none is below 0 */
    QDA_TAG_NUMBERED = 0x200, /* context words have sequence numbers, messages a poll word */
};

/* Bytes to copy between the client's memory and memory here. */
struct qda_piece {
    uint64_t there;
    unsigned char *here;
    uint64_t length;
};

/* Message memory. */
struct qda_room {
    unsigned char *bytes;
    uint64_t device, size; /* its address on the bus */
};

/* A mapping of the client: [start, end), from `offset` of a file. */
struct qda_area {
    uint64_t start, end, offset, inode;
    uint32_t major, minor;
};

/* The client of a call, and what is asked of the system about it.  Each function returns 0, or a
 * negative errno and then nothing else is promised. */
struct qda_port {
    long (*fetch)(struct qda_port *port, const struct qda_piece *pieces, uint32_t count);
    long (*store)(struct qda_port *port, const struct qda_piece *pieces, uint32_t count);
    long (*locate)(struct qda_port *port, uint64_t address, struct qda_area *found);
    uint64_t limit; /* first address above user space */
};

/* A buffer object that arguments may name.  `users` counts the calls that have it in a message;
 * `named` is 0 once the name has been given back.  Whoever gives it back looks for users after that,
 * and whoever uses it looks for the name after that: of two who pass each other, at least one sees
 * the other. */
struct qda_object {
    uint64_t device, size, inode;
    uint32_t major, minor;
    _Atomic uint32_t users, named;
};

/* A session as the core knows it. */
struct qda_session {
    unsigned char *pool;
    uint64_t device; /* address of the pool on the bus */
    int32_t client_id;
    uint32_t tag; /* kind of protection domain in context words, and the form of calls */
    struct qda_object **objects; /* by name; NULL where there is none */
    uint32_t names;
    /* Where the names are not in such a table: the object that a name means, with one user more, or
     * NULL. */
    struct qda_object *(*take)(struct qda_session *session, int32_t name);
    uint32_t domain; /* number of the DSP, for traces */
};

/* A call on a lane, with the room that it works in: private to the driver. */
struct qda_call {
    uint32_t lane, number;
    uint64_t context;
    struct qda_room longer; /* for messages that do not fit the lane's slot; size 0: there is none */
    uint32_t outputs, pins;
    struct qda_object *pinned[QDA_BUFFERS + QDA_HANDLES];
    struct qda_piece output[QDA_OUTPUTS + 1]; /* one more for whoever finishes the call */
    /* Only while the message is made: */
    struct qda_element elements[QDA_ARGUMENTS];
    struct qda_piece input[QDA_OUTPUTS];
    int64_t positions[QDA_BUFFERS];
    struct {
        struct qda_object *object;
        uint64_t offset;
    } backing[QDA_ARGUMENTS]; /* of those that lie in buffer objects */
    uint16_t order[QDA_BUFFERS], other[QDA_BUFFERS];
};

/* What is noted of a call for a trace; times are nanoseconds of CLOCK_MONOTONIC. */
struct qda_traced {
    uint64_t begun, sent, answered, ended;
    struct qda_times method; /* zeros if the DSP has told none, or none that can be */
    uint64_t copied, shared, longest; /* bytes of arguments */
    uint32_t handle, scalars, number; /* of the method */
    int32_t result, thread, client_id;
    uint32_t domain, unused;
};

/* Make the message of a call and put it into its lane, not yet rung.  Returns 0, or QDA_DECLINED
 * with nothing changed but the lane's own memory. */
int64_t qda_driver_begin(struct qda_session *session, struct qda_call *call, struct qda_port *port,
                         int32_t tid, uint32_t handle, uint32_t scalars, uint64_t elements);

/* Take the answer of a call whose bell has rung.  Returns 1 and the result, or 0 if what has come
 * is not its answer (H15). */
int qda_driver_answered(struct qda_session *session, struct qda_call *call, int32_t *result);

/* Copy inline outputs to the client, with the lengths that it asked for (H14).  0 or -EFAULT. */
long qda_driver_finish(struct qda_call *call, struct qda_port *port);

/* Give up the objects that a call keeps in place. */
void qda_driver_unpin(struct qda_call *call);

#endif
