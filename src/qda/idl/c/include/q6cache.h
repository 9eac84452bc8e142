/* Hints to the caches, which code for a DSP gives by hand.  Caches here need none. */

#ifndef Q6CACHE_H
#define Q6CACHE_H

#include <stdint.h>

/* What is to be fetched: rows of `w` bytes, `h` of them, `stride` bytes apart. */
#define CreateL2pfParam(stride, w, h, dir)                                                         \
    ((uint64_t)(dir) << 48 | (uint64_t)(stride) << 32 | (uint64_t)(w) << 16 | (uint64_t)(h))

static inline void L2fetch(uintptr_t address, unsigned long long parameter) {
    (void)address, (void)parameter;
}

/* One line of the data cache: to fetch, to write back, to forget, both, to fill with zeros. */
static inline void dcfetch(const void* address) { __builtin_prefetch(address); }
static inline void dccleana(const void* address) { (void)address; }
static inline void dcinva(const void* address) { (void)address; }
static inline void dccleaninva(const void* address) { (void)address; }

#endif
