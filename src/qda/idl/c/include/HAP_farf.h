/* Messages of implementations: FARF(HIGH, "%d items", count) goes to the DSP's log if FARF_HIGH is
   1; HAP_debug.h says where that is.  For levels that begin with RUNTIME_ the reader of the log
   chooses, so they are on unless the build says otherwise. */

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

#define HAP_LEVEL_ALWAYS HAP_LEVEL_HIGH
#define HAP_LEVEL_RUNTIME_LOW HAP_LEVEL_LOW
#define HAP_LEVEL_RUNTIME_MEDIUM HAP_LEVEL_MEDIUM
#define HAP_LEVEL_RUNTIME_HIGH HAP_LEVEL_HIGH
#define HAP_LEVEL_RUNTIME_ERROR HAP_LEVEL_ERROR
#define HAP_LEVEL_RUNTIME_FATAL HAP_LEVEL_FATAL

#define FARF(level, ...)                                                                           \
    do {                                                                                           \
        if (FARF_##level) HAP_debug_v2(HAP_LEVEL_##level, __FILE__, __LINE__, __VA_ARGS__);        \
    } while (0)

#endif
