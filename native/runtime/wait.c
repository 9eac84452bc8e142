/* Futexes and the monotonic clock. */
#include "wait.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qurt_error.h"
#include "qurt_futex.h"

#define NS_PER_S 1000000000u

uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t deadline_in(unsigned long long duration)
{
    uint64_t now = now_ns();
    return duration < (FOR_EVER - now) / 1000 ? now + duration * 1000 : FOR_EVER;
}

static struct timespec timespec_of(uint64_t time)
{
    return (struct timespec){ (time_t)(time / NS_PER_S), (long)(time % NS_PER_S) };
}

void sleep_until(uint64_t deadline)
{
    struct timespec end = timespec_of(deadline);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR)
        ;
}

int wait_word(unsigned int *word, unsigned int value, uint64_t deadline)
{
    struct timespec end = timespec_of(deadline);
    long failed = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
                          deadline == FOR_EVER ? NULL : &end, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(failed && errno == ETIMEDOUT);
}

int wake_word(unsigned int *word, int count)
{
    return (int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int qurt_futex_wait(void *word, int value)
{
    wait_word(word, (unsigned int)value, FOR_EVER);
    return QURT_EOK;
}

int qurt_futex_wake(void *word, int count) { return wake_word(word, count); }
