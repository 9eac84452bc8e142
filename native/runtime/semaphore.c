/* Semaphores, barriers and pipes. */
#include "qurt_sem.h"

#include <stdlib.h>

#include "qurt_barrier.h"
#include "qurt_error.h"
#include "qurt_pipe.h"
#include "wait.h"

/* Value and number of those who wait are halves of one word, so that they change together. */
#define VALUE(word) ((word) & 0xffff)
#define ONE_WAITS 0x10000u

static unsigned int *word_of(qurt_sem_t *semaphore) { return &semaphore->raw[0]; }

void qurt_sem_init_val(qurt_sem_t *semaphore, unsigned short value)
{
    *semaphore = (qurt_sem_t){ .X = { value, 0, 0, 0, 0 } };
}

void qurt_sem_init(qurt_sem_t *semaphore) { qurt_sem_init_val(semaphore, 1); }

void qurt_sem_destroy(qurt_sem_t *semaphore) { qurt_sem_init_val(semaphore, 0); }

unsigned short qurt_sem_get_val(qurt_sem_t *semaphore)
{
    return (unsigned short)VALUE(load(word_of(semaphore)));
}

int qurt_sem_add(qurt_sem_t *semaphore, unsigned int amount)
{
    unsigned int seen = load(word_of(semaphore));
    do {
        if (amount > 0xffff - VALUE(seen))
            return QURT_EVAL;
    } while (!replace(word_of(semaphore), &seen, seen + amount));
    if (seen >= ONE_WAITS)
        wake_word(word_of(semaphore), (int)amount);
    return QURT_EOK;
}

int qurt_sem_try_down(qurt_sem_t *semaphore)
{
    unsigned int seen = load(word_of(semaphore));
    do {
        if (!VALUE(seen))
            return QURT_EFAILED;
    } while (!replace(word_of(semaphore), &seen, seen - 1));
    return QURT_EOK;
}

static int down(qurt_sem_t *semaphore, uint64_t deadline)
{
    if (!qurt_sem_try_down(semaphore))
        return QURT_EOK;
    int status = QURT_EOK;
    unsigned int seen = add(word_of(semaphore), ONE_WAITS) + ONE_WAITS;
    for (;;) {
        /* Leave with one, or without if the time is up. */
        if (VALUE(seen) || status) {
            unsigned int left = seen - ONE_WAITS - (VALUE(seen) ? 1 : 0);
            if (replace(word_of(semaphore), &seen, left))
                return VALUE(seen) ? QURT_EOK : status;
        } else {
            if (!wait_word(word_of(semaphore), seen, deadline))
                status = QURT_ETIMEDOUT;
            seen = load(word_of(semaphore));
        }
    }
}

int qurt_sem_down(qurt_sem_t *semaphore) { return down(semaphore, FOR_EVER); }

int qurt_sem_down_timed(qurt_sem_t *semaphore, unsigned long long duration)
{
    return down(semaphore, deadline_in(duration));
}

/* Barriers. */

int qurt_barrier_init(qurt_barrier_t *barrier, unsigned int threads_total)
{
    if (!threads_total)
        return QURT_EINVALID;
    *barrier = (qurt_barrier_t){ { 0, 0, threads_total, 0, 0 } };
    return QURT_EOK;
}

int qurt_barrier_destroy(qurt_barrier_t *barrier)
{
    (void)barrier;
    return QURT_EOK;
}

int qurt_barrier_wait(qurt_barrier_t *barrier)
{
    unsigned int round = load(&barrier->queue);
    if (add(&barrier->reserved, 1) + 1 == barrier->threads_total) {
        store(&barrier->reserved, 0);
        add(&barrier->queue, 1);
        wake_word(&barrier->queue, INT_MAX);
        return QURT_BARRIER_SERIAL_THREAD;
    }
    while (load(&barrier->queue) == round)
        wait_word(&barrier->queue, round, FOR_EVER);
    return QURT_BARRIER_OTHER;
}

/* Pipes. */

int qurt_pipe_init(qurt_pipe_t *pipe, qurt_pipe_attr_t *attr)
{
    if (!attr->buffer || !attr->elements || attr->elements > 0xffff)
        return QURT_EINVALID;
    *pipe = (qurt_pipe_t){ .size = attr->elements, .data = attr->buffer };
    qurt_mutex_init(&pipe->pipe_lock);
    qurt_sem_init_val(&pipe->senders, (unsigned short)attr->elements);
    qurt_sem_init_val(&pipe->receiver, 0);
    return QURT_EOK;
}

int qurt_pipe_create(qurt_pipe_t **pipe, qurt_pipe_attr_t *attr)
{
    qurt_pipe_attr_t own = *attr;
    qurt_pipe_t *made = malloc(sizeof *made + sizeof *made->data * attr->elements);
    if (!made)
        return QURT_EMEM;
    own.buffer = (qurt_pipe_data_t *)(made + 1);
    int status = qurt_pipe_init(made, &own);
    if (status)
        free(made);
    else
        *pipe = made;
    return status;
}

void qurt_pipe_destroy(qurt_pipe_t *pipe) { pipe->size = 0; }

void qurt_pipe_delete(qurt_pipe_t *pipe) { free(pipe); }

static void put(qurt_pipe_t *pipe, qurt_pipe_data_t data)
{
    qurt_mutex_lock(&pipe->pipe_lock);
    pipe->data[pipe->sendidx] = data;
    pipe->sendidx = (pipe->sendidx + 1) % pipe->size;
    qurt_mutex_unlock(&pipe->pipe_lock);
    qurt_sem_up(&pipe->receiver);
}

static qurt_pipe_data_t get(qurt_pipe_t *pipe)
{
    qurt_mutex_lock(&pipe->pipe_lock);
    qurt_pipe_data_t data = pipe->data[pipe->recvidx];
    pipe->recvidx = (pipe->recvidx + 1) % pipe->size;
    qurt_mutex_unlock(&pipe->pipe_lock);
    qurt_sem_up(&pipe->senders);
    return data;
}

void qurt_pipe_send(qurt_pipe_t *pipe, qurt_pipe_data_t data)
{
    qurt_sem_down(&pipe->senders);
    put(pipe, data);
}

int qurt_pipe_try_send(qurt_pipe_t *pipe, qurt_pipe_data_t data)
{
    int status = qurt_sem_try_down(&pipe->senders);
    if (!status)
        put(pipe, data);
    return status;
}

qurt_pipe_data_t qurt_pipe_receive(qurt_pipe_t *pipe)
{
    qurt_sem_down(&pipe->receiver);
    return get(pipe);
}

qurt_pipe_data_t qurt_pipe_try_receive(qurt_pipe_t *pipe, int *success)
{
    *success = qurt_sem_try_down(&pipe->receiver);
    return *success ? 0 : get(pipe);
}

int qurt_pipe_is_empty(qurt_pipe_t *pipe) { return !qurt_sem_get_val(&pipe->receiver); }
