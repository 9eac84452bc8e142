/* Threads.
 *
 * The host's threads are detached: what a join needs is kept here, so an ended thread that nobody
 * joins costs some bytes and no stack.  Of those the oldest are forgotten. */
#include "qurt_thread.h"

#include <pthread.h>
#include <stdlib.h>

#include "HAP_mem.h"
#include "qurt_error.h"
#include "qurt_tls.h"
#include "wait.h"

enum { LEAST_STACK = 256 << 10, UNJOINED = 1024 };

struct thread {
    struct thread *next;
    qurt_thread_attr_t attr;
    void (*function)(void *);
    void *argument;
    unsigned int id;
    unsigned int ended; /* a word to wait for */
    int status;
    int detached;
    int joined; /* somebody waits for it, or has */
    int turns;  /* of destructors that are still to come */
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct thread *table; /* the newest first */
static unsigned int last_id;
static pthread_key_t at_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct thread *self;
static __thread unsigned int own_id; /* of a thread that is not ours */

static struct thread *find(unsigned int id)
{
    struct thread *thread = table;
    while (thread && thread->id != id)
        thread = thread->next;
    return thread;
}

static void take_out(struct thread *thread)
{
    struct thread **place = &table;
    while (*place != thread)
        place = &(*place)->next;
    *place = thread->next;
    free(thread);
}

/* Forget the oldest of those that have ended and that nobody has joined. */
static void forget_old(void)
{
    struct thread *oldest = NULL;
    unsigned int count = 0;
    for (struct thread *thread = table; thread; thread = thread->next)
        if (thread->ended && !thread->joined) {
            oldest = thread;
            count++;
        }
    if (count > UNJOINED)
        take_out(oldest);
}

/* The thread's variables are destroyed in no order, in turns.  This is done in the last but one, after
 * which no code of the skeleton should run in the thread; the last is that of ThreadSanitizer. */
static void end(void *given)
{
    struct thread *thread = given;
    if (thread->turns-- > 0) {
        pthread_setspecific(at_end, thread);
        return;
    }
    self = NULL;
    pthread_mutex_lock(&table_lock);
    int detached = thread->detached;
    if (detached) {
        take_out(thread);
    } else {
        store(&thread->ended, 1);
        wake_word(&thread->ended, INT_MAX);
        forget_old();
    }
    pthread_mutex_unlock(&table_lock);
}

static void make_key(void) { pthread_key_create(&at_end, end); }

static void *run(void *given)
{
    struct thread *thread = self = given;
    pthread_setspecific(at_end, thread);
    pthread_setname_np(pthread_self(), thread->attr.name);
    thread->function(thread->argument);
    return NULL;
}

static int start(struct thread *thread)
{
    size_t size = thread->attr.stack_size;
    pthread_attr_t attr;
    pthread_t started;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (size < LEAST_STACK)
        size = LEAST_STACK;
    pthread_attr_setstacksize(&attr, (size + 0xffff) & ~(size_t)0xffff);
    int failed = pthread_create(&started, &attr, run, thread);
    pthread_attr_destroy(&attr);
    return failed;
}

int qurt_thread_create(qurt_thread_t *id, qurt_thread_attr_t *attr, void (*function)(void *),
                       void *argument)
{
    struct thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return QURT_EMEM;
    pthread_once(&once, make_key);
    thread->attr = *attr;
    thread->attr.name[QURT_THREAD_ATTR_NAME_MAXLEN - 1] = 0;
    thread->function = function;
    thread->argument = argument;
    thread->detached = attr->detach_state == QURT_THREAD_ATTR_CREATE_DETACHED;
    thread->turns = PTHREAD_DESTRUCTOR_ITERATIONS - 2;
    pthread_mutex_lock(&table_lock);
    thread->id = ++last_id;
    thread->next = table;
    table = thread;
    *id = thread->id; /* before it runs: it may look there */
    int failed = start(thread);
    if (failed)
        take_out(thread);
    pthread_mutex_unlock(&table_lock);
    return failed ? QURT_EMEM : QURT_EOK;
}

void qurt_thread_exit(int status)
{
    if (self)
        self->status = status;
    pthread_exit(NULL);
}

int qurt_thread_join(unsigned int id, int *status)
{
    pthread_mutex_lock(&table_lock);
    struct thread *thread = find(id);
    if (!thread || thread->detached || thread->joined || thread == self) {
        pthread_mutex_unlock(&table_lock);
        return QURT_ENOTHREAD;
    }
    thread->joined = 1; /* nobody else gives it back */
    pthread_mutex_unlock(&table_lock);
    while (!load(&thread->ended))
        wait_word(&thread->ended, 0, FOR_EVER);
    pthread_mutex_lock(&table_lock);
    if (status)
        *status = thread->status;
    take_out(thread);
    pthread_mutex_unlock(&table_lock);
    return QURT_EOK;
}

int qurt_thread_detach(unsigned int id)
{
    int status = QURT_ENOTHREAD;
    pthread_mutex_lock(&table_lock);
    struct thread *thread = find(id);
    if (thread && !thread->joined && !thread->detached) {
        status = QURT_EOK;
        thread->detached = 1;
        if (thread->ended)
            take_out(thread);
    }
    pthread_mutex_unlock(&table_lock);
    return status;
}

qurt_thread_t qurt_thread_get_id(void)
{
    if (self)
        return self->id;
    if (!own_id) {
        pthread_mutex_lock(&table_lock);
        own_id = ++last_id;
        pthread_mutex_unlock(&table_lock);
    }
    return own_id;
}

void qurt_thread_get_name(char *name, unsigned char room)
{
    char own[QURT_THREAD_ATTR_NAME_MAXLEN] = "";
    if (!room)
        return;
    if (self)
        memcpy(own, self->attr.name, sizeof own);
    else
        pthread_getname_np(pthread_self(), own, sizeof own);
    size_t length = strlen(own);
    if (length > room - 1u)
        length = room - 1u;
    memcpy(name, own, length);
    name[length] = 0;
}

/* What a thread was created with. */

unsigned int own_priority(void)
{
    return self ? load(&self->attr.priority) : QURT_THREAD_ATTR_PRIORITY_DEFAULT;
}

int qurt_thread_attr_get(qurt_thread_t id, qurt_thread_attr_t *attr)
{
    pthread_mutex_lock(&table_lock);
    struct thread *thread = find(id);
    if (thread)
        *attr = thread->attr;
    pthread_mutex_unlock(&table_lock);
    return thread ? QURT_EOK : QURT_ENOTHREAD;
}

int qurt_thread_get_priority(qurt_thread_t id)
{
    qurt_thread_attr_t attr;
    if (!qurt_thread_attr_get(id, &attr))
        return attr.priority;
    return id == own_id ? QURT_THREAD_ATTR_PRIORITY_DEFAULT : -1;
}

int qurt_thread_set_priority(qurt_thread_t id, unsigned short priority)
{
    if (!priority || priority > 255)
        return QURT_EINVALID;
    pthread_mutex_lock(&table_lock);
    struct thread *thread = find(id);
    if (thread)
        store(&thread->attr.priority, priority);
    pthread_mutex_unlock(&table_lock);
    return thread || id == own_id ? QURT_EOK : QURT_ENOTHREAD;
}

unsigned short qurt_thread_get_timetest_id(void)
{
    return self ? self->attr.timetest_id : QURT_THREAD_ATTR_TIMETEST_ID_DEFAULT;
}

void qurt_thread_set_timetest_id(unsigned short timetest_id)
{
    if (self)
        self->attr.timetest_id = timetest_id;
}

uint64 HAP_mem_available_stack(void)
{
    pthread_attr_t attr;
    void *lowest = NULL;
    size_t size;
    if (!pthread_getattr_np(pthread_self(), &attr)) {
        pthread_attr_getstack(&attr, &lowest, &size);
        pthread_attr_destroy(&attr);
    }
    return lowest ? (uintptr_t)__builtin_frame_address(0) - (uintptr_t)lowest : 0;
}

/* Variables. */

int qurt_tls_create_key(int *key, void (*destructor)(void *))
{
    pthread_key_t made;
    if (pthread_key_create(&made, destructor))
        return QURT_ETLSAVAIL;
    *key = (int)made;
    return QURT_EOK;
}

int qurt_tls_set_specific(int key, const void *value)
{
    return pthread_setspecific((pthread_key_t)key, value) ? QURT_EINVALID : QURT_EOK;
}

void *qurt_tls_get_specific(int key) { return pthread_getspecific((pthread_key_t)key); }

int qurt_tls_delete_key(int key)
{
    return pthread_key_delete((pthread_key_t)key) ? QURT_ETLSENTRY : QURT_EOK;
}
