/* How C on the DSP reaches its runtime.

   HAP_debug.h, HAP_mem.h and HAP_perf.h declare what the runtime offers.  Here, each function calls
   through a pointer in the library itself, which the protection domain fills in when it loads the
   library: so a skeleton needs no other library, and still runs without a DSP.  A library that was
   built with other headers finds the same functions in the library `qda_runtime`, which is these
   headers, compiled with HAP_RUNTIME empty. */

#ifndef HAP_RUNTIME_H
#define HAP_RUNTIME_H

#include <malloc.h> /* memalign, which a DSP has in stdlib.h */
#include <stdint.h>

#ifndef HAP_RUNTIME
#define HAP_RUNTIME static inline
#endif

/* A pointer that all files of a library share. */
#define HAP_RUNTIME_POINTER __attribute__((weak, visibility("default")))

/* "Unsupported", as code on the DSP says it. */
#define HAP_RUNTIME_ABSENT ((int)0x80000414)

#endif
