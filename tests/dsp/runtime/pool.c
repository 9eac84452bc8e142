/* A pool of threads that take jobs from a list: what the SDK's examples have a library for. */
#include <stdlib.h>

#include "AEEStdErr.h"
#include "qurt.h"
#include "skeletons.h"

enum { WORKERS = 3, NEW = 1, STOP = 2 };

struct pool {
    qurt_mutex_t lock;
    qurt_signal_t signal;
    qurt_sem_t done;
    qurt_barrier_t started;
    qurt_thread_t threads[WORKERS];
    const int *numbers;
    int length, jobs, next;
    int64 total;
    int seen[WORKERS];
};

struct worker {
    struct pool *pool;
    int index;
};

static void add_up(struct pool *pool, int job)
{
    int64 sum = 0;
    for (int i = job; i < pool->length; i += pool->jobs)
        sum += pool->numbers[i];
    qurt_mutex_lock(&pool->lock);
    pool->total += sum;
    qurt_mutex_unlock(&pool->lock);
}

static void work(void *given)
{
    struct worker *worker = (struct worker *)given;
    struct pool *pool = worker->pool;
    int index = worker->index;
    qurt_barrier_wait(&pool->started); /* nobody works before all are there */
    free(worker);
    for (;;) {
        unsigned int bits = qurt_signal_wait_any(&pool->signal, NEW | STOP);
        qurt_mutex_lock(&pool->lock);
        int job = pool->next < pool->jobs ? pool->next++ : -1;
        if (job < 0)
            qurt_signal_clear(&pool->signal, NEW);
        else
            pool->seen[index] = 1;
        qurt_mutex_unlock(&pool->lock);
        if (job >= 0) {
            add_up(pool, job);
            qurt_sem_up(&pool->done);
        } else if (bits & STOP) {
            break;
        }
    }
    qurt_thread_exit(index);
}

int pool_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    struct pool *pool = (struct pool *)calloc(1, sizeof(*pool));
    if (!pool)
        return AEE_ENOMEMORY;
    qurt_mutex_init(&pool->lock);
    qurt_signal_init(&pool->signal);
    qurt_sem_init_val(&pool->done, 0);
    qurt_barrier_init(&pool->started, WORKERS + 1);
    for (int i = 0; i < WORKERS; i++) {
        struct worker *worker = (struct worker *)malloc(sizeof(*worker));
        qurt_thread_attr_t attr;
        qurt_thread_attr_init(&attr);
        qurt_thread_attr_set_name(&attr, "worker");
        qurt_thread_attr_set_stack_size(&attr, 4096);
        qurt_thread_attr_set_priority(&attr, 100);
        if (!worker)
            return AEE_ENOMEMORY;
        worker->pool = pool;
        worker->index = i;
        if (qurt_thread_create(&pool->threads[i], &attr, work, worker))
            return AEE_ENOMEMORY;
    }
    qurt_barrier_wait(&pool->started);
    *handle = (remote_handle64)(uintptr_t)pool;
    return AEE_SUCCESS;
}

int pool_close(remote_handle64 handle)
{
    struct pool *pool = (struct pool *)(uintptr_t)handle;
    qurt_signal_set(&pool->signal, STOP);
    for (int i = 0; i < WORKERS; i++) {
        int status;
        if (qurt_thread_join(pool->threads[i], &status) || status != i)
            return AEE_EFAILED;
    }
    qurt_barrier_destroy(&pool->started);
    qurt_sem_destroy(&pool->done);
    qurt_signal_destroy(&pool->signal);
    qurt_mutex_destroy(&pool->lock);
    free(pool);
    return AEE_SUCCESS;
}

int pool_sum(remote_handle64 handle, const int *numbers, int numbersLen, int jobs, int64 *total,
             int *threads)
{
    struct pool *pool = (struct pool *)(uintptr_t)handle;
    qurt_mutex_lock(&pool->lock);
    pool->numbers = numbers;
    pool->length = numbersLen;
    pool->total = 0;
    pool->next = 0;
    pool->jobs = jobs;
    qurt_signal_set(&pool->signal, NEW);
    qurt_mutex_unlock(&pool->lock);
    for (int i = 0; i < jobs; i++)
        qurt_sem_down(&pool->done);
    qurt_mutex_lock(&pool->lock);
    *total = pool->total;
    *threads = 0;
    for (int i = 0; i < WORKERS; i++)
        *threads += pool->seen[i];
    qurt_mutex_unlock(&pool->lock);
    return AEE_SUCCESS;
}
