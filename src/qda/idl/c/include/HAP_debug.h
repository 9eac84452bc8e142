/* Messages of code on the DSP.  They go to the session's log, and to the host if it listens; where
   there is no DSP, to the standard error output.  A message of more than 1023 bytes is cut. */

#ifndef HAP_DEBUG_H
#define HAP_DEBUG_H

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "HAP_numbers.h"
#include "HAP_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HAP_LEVEL_LOW 0
#define HAP_LEVEL_MEDIUM 1
#define HAP_LEVEL_HIGH 2
#define HAP_LEVEL_ERROR 3
#define HAP_LEVEL_FATAL 4
#define HAP_LEVEL_RUNTIME 32 /* of these levels the reader of the log chooses */

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

/* Which messages of levels that the reader chooses are wanted: the bit of each level, and the source
   files, all if there are none of them. */
HAP_RUNTIME_POINTER unsigned int qda_farf_unwanted;
HAP_RUNTIME_POINTER char qda_farf_files[8][64];

/* Bit 0 of the mask is LOW, bit 4 FATAL.  At most 8 files, by the name that comes after the last
   slash.  Until this is called all are wanted. */
HAP_RUNTIME int HAP_setFARFRuntimeLoggingParams(
    unsigned int mask, const char* files[], unsigned short count) {
    unsigned short i;
    qda_farf_unwanted = ~mask;
    for (i = 0; i < 8; i++)
        snprintf(qda_farf_files[i], sizeof qda_farf_files[i], "%s", i < count ? files[i] : "");
    return 0;
}

HAP_RUNTIME int qda_farf_wants(int level, const char* file) {
    const char* name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
    int i;
    if (qda_farf_unwanted & 1u << level) return 0;
    for (i = 0; i < 8 && qda_farf_files[i][0]; i++)
        if (!strcmp(qda_farf_files[i], name)) return 1;
    return i == 0;
}

__attribute__((format(printf, 4, 5))) HAP_RUNTIME void HAP_debug_runtime(
    int level, const char* file, int line, const char* format, ...) {
    if (qda_farf_wants(level, file)) HAP_DEBUG_FORMATTED(level, file, line, format);
}

#undef HAP_DEBUG_FORMATTED

#ifdef __cplusplus
}
#endif

#endif
