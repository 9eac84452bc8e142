/* Cycles, of a processor with 1 GHz (HAP_perf.h). */

#ifndef QURT_CYCLES_H
#define QURT_CYCLES_H

#ifdef __cplusplus
extern "C" {
#endif

unsigned long long qurt_get_core_pcycles(void);
unsigned long long qurt_profile_get_thread_pcycles(void);
void qurt_profile_enable(int enable);

#ifdef __cplusplus
}
#endif

#endif
