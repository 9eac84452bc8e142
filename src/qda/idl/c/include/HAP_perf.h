/* Clocks of code on the DSP.  They are the host's: what they count says how long the call took
   here, not how long a DSP would take. */

#ifndef HAP_PERF_H
#define HAP_PERF_H

#include <sys/time.h>

#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

HAP_RUNTIME uint64_t HAP_perf_get_time_us(void) {
    struct timeval now;
    gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_usec;
}

/* Ticks of 19.2 MHz. */
HAP_RUNTIME uint64_t HAP_perf_get_qtimer_count(void) { return HAP_perf_get_time_us() * 192 / 10; }

HAP_RUNTIME uint64_t HAP_perf_qtimer_count_to_us(uint64_t count) { return count * 10 / 192; }

/* Cycles of a processor with 1 GHz. */
HAP_RUNTIME uint64_t HAP_perf_get_pcycles(void) { return HAP_perf_get_time_us() * 1000; }

#ifdef __cplusplus
}
#endif

#endif
