/* Mutexes of QuRT: plain, recursive, and with priorities inherited, which makes no difference here.
   Of those who wait the one of the highest priority is next.  They have the size and the free state
   of a DSP's.  Functions that try return 0 if they have it. */

#ifndef QURT_MUTEX_H
#define QURT_MUTEX_H

#include "qurt_futex.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef union qurt_mutex_aligned8 {
    __extension__ struct {
        unsigned int holder; /* thread that has it */
        unsigned int count;  /* how often */
        unsigned int queue;  /* whether it is free, and whether somebody waits */
        unsigned int wait_count;
    };
    unsigned long long raw;
} qurt_mutex_t;

typedef qurt_mutex_t qurt_rmutex2_t;

#define MUTEX_MAGIC 0xfe
#define QURTK_FUTEX_FREE_MAGIC 0x1f
#define QURT_MUTEX_INIT {{MUTEX_MAGIC, 0, QURTK_FUTEX_FREE_MAGIC, 0}}

void qurt_mutex_init(qurt_mutex_t* mutex);
void qurt_mutex_destroy(qurt_mutex_t* mutex);
void qurt_mutex_lock(qurt_mutex_t* mutex);
void qurt_mutex_unlock(qurt_mutex_t* mutex);
int qurt_mutex_try_lock(qurt_mutex_t* mutex);
/* QURT_EOK, or QURT_ETIMEDOUT after that many microseconds. */
int qurt_mutex_lock_timed(qurt_mutex_t* mutex, unsigned long long duration);

void qurt_rmutex_init(qurt_mutex_t* mutex);
void qurt_rmutex_destroy(qurt_mutex_t* mutex);
void qurt_rmutex_lock(qurt_mutex_t* mutex);
void qurt_rmutex_unlock(qurt_mutex_t* mutex);
int qurt_rmutex_try_lock(qurt_mutex_t* mutex);
int qurt_rmutex_lock_timed(qurt_mutex_t* mutex, unsigned long long duration);

void qurt_rmutex2_init(qurt_rmutex2_t* mutex);
void qurt_rmutex2_destroy(qurt_rmutex2_t* mutex);
void qurt_rmutex2_lock(qurt_rmutex2_t* mutex);
void qurt_rmutex2_unlock(qurt_rmutex2_t* mutex);
int qurt_rmutex2_try_lock(qurt_rmutex2_t* mutex);

void qurt_pimutex_init(qurt_mutex_t* mutex);
void qurt_pimutex_destroy(qurt_mutex_t* mutex);
void qurt_pimutex_lock(qurt_mutex_t* mutex);
void qurt_pimutex_unlock(qurt_mutex_t* mutex);
int qurt_pimutex_try_lock(qurt_mutex_t* mutex);

#ifdef __cplusplus
}
#endif

#endif
