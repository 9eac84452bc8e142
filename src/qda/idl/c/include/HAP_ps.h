/* Processes on the DSP.  Code here knows of its own. */

#ifndef HAP_PS_H
#define HAP_PS_H

#include "HAP_numbers.h"

#ifdef __cplusplus
extern "C" {
#endif

int HAP_set_process_name(const char* name); /* what the host's `ps` shows of it */
int HAP_get_thread_priority_ceiling(void);
/* Tell the host that the call will end in so many microseconds.  It needs no telling here. */
int HAP_send_early_signal(uint32 thread, uint32 early_wake_time);
int fastrpc_send_early_signal(uint32 thread, uint32 early_wake_time);

#ifdef __cplusplus
}
#endif

#endif
