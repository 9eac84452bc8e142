/* Messages of code on the DSP.  They go to the session's log, and to the host if it listens; where
   there is no DSP, to the standard error output.  A message of more than 1023 bytes is cut. */

#ifndef HAP_DEBUG_H
#define HAP_DEBUG_H

#include <stdarg.h>
#include <stdio.h>

#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HAP_LEVEL_LOW 0
#define HAP_LEVEL_MEDIUM 1
#define HAP_LEVEL_HIGH 2
#define HAP_LEVEL_ERROR 3
#define HAP_LEVEL_FATAL 4

HAP_RUNTIME_POINTER void (*qda_HAP_debug)(int level, const char* file, int line, const char* text);

HAP_RUNTIME void HAP_debug(const char* text, int level, const char* file, int line) {
    if (qda_HAP_debug)
        qda_HAP_debug(level, file, line, text);
    else
        fprintf(stderr, "%s:%d: %s\n", file, line, text);
}

#define HAP_DEBUG_FORMATTED(level, file, line, format)                                             \
    do {                                                                                           \
        char text[1024];                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        vsnprintf(text, sizeof(text), format, arguments);                                          \
        va_end(arguments);                                                                         \
        HAP_debug(text, level, file, line);                                                        \
    } while (0)

__attribute__((format(printf, 4, 5))) HAP_RUNTIME void HAP_debug_v2(
    int level, const char* file, int line, const char* format, ...) {
    HAP_DEBUG_FORMATTED(level, file, line, format);
}

__attribute__((format(printf, 4, 5))) HAP_RUNTIME void HAP_debug_runtime(
    int level, const char* file, int line, const char* format, ...) {
    HAP_DEBUG_FORMATTED(level, file, line, format);
}

#undef HAP_DEBUG_FORMATTED

#ifdef __cplusplus
}
#endif

#endif
