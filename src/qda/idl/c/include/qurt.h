/* QuRT, the operating system of a DSP, as far as skeletons use it.  The functions are in the library
   `qda_runtime`, which a protection domain loads before a skeleton.  Objects have the size and the
   layout of a DSP's, but for pointers. */

#ifndef QURT_H
#define QURT_H

#include "qurt_alloc.h"
#include "qurt_barrier.h"
#include "qurt_busywait.h"
#include "qurt_cond.h"
#include "qurt_cycles.h"
#include "qurt_error.h"
#include "qurt_event.h"
#include "qurt_futex.h"
#include "qurt_hvx.h"
#include "qurt_memory.h"
#include "qurt_mutex.h"
#include "qurt_pipe.h"
#include "qurt_printf.h"
#include "qurt_process.h"
#include "qurt_sclk.h"
#include "qurt_sem.h"
#include "qurt_signal.h"
#include "qurt_thread.h"
#include "qurt_timer.h"
#include "qurt_tls.h"
#include "qurt_types.h"

#endif
