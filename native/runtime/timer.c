/* Timers and clocks.
 *
 * One thread serves all timers: it sleeps until the first is due.  It sets signals under the lock, so
 * that a deleted timer's signal may go; functions it calls without it, and whoever deletes their timer
 * waits for them. */
#include "qurt_timer.h"

#include <pthread.h>
#include <stdlib.h>

#include "AEEStdErr.h"
#include "HAP_perf.h"
#include "qurt_busywait.h"
#include "qurt_cycles.h"
#include "qurt_error.h"
#include "qurt_thread.h"
#include "wait.h"

enum { MAGIC = 0x71746d72, TICKS = 192, TENTHS_OF_US = 10 };

struct timer {
    struct timer *next;
    qurt_timer_attr_t attr;
    void (*set)(void *signal, unsigned int mask);
    void *signal;
    unsigned int mask;
    unsigned int id;
    uint64_t due; /* FOR_EVER: it is stopped */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t function_over = PTHREAD_COND_INITIALIZER;
static struct timer *timers;
static unsigned int changes; /* of what is due first: a word to wait for */
static unsigned int last_id, calling, disabled_groups;
static pthread_t server;
static int is_served;

/* Clocks. */

unsigned long long qurt_timer_get_ticks(void) { return HAP_perf_get_qtimer_count(); }
unsigned long long qurt_sysclock_get_hw_ticks(void) { return HAP_perf_get_qtimer_count(); }
unsigned long qurt_sysclock_get_hw_ticks_32(void)
{
    return (uint32_t)HAP_perf_get_qtimer_count();
}
unsigned short qurt_sysclock_get_hw_ticks_16(void)
{
    return (unsigned short)(HAP_perf_get_qtimer_count() >> 16);
}
unsigned long long qurt_timer_timetick_to_us(unsigned long long ticks)
{
    return ticks / TICKS * TENTHS_OF_US + ticks % TICKS * TENTHS_OF_US / TICKS;
}

unsigned long long qurt_get_core_pcycles(void) { return HAP_perf_get_pcycles(); }
unsigned long long qurt_profile_get_thread_pcycles(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (unsigned long long)used.tv_sec * 1000000000u + (unsigned long long)used.tv_nsec;
}
void qurt_profile_enable(int enable) { (void)enable; }

int qurt_timer_sleep(qurt_timer_duration_t duration)
{
    if (duration > QURT_TIMER_MAX_DURATION)
        return QURT_EINVALID;
    sleep_until(deadline_in(duration));
    return QURT_EOK;
}

void qurt_sleep(unsigned long long duration) { qurt_timer_sleep(duration); }

int HAP_timer_sleep(unsigned long long duration)
{
    return qurt_timer_sleep(duration) ? AEE_EBADPARM : 0;
}

void qurt_busywait(unsigned int duration)
{
    uint64_t deadline = deadline_in(duration);
    while (now_ns() < deadline)
        ;
}

/* Attributes. */

void qurt_timer_attr_init(qurt_timer_attr_t *attr)
{
    *attr = (qurt_timer_attr_t){ .magic = MAGIC, .duration = QURT_TIMER_DEFAULT_DURATION };
}

void qurt_timer_attr_set_pfn(qurt_timer_attr_t *attr, pfn_t function) { attr->pFn = function; }
void qurt_timer_attr_set_duration(qurt_timer_attr_t *attr, qurt_timer_duration_t duration)
{
    attr->duration = duration;
}
void qurt_timer_attr_set_expiry(qurt_timer_attr_t *attr, qurt_timer_time_t ticks)
{
    attr->expiry = ticks;
}
void qurt_timer_attr_set_type(qurt_timer_attr_t *attr, qurt_timer_type_t type)
{
    attr->type = type;
}
void qurt_timer_attr_set_group(qurt_timer_attr_t *attr, unsigned int group) { attr->group = group; }
void qurt_timer_attr_get_duration(qurt_timer_attr_t *attr, qurt_timer_duration_t *duration)
{
    *duration = attr->duration;
}
void qurt_timer_attr_get_remaining(qurt_timer_attr_t *attr, qurt_timer_duration_t *remaining)
{
    *remaining = attr->remaining;
}
void qurt_timer_attr_get_type(qurt_timer_attr_t *attr, qurt_timer_type_t *type)
{
    *type = attr->type;
}
void qurt_timer_attr_get_group(qurt_timer_attr_t *attr, unsigned int *group)
{
    *group = attr->group;
}

/* The thread. */

static int is_enabled(const struct timer *timer)
{
    return !(disabled_groups & 1u << timer->attr.group);
}

static struct timer *first_due(void)
{
    struct timer *first = NULL;
    for (struct timer *timer = timers; timer; timer = timer->next)
        if (is_enabled(timer) && timer->due != FOR_EVER && (!first || timer->due < first->due))
            first = timer;
    return first;
}

static void expire(struct timer *timer)
{
    pfn_t function = timer->attr.pFn;
    uint64_t next = timer->due + timer->attr.duration * 1000;
    if (timer->attr.type != QURT_TIMER_PERIODIC)
        timer->due = FOR_EVER;
    else /* what was missed does not come all at once */
        timer->due = next > now_ns() ? next : deadline_in(timer->attr.duration);
    if (timer->signal)
        timer->set(timer->signal, timer->mask);
    if (!function)
        return;
    calling = timer->id;
    pthread_mutex_unlock(&lock);
    function();
    pthread_mutex_lock(&lock);
    calling = 0;
    pthread_cond_broadcast(&function_over);
}

static void *serve(void *nothing)
{
    pthread_setname_np(pthread_self(), "qurt timers");
    pthread_mutex_lock(&lock);
    for (;;) {
        struct timer *timer = first_due();
        uint64_t due = timer ? timer->due : FOR_EVER;
        if (due <= now_ns()) {
            expire(timer);
            continue;
        }
        unsigned int seen = load(&changes);
        pthread_mutex_unlock(&lock);
        wait_word(&changes, seen, due);
        pthread_mutex_lock(&lock);
    }
    return nothing;
}

/* Something else may be due first; returns whether there is a thread that notices. */
static int changed(void)
{
    if (!is_served) {
        pthread_attr_t attr;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        is_served = !pthread_create(&server, &attr, serve, NULL);
        pthread_attr_destroy(&attr);
    }
    add(&changes, 1);
    wake_word(&changes, 1);
    return is_served;
}

/* Timers. */

static void set_signal(void *signal, unsigned int mask) { qurt_signal_set(signal, mask); }
static void set_signal2(void *signal, unsigned int mask) { qurt_signal2_set(signal, mask); }

static uint64_t due_of(const qurt_timer_attr_t *attr)
{
    unsigned long long now = qurt_timer_get_ticks();
    if (!attr->expiry)
        return deadline_in(attr->duration);
    return attr->expiry <= now ? now_ns() : deadline_in(qurt_timer_timetick_to_us(attr->expiry - now));
}

static int create(qurt_timer_t *id, const qurt_timer_attr_t *attr, const void *signal,
                  unsigned int mask, void (*set)(void *, unsigned int))
{
    if (attr->magic != MAGIC || attr->duration < QURT_TIMER_MIN_DURATION
        || attr->duration > QURT_TIMER_MAX_DURATION || attr->group >= QURT_TIMER_MAX_GROUPS
        || (!signal && !attr->pFn))
        return QURT_EINVALID;
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return QURT_EMEM;
    timer->attr = *attr;
    timer->signal = (void *)(uintptr_t)signal;
    timer->mask = mask;
    timer->set = set;
    timer->due = due_of(attr);
    pthread_mutex_lock(&lock);
    *id = timer->id = ++last_id;
    timer->next = timers;
    timers = timer;
    int served = changed();
    if (!served) {
        timers = timer->next;
        free(timer);
    }
    pthread_mutex_unlock(&lock);
    return served ? QURT_EOK : QURT_EMEM;
}

int qurt_timer_create(qurt_timer_t *timer, const qurt_timer_attr_t *attr,
                      const qurt_anysignal_t *signal, unsigned int mask)
{
    return create(timer, attr, signal, mask, set_signal);
}

int qurt_timer_create_sig2(qurt_timer_t *timer, const qurt_timer_attr_t *attr,
                           const qurt_signal2_t *signal, unsigned int mask)
{
    return create(timer, attr, signal, mask, set_signal2);
}

static struct timer **place_of(unsigned int id)
{
    struct timer **place = &timers;
    while (*place && (*place)->id != id)
        place = &(*place)->next;
    return place;
}

int qurt_timer_stop(qurt_timer_t id)
{
    pthread_mutex_lock(&lock);
    struct timer *timer = *place_of(id);
    int status = !timer ? QURT_EINVALID : timer->due == FOR_EVER ? QURT_ENOTALLOWED : QURT_EOK;
    if (timer)
        timer->due = FOR_EVER;
    pthread_mutex_unlock(&lock);
    return status;
}

int qurt_timer_restart(qurt_timer_t id, qurt_timer_duration_t duration)
{
    if (duration < QURT_TIMER_MIN_DURATION || duration > QURT_TIMER_MAX_DURATION)
        return QURT_EINVALID;
    pthread_mutex_lock(&lock);
    struct timer *timer = *place_of(id);
    if (timer) {
        timer->attr.duration = duration;
        timer->due = deadline_in(duration);
        changed();
    }
    pthread_mutex_unlock(&lock);
    return timer ? QURT_EOK : QURT_EINVALID;
}

int qurt_timer_delete(qurt_timer_t id)
{
    pthread_mutex_lock(&lock);
    struct timer **place = place_of(id), *timer = *place;
    if (timer) {
        *place = timer->next;
        free(timer);
        int is_server = pthread_equal(pthread_self(), server);
        while (calling == id && !is_server)
            pthread_cond_wait(&function_over, &lock);
    }
    pthread_mutex_unlock(&lock);
    return timer ? QURT_EOK : QURT_EINVALID;
}

int qurt_timer_get_attr(qurt_timer_t id, qurt_timer_attr_t *attr)
{
    pthread_mutex_lock(&lock);
    struct timer *timer = *place_of(id);
    if (timer) {
        uint64_t now = now_ns();
        *attr = timer->attr;
        attr->remaining =
            timer->due == FOR_EVER || timer->due < now ? 0 : (timer->due - now) / 1000;
    }
    pthread_mutex_unlock(&lock);
    return timer ? QURT_EOK : QURT_EINVALID;
}

/* Timers of a disabled group that become due do so once it is enabled. */
static int enable(unsigned int group, int enabled)
{
    if (group >= QURT_TIMER_MAX_GROUPS)
        return QURT_EINVALID;
    pthread_mutex_lock(&lock);
    disabled_groups = enabled ? disabled_groups & ~(1u << group) : disabled_groups | 1u << group;
    if (timers)
        changed();
    pthread_mutex_unlock(&lock);
    return QURT_EOK;
}

int qurt_timer_group_disable(unsigned int group) { return enable(group, 0); }
int qurt_timer_group_enable(unsigned int group) { return enable(group, 1); }
