/* Mutexes and condition variables.
 *
 * The word `queue` is one of three: nobody has the mutex, somebody has it, somebody has it and others
 * wait.  Anything else is free, too: memory of zeros, which nobody has initialised.
 *
 * As in QuRT, who unlocks hands over to the one of the highest priority among those who wait, of equal
 * ones to the first.  They stand in lists beside the mutexes, which have no room for them. */
#include "qurt_mutex.h"

#include <pthread.h>

#include "qurt_cond.h"
#include "qurt_error.h"
#include "qurt_thread.h"
#include "wait.h"

enum { FREE = QURTK_FUTEX_FREE_MAGIC, TAKEN = 1, WANTED = 2, LISTS = 64 };

struct waiter {
    struct waiter *next;
    qurt_mutex_t *mutex;
    unsigned int priority; /* 1 is the highest */
    unsigned int has_it;   /* a word to wait for */
};

/* The waiters of some mutexes, the first one first. */
static struct list {
    pthread_mutex_t lock;
    struct waiter *first;
} lists[LISTS] = { [0 ... LISTS - 1] = { PTHREAD_MUTEX_INITIALIZER, NULL } };

static struct list *list_of(const qurt_mutex_t *mutex)
{
    return &lists[(uintptr_t)mutex / sizeof *mutex % LISTS];
}

static int is_free(unsigned int state) { return state != TAKEN && state != WANTED; }

static int holds(qurt_mutex_t *mutex)
{
    return !is_free(load(&mutex->queue)) && load(&mutex->holder) == qurt_thread_get_id();
}

static void take(qurt_mutex_t *mutex, unsigned int count)
{
    store(&mutex->holder, qurt_thread_get_id());
    mutex->count = count;
}

static int try(qurt_mutex_t *mutex)
{
    unsigned int state = load(&mutex->queue);
    return is_free(state) && replace(&mutex->queue, &state, TAKEN);
}

/* Take a mutex, or say that somebody wants it; returns whether it is taken. */
static int try_or_want(qurt_mutex_t *mutex)
{
    unsigned int state = load(&mutex->queue);
    while (is_free(state) || state == TAKEN) {
        int was_free = is_free(state);
        if (replace(&mutex->queue, &state, was_free ? TAKEN : WANTED))
            return was_free;
    }
    return 0;
}

static void put_in(struct list *list, struct waiter *waiter)
{
    struct waiter **place = &list->first;
    while (*place)
        place = &(*place)->next;
    *place = waiter;
    add(&waiter->mutex->wait_count, 1);
}

static void take_out(struct list *list, struct waiter *waiter)
{
    struct waiter **place = &list->first;
    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
    add(&waiter->mutex->wait_count, -1u);
}

static int lock(qurt_mutex_t *mutex, uint64_t deadline)
{
    if (try(mutex))
        return QURT_EOK;
    struct list *list = list_of(mutex);
    struct waiter waiter = { .mutex = mutex, .priority = own_priority() };
    pthread_mutex_lock(&list->lock);
    int taken = try_or_want(mutex);
    if (!taken)
        put_in(list, &waiter);
    pthread_mutex_unlock(&list->lock);
    if (taken)
        return QURT_EOK;
    int in_time = 1;
    while (!load(&waiter.has_it) && in_time)
        in_time = wait_word(&waiter.has_it, 0, deadline);
    pthread_mutex_lock(&list->lock); /* who hands over has done with the waiter */
    taken = (int)load(&waiter.has_it);
    if (!taken)
        take_out(list, &waiter);
    pthread_mutex_unlock(&list->lock);
    return taken ? QURT_EOK : QURT_ETIMEDOUT;
}

/* Give a mutex to the one who is next, if there is anybody. */
static void hand_over(qurt_mutex_t *mutex)
{
    struct list *list = list_of(mutex);
    struct waiter *next = NULL;
    pthread_mutex_lock(&list->lock);
    for (struct waiter *waiter = list->first; waiter; waiter = waiter->next)
        if (waiter->mutex == mutex && (!next || waiter->priority < next->priority))
            next = waiter;
    if (!next) {
        store(&mutex->queue, FREE);
    } else {
        take_out(list, next);
        store(&mutex->queue, load(&mutex->wait_count) ? WANTED : TAKEN);
        store(&next->has_it, 1);
        wake_word(&next->has_it, 1);
    }
    pthread_mutex_unlock(&list->lock);
}

static void unlock(qurt_mutex_t *mutex)
{
    unsigned int state = TAKEN;
    mutex->count = 0;
    store(&mutex->holder, MUTEX_MAGIC);
    if (!replace(&mutex->queue, &state, FREE))
        hand_over(mutex);
}

/* Plain. */

void qurt_mutex_init(qurt_mutex_t *mutex) { *mutex = (qurt_mutex_t)QURT_MUTEX_INIT; }

void qurt_mutex_destroy(qurt_mutex_t *mutex) { qurt_mutex_init(mutex); }

void qurt_mutex_lock(qurt_mutex_t *mutex)
{
    lock(mutex, FOR_EVER);
    take(mutex, 1);
}

int qurt_mutex_lock_timed(qurt_mutex_t *mutex, unsigned long long duration)
{
    int status = lock(mutex, deadline_in(duration));
    if (!status)
        take(mutex, 1);
    return status;
}

int qurt_mutex_try_lock(qurt_mutex_t *mutex)
{
    if (!try(mutex))
        return QURT_EFAILED;
    take(mutex, 1);
    return QURT_EOK;
}

void qurt_mutex_unlock(qurt_mutex_t *mutex) { unlock(mutex); }

/* Recursive. */

static int again(qurt_mutex_t *mutex)
{
    if (!holds(mutex))
        return 0;
    mutex->count++;
    return 1;
}

void qurt_rmutex_init(qurt_mutex_t *mutex) { qurt_mutex_init(mutex); }
void qurt_rmutex_destroy(qurt_mutex_t *mutex) { qurt_mutex_destroy(mutex); }

void qurt_rmutex_lock(qurt_mutex_t *mutex)
{
    if (!again(mutex))
        qurt_mutex_lock(mutex);
}

int qurt_rmutex_lock_timed(qurt_mutex_t *mutex, unsigned long long duration)
{
    return again(mutex) ? QURT_EOK : qurt_mutex_lock_timed(mutex, duration);
}

int qurt_rmutex_try_lock(qurt_mutex_t *mutex)
{
    return again(mutex) ? QURT_EOK : qurt_mutex_try_lock(mutex);
}

void qurt_rmutex_unlock(qurt_mutex_t *mutex)
{
    if (!--mutex->count)
        unlock(mutex);
}

void qurt_rmutex2_init(qurt_rmutex2_t *mutex) { qurt_rmutex_init(mutex); }
void qurt_rmutex2_destroy(qurt_rmutex2_t *mutex) { qurt_rmutex_destroy(mutex); }
void qurt_rmutex2_lock(qurt_rmutex2_t *mutex) { qurt_rmutex_lock(mutex); }
void qurt_rmutex2_unlock(qurt_rmutex2_t *mutex) { qurt_rmutex_unlock(mutex); }
int qurt_rmutex2_try_lock(qurt_rmutex2_t *mutex) { return qurt_rmutex_try_lock(mutex); }

void qurt_pimutex_init(qurt_mutex_t *mutex) { qurt_rmutex_init(mutex); }
void qurt_pimutex_destroy(qurt_mutex_t *mutex) { qurt_rmutex_destroy(mutex); }
void qurt_pimutex_lock(qurt_mutex_t *mutex) { qurt_rmutex_lock(mutex); }
void qurt_pimutex_unlock(qurt_mutex_t *mutex) { qurt_rmutex_unlock(mutex); }
int qurt_pimutex_try_lock(qurt_mutex_t *mutex) { return qurt_rmutex_try_lock(mutex); }

/* Condition variables: `count` changes with each signal, so one between unlocking and sleeping is
 * not missed. */

void qurt_cond_init(qurt_cond_t *condition) { *condition = (qurt_cond_t){ .X = { 0, 0, 0, 0 } }; }

void qurt_cond_destroy(qurt_cond_t *condition) { qurt_cond_init(condition); }

static void notify(qurt_cond_t *condition, int count)
{
    add(&condition->X.count, 1);
    if (load(&condition->X.n_waiting))
        wake_word(&condition->X.count, count);
}

void qurt_cond_signal(qurt_cond_t *condition) { notify(condition, 1); }
void qurt_cond_broadcast(qurt_cond_t *condition) { notify(condition, INT_MAX); }

void qurt_cond_wait(qurt_cond_t *condition, qurt_mutex_t *mutex)
{
    unsigned int held = mutex->count;
    add(&condition->X.n_waiting, 1);
    unsigned int seen = load(&condition->X.count);
    unlock(mutex);
    wait_word(&condition->X.count, seen, FOR_EVER);
    add(&condition->X.n_waiting, -1u);
    lock(mutex, FOR_EVER);
    take(mutex, held);
}

void qurt_cond_wait2(qurt_cond_t *condition, qurt_rmutex2_t *mutex)
{
    qurt_cond_wait(condition, mutex);
}
