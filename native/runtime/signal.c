/* Signals: a word of bits, on which any number of threads wait. */
#include "qurt_signal.h"

#include "qurt_error.h"
#include "wait.h"

static int is_met(unsigned long long bits, unsigned long long mask, unsigned int attribute)
{
    return attribute & QURT_SIGNAL_ATTR_WAIT_ALL ? (bits & mask) == mask : (bits & mask) != 0;
}

/* Wait for bits of a word; returns whether they came in time. */
static int wait_bits(unsigned int *bits, unsigned int *waiting, unsigned int mask,
                     unsigned int attribute, unsigned int *found, uint64_t deadline)
{
    int in_time = 1;
    add(waiting, 1);
    while (!is_met(*found = load(bits), mask, attribute) && in_time)
        in_time = wait_word(bits, *found, deadline);
    add(waiting, -1u);
    return is_met(*found, mask, attribute);
}

static unsigned int set_bits(unsigned int *bits, unsigned int *waiting, unsigned int mask)
{
    unsigned int before = __atomic_fetch_or(bits, mask, __ATOMIC_SEQ_CST);
    if (load(waiting))
        wake_word(bits, INT_MAX);
    return before;
}

static unsigned int clear_bits(unsigned int *bits, unsigned int mask)
{
    return __atomic_fetch_and(bits, ~mask, __ATOMIC_SEQ_CST);
}

void qurt_signal_init(qurt_signal_t *signal) { *signal = (qurt_signal_t){ .X = { 0, 0, 0, 0 } }; }

void qurt_signal_destroy(qurt_signal_t *signal) { qurt_signal_init(signal); }

unsigned int qurt_signal_wait(qurt_signal_t *signal, unsigned int mask, unsigned int attribute)
{
    unsigned int found;
    wait_bits(&signal->X.signals, &signal->X.waiting, mask, attribute, &found, FOR_EVER);
    return found;
}

int qurt_signal_wait_timed(qurt_signal_t *signal, unsigned int mask, unsigned int attribute,
                           unsigned int *signals, unsigned long long duration)
{
    return wait_bits(&signal->X.signals, &signal->X.waiting, mask, attribute, signals,
                     deadline_in(duration))
               ? QURT_EOK
               : QURT_ETIMEDOUT;
}

int qurt_signal_wait_cancellable(qurt_signal_t *signal, unsigned int mask, unsigned int attribute,
                                 unsigned int *signals)
{
    *signals = qurt_signal_wait(signal, mask, attribute);
    return QURT_EOK;
}

void qurt_signal_set(qurt_signal_t *signal, unsigned int mask)
{
    set_bits(&signal->X.signals, &signal->X.waiting, mask);
}

unsigned int qurt_signal_get(qurt_signal_t *signal) { return load(&signal->X.signals); }

void qurt_signal_clear(qurt_signal_t *signal, unsigned int mask)
{
    clear_bits(&signal->X.signals, mask);
}

unsigned int qurt_anysignal_set(qurt_anysignal_t *signal, unsigned int mask)
{
    return set_bits(&signal->X.signals, &signal->X.waiting, mask);
}

unsigned int qurt_anysignal_clear(qurt_anysignal_t *signal, unsigned int mask)
{
    return clear_bits(&signal->X.signals, mask);
}

/* Of the second kind. */

void qurt_signal2_init(qurt_signal2_t *signal) { *signal = (qurt_signal2_t){ { 0, 0, 0, 0 } }; }

void qurt_signal2_destroy(qurt_signal2_t *signal) { qurt_signal2_init(signal); }

unsigned int qurt_signal2_wait(qurt_signal2_t *signal, unsigned int mask, unsigned int attribute)
{
    unsigned int found;
    wait_bits(&signal->cur_mask, &signal->wait_mask, mask, attribute, &found, FOR_EVER);
    return found;
}

void qurt_signal2_set(qurt_signal2_t *signal, unsigned int mask)
{
    set_bits(&signal->cur_mask, &signal->wait_mask, mask);
}

unsigned int qurt_signal2_get(qurt_signal2_t *signal) { return load(&signal->cur_mask); }

void qurt_signal2_clear(qurt_signal2_t *signal, unsigned int mask)
{
    clear_bits(&signal->cur_mask, mask);
}

/* All of them, which the wait takes. */

void qurt_allsignal_init(qurt_allsignal_t *signal)
{
    *signal = (qurt_allsignal_t){ .X = { 0, 0, 0, 0 } };
}

void qurt_allsignal_destroy(qurt_allsignal_t *signal) { qurt_allsignal_init(signal); }

void qurt_allsignal_wait(qurt_allsignal_t *signal, unsigned int mask)
{
    unsigned int found;
    do
        wait_bits(&signal->X.signals_in, &signal->X.waiting, mask, QURT_SIGNAL_ATTR_WAIT_ALL,
                  &found, FOR_EVER);
    while (!replace(&signal->X.signals_in, &found, found & ~mask));
}

void qurt_allsignal_set(qurt_allsignal_t *signal, unsigned int mask)
{
    set_bits(&signal->X.signals_in, &signal->X.waiting, mask);
}

unsigned int qurt_allsignal_get(qurt_allsignal_t *signal) { return load(&signal->X.signals_in); }

/* Of 64 bits: the kernel waits on 32, which count the changes. */

void qurt_signal_64_init(qurt_signal_64_t *signal) { *signal = (qurt_signal_64_t){ 0 }; }

void qurt_signal_64_destroy(qurt_signal_64_t *signal) { qurt_signal_64_init(signal); }

unsigned long long qurt_signal_64_wait(qurt_signal_64_t *signal, unsigned long long mask,
                                       unsigned int attribute)
{
    for (;;) {
        unsigned int changes = load(&signal->signal_sum.X.signals);
        unsigned long long bits = load(&signal->signals);
        if (is_met(bits, mask, attribute))
            return bits;
        wait_word(&signal->signal_sum.X.signals, changes, FOR_EVER);
    }
}

void qurt_signal_64_set(qurt_signal_64_t *signal, unsigned long long mask)
{
    __atomic_fetch_or(&signal->signals, mask, __ATOMIC_SEQ_CST);
    add(&signal->signal_sum.X.signals, 1);
    wake_word(&signal->signal_sum.X.signals, INT_MAX);
}

unsigned long long qurt_signal_64_get(qurt_signal_64_t *signal) { return load(&signal->signals); }

void qurt_signal_64_clear(qurt_signal_64_t *signal, unsigned long long mask)
{
    __atomic_fetch_and(&signal->signals, ~mask, __ATOMIC_SEQ_CST);
}
