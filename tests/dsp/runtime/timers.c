/* Waits for timers, and measures how long. */
#include "AEEStdErr.h"
#include "HAP_perf.h"
#include "qurt.h"
#include "skeletons.h"

int timers_open(const char *uri, remote_handle64 *handle)
{
    (void)uri;
    *handle = 1;
    return AEE_SUCCESS;
}

int timers_close(remote_handle64 handle)
{
    (void)handle;
    return AEE_SUCCESS;
}

int timers_periods(remote_handle64 handle, int count, int microseconds, uint64 *ticks)
{
    qurt_timer_attr_t attr;
    qurt_anysignal_t signal;
    qurt_timer_t timer;
    (void)handle;
    uint64 begin = HAP_perf_get_qtimer_count();
    qurt_anysignal_init(&signal);
    qurt_timer_attr_init(&attr);
    qurt_timer_attr_set_duration(&attr, (qurt_timer_duration_t)microseconds);
    qurt_timer_attr_set_type(&attr, QURT_TIMER_PERIODIC);
    if (qurt_timer_create(&timer, &attr, &signal, 1))
        return AEE_EFAILED;
    for (int i = 0; i < count; i++) {
        qurt_anysignal_wait(&signal, 1);
        qurt_anysignal_clear(&signal, 1);
    }
    qurt_timer_delete(timer);
    qurt_anysignal_destroy(&signal);
    *ticks = HAP_perf_get_qtimer_count() - begin;
    return AEE_SUCCESS;
}

int timers_give_up(remote_handle64 handle, int microseconds, int *status)
{
    qurt_signal_t signal;
    unsigned int bits;
    (void)handle;
    qurt_signal_init(&signal);
    *status = qurt_signal_wait_timed(&signal, 1, QURT_SIGNAL_ATTR_WAIT_ANY, &bits,
                                     (unsigned long long)microseconds);
    qurt_signal_destroy(&signal);
    return HAP_timer_sleep((unsigned long long)microseconds);
}
