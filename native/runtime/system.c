/* What QuRT says of the system, its vector unit, and its messages. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "AEEStdErr.h"
#include "HAP_ps.h"
#include "qurt_error.h"
#include "qurt_event.h"
#include "qurt_hvx.h"
#include "qurt_printf.h"
#include "qurt_process.h"
#include "record.h"

enum { HARDWARE_THREADS = 6, ARCHITECTURE = 0x8c73, UNITS = 4 };

int qurt_sysenv_get_max_hw_threads(qurt_sysenv_max_hthreads_t *found)
{
    found->max_hthreads = HARDWARE_THREADS;
    return QURT_EOK;
}

int qurt_sysenv_get_hw_threads(qurt_sysenv_hthreads_t *found)
{
    found->hthreads = HARDWARE_THREADS;
    return QURT_EOK;
}

int qurt_sysenv_get_arch_version(qurt_arch_version_t *found)
{
    found->arch_version = ARCHITECTURE;
    return QURT_EOK;
}

int qurt_sysenv_get_process_name(qurt_sysenv_procname_t *found)
{
    memset(found, 0, sizeof *found);
    found->pid = (unsigned int)getpid();
    prctl(PR_GET_NAME, found->name);
    return QURT_EOK;
}

int qurt_process_get_id(void) { return getpid(); }

int qurt_vprintf(const char *format, va_list arguments)
{
    char text[1024];
    int length = vsnprintf(text, sizeof text, format, arguments);
    HAP_debug(text, HAP_LEVEL_HIGH, "qurt_printf", 0);
    return length;
}

int qurt_printf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = qurt_vprintf(format, arguments);
    va_end(arguments);
    return length;
}

/* The vector unit. */

static __thread int mode = -1;

int qurt_hvx_lock(qurt_hvx_mode_t wanted)
{
    mode = (int)wanted;
    return QURT_EOK;
}

int qurt_hvx_try_lock(qurt_hvx_mode_t wanted) { return qurt_hvx_lock(wanted); }

int qurt_hvx_unlock(void)
{
    int had = mode;
    mode = -1;
    return had < 0 ? QURT_EFAILED : QURT_EOK;
}

int qurt_hvx_get_mode(void) { return mode; }
int qurt_hvx_get_lock_val(void) { return mode < 0 ? QURT_HVX_UNLOCKED : QURT_HVX_LOCKED; }

/* Four vectors of 128 bytes, or twice as many of 64: the numbers of each in a byte. */
int qurt_hvx_get_units(void) { return UNITS << 8 | 2 * UNITS; }

int qurt_hvx_reserve(int units)
{
    return units == QURT_HVX_RESERVE_ALL_AVAILABLE ? UNITS
           : units > 0 && units <= UNITS          ? units
                                                  : QURT_HVX_RESERVE_NOT_SUCCESSFUL;
}

int qurt_hvx_cancel_reserve(void) { return QURT_EOK; }

/* HAP_ps.h. */

int HAP_set_process_name(const char *name)
{
    return prctl(PR_SET_NAME, name) ? AEE_EFAILED : 0;
}

int HAP_get_thread_priority_ceiling(void) { return 1; }

int HAP_send_early_signal(uint32 thread, uint32 early_wake_time)
{
    (void)thread, (void)early_wake_time;
    return 0;
}

int fastrpc_send_early_signal(uint32 thread, uint32 early_wake_time)
{
    return HAP_send_early_signal(thread, early_wake_time);
}
