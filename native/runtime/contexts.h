/* Contexts: what somebody has of what one user has at a time. */
#ifndef QDA_RUNTIME_CONTEXTS_H
#define QDA_RUNTIME_CONTEXTS_H

#include <pthread.h>
#include <stdint.h>

#include "HAP_compute_res.h"

enum { VTCM = 8 << 20, PAGE = 4096 };

#pragma GCC visibility push(hidden)

/* What an attribute of the resource manager asks for. */
struct wish {
    unsigned int magic;
    unsigned int vtcm_size, min_vtcm_size;
    unsigned char serialize, hmx, cached;
    unsigned int context;
    compute_res_release_callback_t callback;
    void *client_context;
};

struct context {
    struct context *next;
    struct wish wish;
    unsigned int id;
    unsigned int offset, size; /* its VTCM */
    unsigned char granted;     /* it has what it wishes for */
    unsigned char asked;       /* to release it */
    unsigned char waits;
};

/* All that follows is guarded by the lock. */
extern pthread_mutex_t contexts_lock;
extern struct context *contexts;
extern unsigned char *vtcm;
extern unsigned int contexts_waiting;

/* Wait for changes since some were seen, without the lock; 0 if the time is up. */
unsigned int changes_so_far(void);
int wait_for_change(unsigned int seen, uint64_t deadline);
void contexts_changed(void);

struct context *find_context(unsigned int id);
/* A new context; NULL if there is no memory.  A cached one has its place in VTCM from now on. */
struct context *add_context(const struct wish *wish);
void drop_context(struct context *context);
/* Give a context what it wishes for; returns whether it could be had in time. */
int obtain(struct context *context, uint64_t deadline);
/* The largest free place in VTCM for a context, NULL for any; those of cached contexts that have
 * nothing at the moment count if that is wished. */
unsigned int largest_free(const struct context *context, int with_cached, unsigned int *offset);

#pragma GCC visibility pop

#endif
