/* Processes on the DSP.  Code here knows of its own. */

#ifndef HAP_PS_H
#define HAP_PS_H

#include "HAP_numbers.h"

#ifdef __cplusplus
extern "C" {
#endif

int HAP_set_process_name(const char* name); /* what the host's `ps` shows of it */
int HAP_get_thread_priority_ceiling(void);

#ifdef __cplusplus
}
#endif

#endif
