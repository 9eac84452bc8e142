/* Waiting for a word in memory to change. */

#ifndef QURT_FUTEX_H
#define QURT_FUTEX_H

#ifdef __cplusplus
extern "C" {
#endif

/* Wait while the word has that value, but for wake-ups that need no reason. */
int qurt_futex_wait(void* word, int value);
/* Wake at most that many of those who wait; returns how many. */
int qurt_futex_wake(void* word, int count);

#ifdef __cplusplus
}
#endif

#endif
