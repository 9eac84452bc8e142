/* The DSP's side of a call: from a message to arguments in memory, to a method in C, and the answer. */
#ifndef QDA_CORE_DSP_H
#define QDA_CORE_DSP_H

#include "lane.h"
#include "wire.h"

/* Memory that the driver has announced: `size` bytes on the bus from `bus`, which lie at `bytes`
 * here.  `users` counts the calls under way that reach it; while there are some it is not unmapped,
 * also when it has been withdrawn. */
struct qda_region {
    uint64_t bus, size;
    unsigned char *bytes;
    uint32_t users;
    uint32_t gone; /* withdrawn, and only calls under way keep it */
};

/* A module in C, as a client has opened it.  Its entry is `skel_handle_invoke`, which gets `own`,
 * the library's handle of it, or `skel_invoke`, which gets none.  `users` counts the calls under way
 * in it; while there are some its code stays, also when it has been closed. */
struct qda_module {
    uint32_t handle;
    int32_t client_id;
    void (*entry)(void);
    uint64_t own;
    uint32_t has_own;
    uint32_t first; /* methods below this are not in C */
    uint32_t users;
    uint32_t gone; /* closed, and only calls under way keep it */
};

/* What messages to a protection domain may name: regions by bus address, modules by handle. */
struct qda_space {
    struct qda_region **regions;
    struct qda_module **modules;
    uint32_t count, opened;
};

/* One argument in memory.  Of a handle, `fd`, `offset` and `raw` are what it says; `bytes` is NULL
 * if it names no object. */
struct qda_argument {
    unsigned char *bytes;
    uint64_t length;
    int32_t fd;
    uint32_t offset;
    uint64_t raw;
};

/* One argument as a method in C gets it: its `remote_arg` (spec/fastrpc.md 1.2). */
union qda_remote_argument {
    struct {
        void *bytes;
        size_t length;
    } buffer;
    uint64_t handle;
};

/* A call as the protection domain has it.  `client_id` is bound to the lane: what the message says
 * of it must be the same. */
struct qda_served {
    struct qda_message message;
    struct qda_shape shape;
    uint32_t pins;
    struct qda_region *pinned[QDA_ARGUMENTS + 2];
    int polled; /* messages have a poll word */
    unsigned char *poll_word; /* of this call, NULL if it has none */
    struct qda_module *module; /* NULL: it is not for one in C */
    struct qda_argument arguments[QDA_ARGUMENTS];
    union qda_remote_argument remote[QDA_ARGUMENTS];
    unsigned char metadata[QDA_PER_ARGUMENT * QDA_ARGUMENTS];
};

/* Statuses of the DSP (qda.errors, which a test compares). */
enum qda_status {
    QDA_FAILED = 0x80000401,
    QDA_BAD_PARAMETER = 0x8000040e,
    QDA_UNSUPPORTED = 0x80000414,
    QDA_BAD_ADDRESS = 0x80000483,
    QDA_NO_SUCH_CLIENT = 0x8000044a,
};

/* Copy the message out of a lane whose bell has rung, and find its arguments, and its module if that
 * is in C.  `driver` says that the lane is the driver's own, on which handle 1 may come.  Returns 0,
 * or the status to answer with; unpin in either case. */
uint32_t qda_dsp_take(struct qda_space *space, struct qda_served *served, struct qda_lane *lane,
                      int32_t client_id, int driver);

/* Run a call that is for a module in C; returns the method's status. */
int32_t qda_dsp_run(struct qda_served *served);

/* Write the answer of a call into its lane, not yet rung. */
void qda_dsp_answer(const struct qda_served *served, struct qda_lane *lane, int32_t result);

/* Give up the memory and the code that a call keeps in place. */
void qda_dsp_unpin(struct qda_served *served);

#endif
