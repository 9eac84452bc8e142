/* The clock of a DSP: ticks of 19.2 MHz. */

#ifndef QURT_SCLK_H
#define QURT_SCLK_H

#ifdef __cplusplus
extern "C" {
#endif

#define QURT_SYSCLOCK_TIMETICK_FROM_US(us) ((us) * 192ull / 10ull)
#define QURT_SYSCLOCK_TIMETICK_TO_US(ticks) qurt_timer_timetick_to_us(ticks)
#define qurt_sysclock_timetick_from_us(us) QURT_SYSCLOCK_TIMETICK_FROM_US(us)
#define qurt_sysclock_timetick_to_us(ticks) qurt_timer_timetick_to_us(ticks)
#define QURT_SYSCLOCK_MAX_DURATION (1042499ull * 3600ull * 1000ull * 1000ull)
#define qurt_sysclock_max_duration() QURT_SYSCLOCK_MAX_DURATION

unsigned long long qurt_sysclock_get_hw_ticks(void);
unsigned long qurt_sysclock_get_hw_ticks_32(void);
unsigned short qurt_sysclock_get_hw_ticks_16(void);
unsigned long long qurt_timer_timetick_to_us(unsigned long long ticks);

#ifdef __cplusplus
}
#endif

#endif
