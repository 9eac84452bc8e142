/* Waiting for words in memory, and the time until which; who waits.
 *
 * QuRT's objects are 8 or 16 bytes of the skeleton's, which may have been compiled with other headers
 * of that layout.  No mutex of libc fits in there; the kernel's futex is one word. */
#ifndef QDA_RUNTIME_WAIT_H
#define QDA_RUNTIME_WAIT_H

#include <limits.h>
#include <stdint.h>
#include <time.h>

#pragma GCC visibility push(hidden)

#define FOR_EVER UINT64_MAX

/* The time on the monotonic clock, and a time that many microseconds from now. */
uint64_t now_ns(void);
uint64_t deadline_in(unsigned long long duration);

/* Sleep until a time. */
void sleep_until(uint64_t deadline);

/* Wait while the word has that value, until a time, FOR_EVER for none.  Returns 0 once the time is
 * up; else the word may have changed, or not. */
int wait_word(unsigned int *word, unsigned int value, uint64_t deadline);

/* The priority of this thread. */
unsigned int own_priority(void);

/* Wake at most that many; returns how many. */
int wake_word(unsigned int *word, int count);

#pragma GCC visibility pop

#define load(place) __atomic_load_n(place, __ATOMIC_SEQ_CST)
#define store(place, value) __atomic_store_n(place, value, __ATOMIC_SEQ_CST)
#define add(place, value) __atomic_fetch_add(place, value, __ATOMIC_SEQ_CST)
#define swap(place, value) __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST)
/* Sets *place to `value` if it is *seen, else *seen to what it is. */
#define replace(place, seen, value)                                                                \
    __atomic_compare_exchange_n(place, seen, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

#endif
