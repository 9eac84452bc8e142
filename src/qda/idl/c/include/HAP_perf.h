/* Clocks of code on the DSP.  They are the host's: what they count says how long the call took
   here, not how long a DSP would take. */

#ifndef HAP_PERF_H
#define HAP_PERF_H

#include <sys/time.h>
#include <time.h>

#include "HAP_numbers.h"
#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

HAP_RUNTIME uint64 HAP_perf_get_time_us(void) {
#ifdef CLOCK_MONOTONIC
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64)now.tv_sec * 1000000u + (uint64)now.tv_nsec / 1000;
#else /* ISO C does not have it */
    struct timeval now;
    gettimeofday(&now, NULL);
    return (uint64)now.tv_sec * 1000000u + (uint64)now.tv_usec;
#endif
}

/* Ticks of 19.2 MHz. */
HAP_RUNTIME uint64 HAP_perf_get_qtimer_count(void) { return HAP_perf_get_time_us() * 192 / 10; }

HAP_RUNTIME uint64 HAP_perf_qtimer_count_to_us(uint64 count) { return count * 10 / 192; }

/* Cycles of a processor with 1 GHz. */
HAP_RUNTIME uint64 HAP_perf_get_pcycles(void) { return HAP_perf_get_time_us() * 1000; }

/* Sleep for that many microseconds; 0, or AEE_EBADPARM for a hundred thousand years. */
int HAP_timer_sleep(unsigned long long duration);

#ifdef __cplusplus
}
#endif

#endif
