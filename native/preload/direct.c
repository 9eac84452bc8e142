/* A call without the server: program, lane, protection domain, lane.
 *
 * The driver's side of the core runs in the program itself.  What is not simply right it declines
 * before anything is sent, and the server carries the call out: it has the errors, in their order. */
#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioctl.h> /* the one of musl does not take commands apart */
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Of the 47-bit address spaces that programs get unless they ask for more (qda.driver.memory). */
#define USER_SPACE 0x7ffffffff000

/* What a thread knows of itself. */
static __thread struct {
    int32_t process, tid;
    struct qda_key interrupted; /* the call that the server has, and to which it may come back */
    char token[sizeof(((struct qda_node *)0)->token)];
} own __attribute__((tls_model("initial-exec")));

/* What the program asks for. */
struct asked {
    uint64_t address; /* of its structure */
    size_t length;
    struct qda_request request;
    unsigned char rest[48]; /* of a longer structure; right behind it */
    struct qda_key key;
};

_Static_assert(offsetof(struct asked, rest) == offsetof(struct asked, request) + sizeof(struct qda_request),
               "one structure");

/* How long the structure is by a code, 0 if the code is none of a call that can be made here.  The
 * DRM core, which writes back, finds a command by its number and copies what the code announces:
 * Qualcomm's library announces 24 bytes. */
static size_t length_by(const struct qda_lease *page, uint64_t code)
{
    const uint64_t sizes = (uint64_t)_IOC_SIZEMASK << _IOC_SIZESHIFT;
    size_t length = _IOC_SIZE(code), least = sizeof(struct qda_request);
    if (code == page->code)
        return least;
    if (!page->writes_back || (code ^ page->code) & ~sizes)
        return 0;
    return length > least && length <= least + sizeof(((struct asked *)0)->rest) ? length : 0;
}

/* The client of a direct call: this program. */

/* Open /proc/self/maps where a descriptor of it is no more there, NULL if there was none. */
static struct qda_kept *open_maps(_Atomic(struct qda_kept *) *maps, struct qda_kept *before)
{
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    struct qda_kept *opened = descriptor < 0 ? NULL : qda_keep(descriptor);
    if (opened && !atomic_compare_exchange_strong(maps, &before, opened))
        qda_drop(opened); /* another thread was faster */
    else if (opened && before)
        qda_drop(before);
    return atomic_load(maps);
}

/* Ask the kernel what lies at an address.  The descriptor is looked at only if it does not answer:
 * no file but a list of mappings does, what it says is compared with the object that the program
 * means, and nothing is written. */
static long ask_kernel(uint64_t address, struct qda_area *found)
{
    _Atomic(struct qda_kept *) *maps = qda_lease_maps();
    struct qda_kept *file = maps ? atomic_load(maps) : NULL;
    long failed = file ? qda_locate(file->number, address, found) : -ENOENT;
    if (!failed || !maps || (file && qda_is_there(file)))
        return failed;
    file = open_maps(maps, file);
    return file ? qda_locate(file->number, address, found) : failed;
}

static long locate(struct qda_port *port, uint64_t address, struct qda_area *found)
{
    (void)port;
    return ask_kernel(address, found);
}

/* How far the stack of the first thread reaches above LOWEST, if that is in it.  What is above our
 * own frames has those of our callers.  The random bytes that the kernel gives a program lie at its
 * end, and there is no other mapping for a long way below it. */
static uintptr_t end_of_stack(uintptr_t lowest)
{
    enum { NEAR = 1 << 20 };
    uintptr_t end = getauxval(AT_RANDOM);
    return end > lowest && end - lowest < NEAR ? end : 0;
}

/* Most programs have their structure on the stack, just above what the library has there.  The pages
 * of our own frames are there to be read and written, without a system call each time. */
static void take_at_hand(struct qda_client *client, const void *lowest, const void *highest)
{
    uintptr_t start = (uintptr_t)lowest & -(uintptr_t)QDA_PAGE, end = end_of_stack(start);
    client->at_hand = (unsigned char *)start;
    client->at_hand_size = ((end ? end : (uintptr_t)highest) | (QDA_PAGE - 1)) + 1 - start;
}

static int same(const struct qda_key *a, const struct qda_key *b)
{
    return a->tid == b->tid && a->handle == b->handle && a->scalars == b->scalars
        && a->arguments == b->arguments;
}

static int32_t this_thread(int32_t process)
{
    if (own.process != process) {
        memset(&own, 0, sizeof own);
        own.tid = (int32_t)syscall(SYS_gettid);
        own.process = process;
    }
    return own.tid;
}

/* Tell the server of a lane that it waits for; `lost` says that nobody answers its call.  Returns
 * the call's result then. */
static long tell(const char *token, int lost)
{
    struct qda_question question = { .operation = QDA_OPERATION_RETURN, .flags = (uint32_t)lost };
    int none;
    memcpy(question.token, token, sizeof question.token);
    return qda_ask(&question, &none);
}

static void give_back(struct qda_leased *lease, struct qda_lent_lane *lane)
{
    if (qda_lane_give_back(lane))
        tell(lease->token, 0);
}

/* Begin a call on a lane.  Returns 0, or QDA_DECLINED: then the lane is given back. */
static long begin(struct qda_leased *lease, struct qda_lent_lane *lane, struct qda_port *port,
                  const struct asked *asked, uint32_t *wish)
{
    if (!qda_is_there(lane->sleep) || !qda_is_there(lane->wake)) {
        qda_lease_give_up(lease);
        *wish = QDA_WISH_LEASE;
        give_back(lease, lane);
        return QDA_DECLINED;
    }
    lane->call->number = atomic_load(&lane->waiter.mine->bell);
    if (!qda_driver_begin(&lease->session, lane->call, port, own.tid, asked->request.handle,
                          asked->request.scalars, asked->request.arguments)) {
        qda_choose_look(&lane->waiter, asked->request.handle,
                        atomic_load((_Atomic uint32_t *)&lease->page->poll));
        qda_ring(&lane->waiter, ++lane->call->number);
        return 0;
    }
    give_back(lease, lane);
    return QDA_DECLINED;
}

static void note_written(const struct qda_call *call)
{
    for (uint32_t i = 0; CHECKED && i < call->outputs; i++)
        NOTE_WRITTEN((void *)(uintptr_t)call->output[i].there, call->output[i].length);
}

/* Sleep for a millisecond; returns whether a signal handler without SA_RESTART has run.  That
 * decides of `read` alone whether the kernel takes it up again. */
static int wait_a_moment(void)
{
    static const struct itimerspec moment = { .it_value = { 0, 1000000 } };
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), before = errno;
    uint64_t count;
    if (timer < 0) /* there are no numbers */
        return nanosleep(&moment.it_value, NULL) != 0;
    int woken = !timerfd_settime(timer, 0, &moment, NULL)
        && read(timer, &count, sizeof count) < 0 && errno == EINTR;
    close(timer);
    errno = before;
    return woken;
}

/* Wait for the answer of a call, of which the program may have closed the bells. */
static enum qda_woken await_again(struct qda_lent_lane *lane)
{
    const struct qda_call *call = lane->call;
    if (qda_is_there(lane->sleep))
        return qda_await(&lane->waiter, call->number, &call->context, -1, -1);
    while (!qda_has_rung(lane->waiter.other, call->number, &call->context)) {
        if (atomic_load(lane->waiter.dead))
            return QDA_DEAD;
        if (wait_a_moment())
            return QDA_SIGNAL;
    }
    return QDA_RUNG;
}

/* Wait for the answer of a call that has been sent, and take it. */
static long finish(struct qda_leased *lease, struct qda_lent_lane *lane, struct qda_port *port,
                   struct asked *asked, enum qda_woken woken)
{
    struct qda_call *call = lane->call;
    int32_t answer = 0;
    if (woken == QDA_RUNG && !qda_driver_answered(&lease->session, call, &answer))
        woken = QDA_DEAD; /* its context word has changed since: it can only be nonsense (H15) */
    if (woken == QDA_RUNG && (uint32_t)answer == QDA_BAD_STATE && atomic_load(lane->waiter.dead))
        woken = QDA_DEAD; /* it was answered because the session ends: the server says why */
    if (woken == QDA_SIGNAL) { /* a handler without SA_RESTART has run */
        if (qda_lane_leave(lease, lane, &asked->key))
            tell(lease->token, 0);
        return -EINTR;
    }
    if (woken != QDA_RUNG)
        call->outputs = 0;
    if (lease->page->writes_back)
        call->output[call->outputs++] =
            (struct qda_piece){ asked->address, (unsigned char *)&asked->request, asked->length };
    long result = qda_driver_finish(call, port) ? -EFAULT : answer;
    note_written(call);
    qda_driver_unpin(call);
    if (woken != QDA_RUNG) {
        qda_lane_give_back(lane);
        return tell(lease->token, 1);
    }
    give_back(lease, lane);
    return result;
}

/* Read the structure of a question, which lies in a frame of ours.  Returns 0, or QDA_DECLINED if it
 * cannot be read. */
static long read_structure(const struct qda_question *question, size_t length,
                           struct qda_client *client, struct asked *asked)
{
    struct qda_piece piece = { question->argument, (unsigned char *)&asked->request, length };
    int32_t process = qda_lease_process();

    memset(client, 0, sizeof *client);
    qda_client_init(client, process, USER_SPACE, -1);
    client->port.locate = locate;
    take_at_hand(client, client, (const char *)(question + 1) - 1);
    if (!process || client->port.fetch(&client->port, &piece, 1))
        return QDA_DECLINED;
    asked->address = question->argument;
    asked->length = length;
    asked->key = (struct qda_key){ this_thread(process), asked->request.handle,
                                   asked->request.scalars, asked->request.arguments };
    return 0;
}

/* The result in a child that a signal handler has forked in the middle of the call, which is the
 * parent's: the child begins its own, unless the handler is one without SA_RESTART. */
static long in_child(enum qda_woken woken)
{
    return woken == QDA_SIGNAL ? -EINTR : QDA_DECLINED;
}

/* Carry a call out on a lane; QDA_DECLINED if nothing has been done, and then what would help. */
static long call_on(struct qda_leased *lease, const struct qda_question *question, size_t length,
                    uint32_t *wish)
{
    const char *token = question->token;
    int32_t process = qda_lease_process();
    enum qda_woken woken;
    struct qda_client client;
    struct asked asked;
    struct qda_leased *resumed;

    if (read_structure(question, length, &client, &asked))
        return QDA_DECLINED;
    if (own.interrupted.tid && same(&own.interrupted, &asked.key)
        && !memcmp(own.token, token, sizeof own.token))
        return QDA_DECLINED; /* the server has this call */
    struct qda_port *port = &client.port;
    struct qda_lent_lane *lane = qda_lane_resume(token, &asked.key, &resumed);
    if (lane) {
        woken = await_again(lane);
        if (qda_lease_process() != process)
            return in_child(woken);
        long result = finish(resumed, lane, port, &asked, woken);
        qda_lease_leave(resumed);
        return result;
    }
    qda_lane_forsake(lease, asked.key.tid);
    lane = qda_lane_take(lease);
    if (!lane)
        *wish = atomic_load(&lease->state) == QDA_LEASE_THERE ? QDA_WISH_LANE : QDA_WISH_LEASE;
    if (!lane || begin(lease, lane, port, &asked, wish))
        return QDA_DECLINED;
    woken = qda_await(&lane->waiter, lane->call->number, &lane->call->context, -1, -1);
    if (qda_lease_process() != process)
        return in_child(woken);
    if (woken == QDA_DEAD && !qda_is_there(lane->sleep)) /* closed in the middle of the call */
        woken = await_again(lane);
    return finish(lease, lane, port, &asked, woken);
}

/* Remember a call that a signal has interrupted while the server had it, until it is over. */
static void note(const struct qda_question *question, long result)
{
    struct qda_client client;
    struct asked asked;
    if ((result != -EINTR && !own.interrupted.tid)
        || read_structure(question, sizeof asked.request, &client, &asked))
        return;
    if (result == -EINTR) {
        own.interrupted = asked.key;
        memcpy(own.token, question->token, sizeof own.token);
    } else if (same(&own.interrupted, &asked.key)) {
        own.interrupted.tid = 0;
    }
}

static long ask(struct qda_question *question, uint32_t wish)
{
    int none;
    question->wishes = qda_wish(question->token, wish);
    uint32_t wished = question->wishes;
    long result = qda_ask(question, &none);
    if (wished)
        qda_wish_over(question->token, wished);
    note(question, result);
    return result;
}

long qda_call(struct qda_question *question)
{
    struct qda_leased *lease = qda_lease_enter(question->token);
    uint32_t wish = lease ? 0 : QDA_WISH_LEASE;
    long result = QDA_DECLINED;
    int cancel, before = errno;

    if (lease) {
        /* What is no cancellation point in libc must not become one. */
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
        size_t length = length_by(lease->page, question->code);
        int32_t process = qda_lease_process();
        if (length)
            result = call_on(lease, question, length, &wish);
        if (qda_lease_process() == process) /* a child has no leases yet */
            qda_lease_leave(lease);
        pthread_setcancelstate(cancel, NULL);
    }
    errno = before;
    return result == QDA_DECLINED ? ask(question, wish) : result;
}
