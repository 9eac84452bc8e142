/* Hints to the caches, which code for a DSP gives by hand.  Caches here need none. */

#ifndef Q6CACHE_H
#define Q6CACHE_H

#include <stdint.h>

#include "hexagon_types.h"

/* What is to be fetched: `h` rows of `w` bytes, `stride` bytes apart. */
#define CreateL2pfParam(stride, w, h, dir)                                                         \
    ((unsigned long long)HEXAGON_V64_CREATE_H((dir), (stride), (w), (h)))

static inline void L2fetch(uintptr_t address, unsigned long long parameter) {
    (void)address, (void)parameter;
}

/* One line of the data cache: to fetch, to write back, to forget, both, to fill with zeros. */
static inline void dcfetch(const void* address) { __builtin_prefetch(address); }
static inline void dccleana(const void* address) { (void)address; }
static inline void dcinva(const void* address) { (void)address; }
static inline void dccleaninva(const void* address) { (void)address; }

#endif
