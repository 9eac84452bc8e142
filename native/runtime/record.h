/* What skeletons ask of hardware that is not there: it is written down, in the session's log. */
#ifndef QDA_RUNTIME_RECORD_H
#define QDA_RUNTIME_RECORD_H

#include "HAP_debug.h"

/* A line of the lowest level, as if it were of the header that declares the function. */
#define record(header, ...) HAP_debug_v2(HAP_LEVEL_LOW, header, 0, __VA_ARGS__)

/* What is done very often is counted, and written down the first time, the second, the fourth... */
struct count {
    const char *function;
    unsigned long long calls, bytes;
};

#pragma GCC visibility push(hidden)

void record_bytes(struct count *count, unsigned long long bytes);

#pragma GCC visibility pop

#endif
