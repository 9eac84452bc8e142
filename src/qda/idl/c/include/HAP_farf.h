/* Messages of implementations: FARF(HIGH, "%d items", count) writes to the standard error output
   if FARF_HIGH is 1.  Levels that begin with RUNTIME_ are on only when the build says so. */

#ifndef HAP_FARF_H
#define HAP_FARF_H

#include <stdio.h>

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
#define FARF_RUNTIME_LOW 0
#endif
#ifndef FARF_RUNTIME_MEDIUM
#define FARF_RUNTIME_MEDIUM 0
#endif
#ifndef FARF_RUNTIME_HIGH
#define FARF_RUNTIME_HIGH 0
#endif
#ifndef FARF_RUNTIME_ERROR
#define FARF_RUNTIME_ERROR 0
#endif
#ifndef FARF_RUNTIME_FATAL
#define FARF_RUNTIME_FATAL 0
#endif

#define FARF(level, ...)                                                                           \
    do {                                                                                           \
        if (FARF_##level) {                                                                        \
            fprintf(stderr, "%s:%d: " #level ": ", __FILE__, __LINE__);                            \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

#endif
