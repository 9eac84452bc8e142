/* What the programs that measure have in common. */
#ifndef QDA_MEASURED_H
#define QDA_MEASURED_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Microseconds, from a moment that stays. */
static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

/* End the program if something does not hold, and say what. */
static inline void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, errno ? "%s: %s\n" : "%s\n", what, strerror(errno));
        exit(1);
    }
}

#endif
