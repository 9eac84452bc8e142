/* Barriers of QuRT: a number of threads wait until all of them have come. */

#ifndef QURT_BARRIER_H
#define QURT_BARRIER_H

#include "qurt_mutex.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QURT_BARRIER_OTHER 0
#define QURT_BARRIER_SERIAL_THREAD 1

typedef union {
    __extension__ struct {
        unsigned short threads_left;
        unsigned short count;
        unsigned int threads_total;
        unsigned int queue; /* how often all have come */
        unsigned int reserved;
    };
    unsigned long long raw;
} qurt_barrier_t;

int qurt_barrier_init(qurt_barrier_t* barrier, unsigned int threads_total);
int qurt_barrier_destroy(qurt_barrier_t* barrier);
/* One of the threads gets QURT_BARRIER_SERIAL_THREAD, all others QURT_BARRIER_OTHER. */
int qurt_barrier_wait(qurt_barrier_t* barrier);

#ifdef __cplusplus
}
#endif

#endif
