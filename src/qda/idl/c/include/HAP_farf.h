/* Messages of implementations: FARF(HIGH, "%d items", count) goes to the DSP's log if FARF_HIGH is
   1; HAP_debug.h says where that is.  For levels that begin with RUNTIME_ the reader of the log
   chooses, so they are on unless HAP_setFARFRuntimeLoggingParams or the build says otherwise.  A
   level of one's own is FARF_MINE, 0 or 1, and FARF_MINE_LEVEL. */

#ifndef HAP_FARF_H
#define HAP_FARF_H

#include "HAP_debug.h"

#ifndef FARF_LOW
#define FARF_LOW 0
#endif
#ifndef FARF_MEDIUM
#define FARF_MEDIUM 0
#endif
#ifndef FARF_HIGH
#ifdef _DEBUG
#define FARF_HIGH 1
#else
#define FARF_HIGH 0
#endif
#endif
#ifndef FARF_ERROR
#define FARF_ERROR 1
#endif
#ifndef FARF_FATAL
#define FARF_FATAL 1
#endif
#ifndef FARF_ALWAYS
#define FARF_ALWAYS 1
#endif
#ifndef FARF_RUNTIME_LOW
#define FARF_RUNTIME_LOW 1
#endif
#ifndef FARF_RUNTIME_MEDIUM
#define FARF_RUNTIME_MEDIUM 1
#endif
#ifndef FARF_RUNTIME_HIGH
#define FARF_RUNTIME_HIGH 1
#endif
#ifndef FARF_RUNTIME_ERROR
#define FARF_RUNTIME_ERROR 1
#endif
#ifndef FARF_RUNTIME_FATAL
#define FARF_RUNTIME_FATAL 1
#endif

#define FARF_LOW_LEVEL HAP_LEVEL_LOW
#define FARF_MEDIUM_LEVEL HAP_LEVEL_MEDIUM
#define FARF_HIGH_LEVEL HAP_LEVEL_HIGH
#define FARF_ERROR_LEVEL HAP_LEVEL_ERROR
#define FARF_FATAL_LEVEL HAP_LEVEL_FATAL
#define FARF_ALWAYS_LEVEL HAP_LEVEL_HIGH
#define FARF_RUNTIME_LOW_LEVEL (HAP_LEVEL_RUNTIME | HAP_LEVEL_LOW)
#define FARF_RUNTIME_MEDIUM_LEVEL (HAP_LEVEL_RUNTIME | HAP_LEVEL_MEDIUM)
#define FARF_RUNTIME_HIGH_LEVEL (HAP_LEVEL_RUNTIME | HAP_LEVEL_HIGH)
#define FARF_RUNTIME_ERROR_LEVEL (HAP_LEVEL_RUNTIME | HAP_LEVEL_ERROR)
#define FARF_RUNTIME_FATAL_LEVEL (HAP_LEVEL_RUNTIME | HAP_LEVEL_FATAL)

#ifndef __FILENAME__
#define __FILENAME__ __FILE__
#endif

#define FARF(level, ...)                                                                           \
    do {                                                                                           \
        if (!(FARF_##level))                                                                       \
            ;                                                                                      \
        else if (FARF_##level##_LEVEL & HAP_LEVEL_RUNTIME)                                         \
            HAP_debug_runtime(FARF_##level##_LEVEL & ~HAP_LEVEL_RUNTIME, __FILENAME__, __LINE__,   \
                              __VA_ARGS__);                                                        \
        else                                                                                       \
            HAP_debug_v2(FARF_##level##_LEVEL & ~HAP_LEVEL_RUNTIME, __FILENAME__, __LINE__,        \
                         __VA_ARGS__);                                                             \
    } while (0)

#endif
