/* The port of the core to Linux processes.
 *
 * A waiter looks for the bell for a moment before it sleeps, since waking another CPU takes ten
 * times as long as a call.  It does so only where looking cannot be in the other side's way: on
 * another CPU than the one that the other side was last on, while fewer threads of this process
 * look than the machine has other CPUs, and as long as it finds something.
 *
 * Two sides that both sleep would go on so, as each finds the other asleep: so of those that
 * have given up, one call in 64 begins a row of trials, which look for longer than it takes to
 * wake the other side.  While one side is in such a row the other begins its own, and finds.
 * What was found later than a usual look would have lasted is looked for as long the next time:
 * to sleep would take longer still.  Where nothing is found, rows begin ever more seldom.  The
 * rules were measured: two processes on one CPU made 1,600 calls a second with a long look and
 * 200,000 with none.
 *
 * Two sides on one CPU hand it to each other instead: a waiter yields it twice before it
 * sleeps.  The other side then finds what there is, and nobody has to be woken: a call took 8.4
 * us of the CPU where both slept, 6.8 so.  This, too, goes on only while it finds something
 * soon.  Beside others that want the CPU, whoever has yielded it waits for their turns; and
 * beside a caller that works between its calls, a fair scheduler gives it back at once to the
 * other side, which has had less of it.
 *
 * In poll mode the client has asked for a longer look, which the same rules bound.
 *
 * Where other threads want the interpreter's lock, a caller keeps it by the same habit for the first
 * moment of its wait, asleep or not.  To give it up and take it back costs two more switches, and
 * with them each call goes on another lane, to another sleeping thread of the DSP: eight threads
 * made half the calls of one. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The client's memory. */

enum {
    QDA_BATCH = 64, /* all of this is on the program's stack, and threads have 16 KiB, at the least */
    QDA_GAP = 1024,
};

/* Most of what a copy of few bytes costs is to find their page.  So pieces in one page are read as
 * one range, as where a byte of a page can be read all can; what lies between goes nowhere. */
static long fetch_all(pid_t pid, const struct qda_piece *pieces, uint32_t count)
{
    struct iovec here[QDA_BATCH], there[QDA_BATCH];
    unsigned char nowhere[QDA_GAP];

    for (uint32_t next = 0; next < count;) {
        uint32_t parts = 0, ranges = 0;
        uint64_t end = 0, total = 0;
        for (; next < count && parts < QDA_BATCH - 1; next++) {
            const struct qda_piece *piece = &pieces[next];
            uint64_t gap = piece->there - end;
            if (ranges && piece->there >= end && gap <= QDA_GAP
                && piece->there / QDA_PAGE == (end - 1) / QDA_PAGE) {
                if (gap)
                    here[parts++] = (struct iovec){ nowhere, (size_t)gap };
                there[ranges - 1].iov_len += (size_t)(gap + piece->length);
                total += gap;
            } else {
                there[ranges++] = (struct iovec){ (void *)(uintptr_t)piece->there,
                                                  (size_t)piece->length };
            }
            here[parts++] = (struct iovec){ piece->here, (size_t)piece->length };
            total += piece->length;
            end = piece->there + piece->length;
        }
        if (process_vm_readv(pid, here, parts, there, ranges, 0) != (ssize_t)total)
            return -EFAULT;
    }
    return 0;
}

/* Whether all pieces lie in memory that is at hand. */
static int is_at_hand(const struct qda_client *client, const struct qda_piece *pieces,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = pieces[i].there - (uintptr_t)client->at_hand;
        if (offset > client->at_hand_size || pieces[i].length > client->at_hand_size - offset)
            return 0;
    }
    return 1;
}

static long fetch(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    struct qda_client *client = (struct qda_client *)(void *)port;
    if (!is_at_hand(client, pieces, count))
        return fetch_all(client->pid, pieces, count);
    for (uint32_t i = 0; i < count; i++)
        memcpy(pieces[i].here, (void *)(uintptr_t)pieces[i].there, (size_t)pieces[i].length);
    return 0;
}

static long store(struct qda_port *port, const struct qda_piece *pieces, uint32_t count)
{
    struct qda_client *client = (struct qda_client *)(void *)port;
    struct iovec here[QDA_BATCH], there[QDA_BATCH];

    if (is_at_hand(client, pieces, count)) {
        for (uint32_t i = 0; i < count; i++)
            memcpy((void *)(uintptr_t)pieces[i].there, pieces[i].here, (size_t)pieces[i].length);
        return 0;
    }
    for (uint32_t first = 0; first < count; first += QDA_BATCH) {
        uint32_t some = count - first < QDA_BATCH ? count - first : QDA_BATCH;
        uint64_t total = 0;
        for (uint32_t i = 0; i < some; i++) {
            const struct qda_piece *piece = &pieces[first + i];
            here[i] = (struct iovec){ piece->here, (size_t)piece->length };
            there[i] = (struct iovec){ (void *)(uintptr_t)piece->there, (size_t)piece->length };
            total += piece->length;
        }
        if (process_vm_writev(client->pid, here, some, there, some, 0) != (ssize_t)total)
            return -EFAULT;
    }
    return 0;
}

/* linux include/uapi/linux/fs.h, since 6.11. */
struct procmap_query {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};

#define PROCMAP_QUERY _IOWR('f', 17, struct procmap_query)

long qda_locate(int maps, uint64_t address, struct qda_area *found)
{
    struct procmap_query query = { .size = sizeof query, .query_addr = address };

    /* Not by `ioctl`, which the preload library wraps. */
    if (syscall(SYS_ioctl, maps, PROCMAP_QUERY, &query))
        return -errno;
    found->start = query.vma_start;
    found->end = query.vma_end;
    found->offset = query.vma_offset;
    found->inode = query.inode;
    found->major = query.dev_major;
    found->minor = query.dev_minor;
    return 0;
}

static long locate(struct qda_port *port, uint64_t address, struct qda_area *found)
{
    return qda_locate(((struct qda_client *)(void *)port)->maps, address, found);
}

void qda_client_init(struct qda_client *client, int32_t pid, uint64_t limit, int maps)
{
    client->port = (struct qda_port){ fetch, store, locate, limit };
    client->pid = pid;
    client->maps = maps;
}

/* Waking and sleeping. */

/* How many threads of this process look now: a forked child, in which none does, finds it zeroed.
 * NULL where that cannot be had: then nobody looks. */
static _Atomic uint32_t *looking(void)
{
    static _Atomic(_Atomic uint32_t *) known;
    _Atomic uint32_t *made, *before = atomic_load_explicit(&known, memory_order_acquire);
    if (before)
        return before;
    made = mmap(NULL, QDA_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return NULL;
    if (!madvise(made, QDA_PAGE, MADV_WIPEONFORK)
        && atomic_compare_exchange_strong(&known, &before, made))
        return made;
    munmap(made, QDA_PAGE);
    return before; /* another thread's, if it was faster */
}

static uint32_t this_cpu(void)
{
    return (uint32_t)sched_getcpu() + 1;
}

uint64_t qda_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t qda_microseconds(void)
{
    return qda_nanoseconds() / 1000;
}

static void pause_a_moment(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

void qda_ring(struct qda_waiter *waiter, uint32_t number)
{
    static const char byte;
    atomic_store_explicit(&waiter->mine->cpu, this_cpu(), memory_order_relaxed);
    if (qda_strike(waiter->mine, waiter->other, number)) {
        int before = errno;
        /* A full pipe has a byte already, and one without a reader has nobody to wake. */
        (void)!write(waiter->wake, &byte, 1);
        errno = before;
    }
}

static uint32_t other_cpus(void)
{
    static _Atomic uint32_t known;
    uint32_t count = atomic_load_explicit(&known, memory_order_relaxed);
    if (!count) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        count = online > 1 ? (uint32_t)online : 1;
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count - 1;
}

enum { ENOUGH = 4, LONGER = 5, FIRST = 64, LAST = 4096, TRIALS = 80 };

/* Whether it is worth it this time: it has been, or it is tried again. */
static int is_worth(struct qda_habit *habit)
{
    habit->calls++;
    if (habit->misses >= ENOUGH) {
        if ((int32_t)(habit->calls - habit->next) < 0)
            return 0;
        habit->misses = 0;
        habit->trials = TRIALS;
    }
    if (!habit->interval)
        habit->interval = FIRST;
    return 1;
}

static void learn(struct qda_habit *habit, int found)
{
    if (habit->trials)
        habit->trials--;
    if (found) {
        habit->misses = 0;
        habit->interval = FIRST;
    } else if (++habit->misses == ENOUGH) {
        habit->trials = 0;
        habit->next = habit->calls + habit->interval;
        habit->interval = habit->interval < LAST ? 2 * habit->interval : LAST;
    }
}

void qda_choose_look(struct qda_waiter *waiter, uint32_t handle, uint32_t poll)
{
    uint32_t chosen = handle > QDA_LAST_FIXED ? poll : 0;
    if (waiter->poll != chosen) {
        waiter->poll = chosen;
        waiter->looks = (struct qda_habit){ 0 };
    }
}

/* Whether the other side has rung.  A signal handler may fork in the middle of a wait: the child,
 * which has no lanes, finds the waiter zeroed. */
static int has_rung(const struct qda_waiter *waiter, uint32_t number, const uint64_t *context)
{
    struct qda_side *other = *(struct qda_side *const volatile *)&waiter->other;
    return other && qda_has_rung(other, number, context);
}

/* Give the other side this CPU, which it was last on. */
static int hand_over(struct qda_waiter *waiter, uint32_t number, const uint64_t *context)
{
    enum { TIMES = 2, SOON = 1000 };
    uint64_t begun = qda_microseconds();
    int found = 0;
    for (int i = 0; i < TIMES && !found; i++) {
        sched_yield();
        found = has_rung(waiter, number, context);
    }
    learn(&waiter->turns, found && qda_microseconds() - begun < SOON);
    return found;
}

static int look_for(struct qda_waiter *waiter, uint32_t number, const uint64_t *context)
{
    enum { PAUSES = 32 };
    uint32_t cpu = atomic_load_explicit(&waiter->other->cpu, memory_order_relaxed);
    _Atomic uint32_t *count;
    int found = 0;

    if (!waiter->patience || !cpu)
        return 0;
    if (cpu == this_cpu())
        return is_worth(&waiter->turns) && hand_over(waiter, number, context);
    if (!(count = looking()) || !is_worth(&waiter->looks))
        return 0;
    if (atomic_fetch_add(count, 1) < other_cpus()) {
        uint64_t begun = qda_microseconds(), passed = 0;
        int longer = waiter->looks.trials || waiter->looks.late;
        uint32_t patience = longer ? LONGER * waiter->patience : waiter->patience;
        patience = waiter->poll > patience ? waiter->poll : patience;
        do {
            for (int i = 0; i < PAUSES && !found; i++) {
                found = has_rung(waiter, number, context);
                pause_a_moment();
            }
        } while (!found && (passed = qda_microseconds() - begun) < patience);
        waiter->looks.late = found && passed >= waiter->patience;
        learn(&waiter->looks, found);
    }
    if (atomic_load(count)) /* not in a child that a signal handler has forked meanwhile */
        atomic_fetch_sub(count, 1);
    return found;
}

/* Sleep until somebody writes into the pipe, or for so many microseconds; -1: for ever. */
static enum qda_woken sleep_once(struct qda_waiter *waiter, int also, int64_t timeout)
{
    char bytes[16];
    if (also >= 0 || timeout >= 0) {
        struct pollfd watched[2] = { { waiter->sleep, POLLIN, 0 }, { also, POLLIN, 0 } };
        struct timespec time = { (time_t)(timeout / 1000000), (long)(timeout % 1000000) * 1000 };
        int ready = ppoll(watched, also >= 0 ? 2 : 1, timeout >= 0 ? &time : NULL, NULL);
        if (ready <= 0)
            return ready ? QDA_SIGNAL : QDA_LATE;
        if (!watched[0].revents)
            return QDA_ALSO;
    }
    ssize_t got = read(waiter->sleep, bytes, sizeof bytes);
    if (got > 0)
        return QDA_RUNG;
    return got < 0 && errno == EINTR ? QDA_SIGNAL : QDA_DEAD;
}

/* Of what one side has said, the other side reads what the lane has: should the DSP's program write
 * there, both may sleep for ever.  So who sleeps is looked after, see `qda_pool_look`. */
static void call_guard(struct qda_waiter *waiter)
{
    struct qda_guard *guard = waiter->guard;
    atomic_fetch_add(&waiter->sleeps, 1);
    if (guard && !atomic_load(&guard->told) && !atomic_exchange(&guard->told, 1))
        (void)!write(guard->bell, "", 1);
}

static enum qda_woken await(struct qda_waiter *waiter, uint32_t number, const uint64_t *context,
                            int also, int64_t timeout)
{
    enum qda_woken woken = QDA_RUNG;
    struct qda_side *const volatile *now = &waiter->mine, *mine = *now;
    uint64_t end = timeout < 0 ? 0 : qda_microseconds() + (uint64_t)timeout;
    int before = errno;

    if (qda_has_rung(waiter->other, number, context) || look_for(waiter, number, context))
        return QDA_RUNG;
    call_guard(waiter);
    for (int again = 0; *now == mine; again = 1) {
        atomic_store(&mine->sleeps, 1);
        if (qda_has_rung(waiter->other, number, context) || atomic_load(waiter->dead))
            break;
        if (again && timeout >= 0) {
            uint64_t time = qda_microseconds();
            timeout = time < end ? (int64_t)(end - time) : 0;
        }
        woken = sleep_once(waiter, also, timeout);
        if (woken == QDA_RUNG && atomic_exchange(&waiter->roused, 0))
            woken = QDA_SIGNAL;
        if (woken != QDA_RUNG)
            break;
    }
    errno = before;
    if (*now != mine) /* in a child */
        return woken == QDA_SIGNAL ? QDA_SIGNAL : QDA_DEAD;
    atomic_store_explicit(&mine->sleeps, 0, memory_order_relaxed);
    atomic_fetch_add(&waiter->sleeps, 1);
    /* An answer that came before the death, the signal or the end of the time counts. */
    if (qda_has_rung(waiter->other, number, context))
        return QDA_RUNG;
    return woken == QDA_RUNG ? QDA_DEAD : woken;
}

enum qda_woken qda_await(struct qda_waiter *waiter, uint32_t number, const uint64_t *context,
                         int also, int timeout)
{
    return await(waiter, number, context, also, timeout < 0 ? -1 : (int64_t)timeout * 1000);
}

enum qda_woken qda_await_a_moment(struct qda_waiter *waiter, uint32_t number,
                                  const uint64_t *context)
{
    /* Longer than a tick of the kernel, 4 ms: it would set the CPU's timer for an earlier end, and
     * stop it again, and on a virtual machine each is an exit. */
    enum { SHORT = 50, MOMENT = 5000 };
    if (!waiter->patience || waiter->poll || !is_worth(&waiter->moments))
        return QDA_LATE;
    uint64_t begun = qda_microseconds();
    enum qda_woken woken = await(waiter, number, context, -1, MOMENT);
    if (woken == QDA_LATE)
        waiter->moments.misses = ENOUGH - 1; /* one so long is enough */
    learn(&waiter->moments, woken == QDA_RUNG && qda_microseconds() - begun < SHORT);
    return woken;
}
