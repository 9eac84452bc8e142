/* What the clients of a protection domain have mapped under names, and how often packets refer to it. */
#ifndef QDA_CORE_MAPPINGS_H
#define QDA_CORE_MAPPINGS_H

#include <pthread.h>
#include <stdint.h>

struct qda_mapping {
    int32_t client_id, fd;
    uint64_t address, size;
    uint32_t references; /* of packets; the mapping is not counted */
};

struct qda_mappings {
    pthread_mutex_t lock;
    struct qda_mapping *all; /* the newest last: it has the name if another has it, too */
    uint32_t count, holders;
};

struct qda_mappings *qda_mappings_make(void);
struct qda_mappings *qda_mappings_hold(struct qda_mappings *mappings);
void qda_mappings_release(struct qda_mappings *mappings);

/* Returns 0, or -1 without memory. */
int qda_mappings_add(struct qda_mappings *mappings, struct qda_mapping added);
void qda_mappings_remove(struct qda_mappings *mappings, uint64_t address);

/* The mapping of a client under a name, with `change` more references, or less; returns 0, or a
 * status of `qda_queue_status`. */
uint32_t qda_mappings_refer(struct qda_mappings *mappings, int32_t client_id, int32_t fd, int change,
                            struct qda_mapping *found);

#endif
