/* Semaphores of QuRT. */

#ifndef QURT_SEM_H
#define QURT_SEM_H

#include "qurt_futex.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef union {
    unsigned int raw[2] __attribute__((aligned(8)));
    struct {
        unsigned short val;
        unsigned short n_waiting;
        unsigned int reserved1;
        unsigned int queue;
        unsigned int reserved2;
    } X;
} qurt_sem_t;

void qurt_sem_init(qurt_sem_t* semaphore); /* with value 1 */
void qurt_sem_init_val(qurt_sem_t* semaphore, unsigned short value);
void qurt_sem_destroy(qurt_sem_t* semaphore);
int qurt_sem_add(qurt_sem_t* semaphore, unsigned int amount);
int qurt_sem_down(qurt_sem_t* semaphore);
int qurt_sem_try_down(qurt_sem_t* semaphore); /* 0 if it has gone down */
/* QURT_EOK, or QURT_ETIMEDOUT after that many microseconds. */
int qurt_sem_down_timed(qurt_sem_t* semaphore, unsigned long long duration);
unsigned short qurt_sem_get_val(qurt_sem_t* semaphore);

static inline int qurt_sem_up(qurt_sem_t* semaphore) { return qurt_sem_add(semaphore, 1); }

#ifdef __cplusplus
}
#endif

#endif
