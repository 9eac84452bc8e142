/* Programs that do to their lanes what none should, or end where none expects it. */
#define _GNU_SOURCE
#include "parts.h"
#include <dlfcn.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

enum { LANES = 256, SLOT = 64 << 10, POOL = LANES * SLOT, WORDS = 1024, PAGE = 102400 };

extern char **environ;

/* What the server shares with this program, by its size; the last mapping of it. */
static unsigned char *find_shared(size_t size)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned long start, end, found = 0;
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "/memfd:qda") && sscanf(line, "%lx-%lx", &start, &end) == 2
            && end - start == size)
            found = start;
    fclose(maps);
    return (unsigned char *)found;
}

static uint32_t *find_words(void)
{
    return (uint32_t *)(void *)(find_shared(PAGE) + WORDS);
}

/* What children have had goes before their parent does. */
static void many_children(void)
{
    enum { CHILDREN = 40 };
    check_calls(2);
    say("ready");
    wait_for_line();
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            check_calls(2);
            _exit(0);
        }
        wait_for(child);
    }
    check_calls(CALLS);
    say("done");
    wait_for_line();
}

/* A thread in a call on a lane, and which: the first calls may go through the server. */
static pthread_t park_on_lane(const uint32_t *words, int *lane)
{
    for (;;) {
        CHECK(call(node, calculator, QDA_SCALARS(CLOSE_GATE, 0, 0), NULL) == 0);
        pthread_t parked = park_in_thread();
        for (*lane = 1; *lane < LANES; ++*lane)
            if (__atomic_load_n(&words[*lane], __ATOMIC_SEQ_CST) & 1)
                return parked;
        release(parked);
    }
}

/* A child ends between asking for a call and waking who is to carry it out. */
static void end_before_waking(void)
{
    check_calls(2);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        check_calls(2);
        int lane;
        uint32_t *words = find_words();
        release(park_on_lane(words, &lane));
        _Atomic uint32_t *bells = (void *)find_shared(POOL);
        _Atomic uint32_t *driver = bells + 32 * lane, *dsp = driver + 16;
        while (!dsp[1]) /* it sleeps */
            sched_yield();
        words[lane]++;
        driver[0]++;
        _exit(0);
    }
    wait_for(child);
    check_calls(CALLS);
    say("done");
    wait_for_line();
}

static unsigned long disorder = 1;

static void scribble(unsigned char *memory, size_t size)
{
    for (size_t i = 0; i < size; i += sizeof disorder) {
        disorder = disorder * 6364136223846793005ul + 1442695040888963407ul;
        memcpy(memory + i, &disorder, sizeof disorder);
    }
}

static void *call_on(void *unused)
{
    for (;;) {
        int64_t total;
        uint32_t count = 8;
        ELEMENT elements[] = { inline_part(&count, sizeof count),
                               inline_part(numbers, sizeof numbers),
                               inline_part(&total, sizeof total) };
        call(node, calculator, QDA_SCALARS(SUM, 2, 1), elements);
    }
    return unused;
}

/* A program that writes nonsense into all that it has been lent, while it calls. */
static void write_nonsense(void)
{
    pthread_t threads[3];
    struct timespec moment = { 0, 2000000 };
    int name;
    allocate(node, 4096, &name);
    check_calls(2);
    unsigned char *page = find_shared(PAGE), *pool = find_shared(POOL);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, call_on, NULL) == 0);
    say("ready");
    for (int i = 0; i < 20; i++) {
        scribble(page, PAGE);
        scribble(pool, i % 4 ? SLOT : POOL);
        nanosleep(&moment, NULL);
    }
    say("done");
    wait_for_line();
}

/* Programs around which others come and go. */

static int over;

static void *call_until_over(void *unused)
{
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
        check_calls(1);
    return unused;
}

static void begin_calling(pthread_t threads[3], void *(*calls)(void *))
{
    check_calls(2);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_create(&threads[i], NULL, calls, NULL) == 0);
}

static void end_calling(pthread_t threads[3])
{
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    check_calls(CALLS);
}

/* What is no output of a call stays what it was, whatever the protection domain does. */
static void *call_and_look(void *unused)
{
    enum { ROOM = 64 };
    while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
        struct { uint8_t before[ROOM], total[sizeof(int64_t)], after[ROOM]; } room;
        uint32_t count = sizeof numbers / sizeof *numbers;
        memset(&room, 0x55, sizeof room);
        ELEMENT elements[] = { inline_part(&count, sizeof count),
                               inline_part(numbers, sizeof numbers),
                               inline_part(room.total, sizeof room.total) };
        call(node, calculator, QDA_SCALARS(SUM, 2, 1), elements);
        CHECK(count == sizeof numbers / sizeof *numbers);
        for (int i = 0; i < ROOM; i++)
            CHECK(room.before[i] == 0x55 && room.after[i] == 0x55);
    }
    return unused;
}

static ELEMENT shared;

/* Its answer may be among what is written over. */
static void *ask_for_nonsense(void *unused)
{
    enum { WRITE_NONSENSE = 2 };
    uint32_t hostile = open_module(node, "file:///libhostile_skel.so?hostile_skel_handle_invoke"
                                         "&_modver=1.0&_dom=cdsp");
    call(node, hostile, QDA_SCALARS(WRITE_NONSENSE, 1, 0), &shared);
    return unused;
}

/* The protection domain writes nonsense into what it shares with this program, until it dies. */
static void hear_nonsense(void)
{
    enum { SIZE = 4096 };
    pthread_t threads[3], asking;
    int name;
    const char *buffer = allocate(node, SIZE, &name);
    shared = inline_part(buffer, SIZE);
    shared.OBJECT = name;
    begin_calling(threads, call_and_look);
    CHECK(pthread_create(&asking, NULL, ask_for_nonsense, NULL) == 0);
    while (!*(const volatile char *)buffer)
        sched_yield();
    say("now");
    wait_for_line();
    __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(pthread_join(asking, NULL) == 0);
}

static void *call_until_closed(void *unused)
{
    const ELEMENT part = inline_part(numbers, sizeof numbers);
    for (;;) {
        uint32_t count = sizeof numbers / sizeof *numbers;
        int64_t total = 0;
        ELEMENT elements[] = { inline_part(&count, sizeof count), part,
                               inline_part(&total, sizeof total) };
        if (call(node, calculator, QDA_SCALARS(SUM, 2, 1), elements))
            break;
        CHECK(total == TOTAL);
    }
    CHECK(errno == EBADF);
    return unused;
}

/* It closes its node in the middle of calls, and is stopped. */
static void close_and_stop(void)
{
    pthread_t threads[3];
    begin_calling(threads, call_until_closed);
    say("ready");
    wait_for_line();
    CHECK(close(node) == 0);
    CHECK(raise(SIGSTOP) == 0);
    for (int i = 0; i < 3; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* Children that share its memory until they execute, that never call, and that call and end. */
static void children_while_calling(void)
{
    char *command[] = { "true", NULL };
    pthread_t threads[3];
    pid_t child;
    begin_calling(threads, call_until_over);
    for (int i = 0; i < 10; i++) {
        CHECK(posix_spawnp(&child, "true", NULL, NULL, command, environ) == 0);
        wait_for(child);
        if (!(child = vfork()))
            _exit(0);
        wait_for(child);
        if (!(child = fork()))
            _exit(0);
        wait_for(child);
        if (!(child = fork())) {
            check_calls(2);
            _exit(0);
        }
        wait_for(child);
    }
    end_calling(threads);
}

/* The library is opened once more, and closed. */
static void reload_while_calling(void)
{
    pthread_t threads[3];
    begin_calling(threads, call_until_over);
    for (int i = 0; i < CALLS; i++)
        CHECK(dlclose(dlopen(getenv("LD_PRELOAD"), RTLD_NOW)) == 0);
    end_calling(threads);
}

static void *call_for_ever(void *unused)
{
    for (;;) {
        check_calls(1);
        pthread_testcancel();
    }
    return unused;
}

/* Threads are cancelled at any moment; none keeps a lane. */
static void cancel_while_calling(void)
{
    check_calls(2);
    for (int i = 0; i < 30; i++) {
        pthread_t threads[3];
        for (int j = 0; j < 3; j++)
            CHECK(pthread_create(&threads[j], NULL, call_for_ever, NULL) == 0);
        check_calls(i);
        for (int j = 0; j < 3; j++) {
            CHECK(pthread_cancel(threads[j]) == 0);
            CHECK(pthread_join(threads[j], NULL) == 0);
        }
    }
    check_calls(CALLS);
}

/* There are numbers for the connection alone. */
static void few_descriptors(void)
{
    struct rlimit limit = { 20, 20 };
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    check_calls(CALLS);
    while (dup(0) >= 0)
        ;
    check_calls(CALLS);
}

static void handle(int signal)
{
    (void)signal;
}

/* What a thread sleeps on is closed, and then a handler runs, after which it sleeps on: it is not
 * interrupted, since the handler has SA_RESTART. */
static void close_in_a_call(void)
{
    struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
    int lane;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    check_calls(2);
    pthread_t parked = park_on_lane(find_words(), &lane);
    for (int descriptor = 3; descriptor < 256; descriptor++)
        if (descriptor != node)
            close(descriptor);
    for (int i = 0; i < 10; i++) {
        CHECK(pthread_kill(parked, SIGUSR1) == 0);
        check_calls(1);
    }
    CHECK(ask(node, calculator, PARKED) == 1);
    release(parked);
    CHECK(!interrupted);
}

/* The same, and there are new lanes before the handler runs: should one have the number of what the
 * thread slept on, it would sleep on that. */
static void close_in_a_call_and_go_on(void)
{
    enum { FIRST = 100, LAST = 256 };
    char path[32], target[LAST];
    int lane, were_bells[LAST] = { 0 };
    check_calls(2);
    pthread_t parked = park_on_lane(find_words(), &lane);
    for (int descriptor = FIRST; descriptor < LAST; descriptor++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        were_bells[descriptor] =
            readlink(path, target, sizeof target) > 5 && !memcmp(target, "pipe:", 5);
        close(descriptor);
    }
    check_calls(CALLS);
    for (int descriptor = FIRST; descriptor < LAST; descriptor++)
        CHECK(!were_bells[descriptor] || fcntl(descriptor, F_GETFD) < 0);
    release(parked);
}

/* What the library asks where memory lies is closed, and its number is of another file. */
static void take_its_number(void)
{
    char path[32], target[64];
    int name, taken = 0, other = open("/dev/null", O_RDONLY);
    int32_t *buffer = allocate(node, 4096, &name);
    memcpy(buffer, numbers, sizeof numbers);
    ELEMENT element = inline_part(buffer, sizeof numbers);
    element.OBJECT = name;
    for (int i = 0; i < 3; i++)
        CHECK(sum(node, calculator, element) == TOTAL);
    for (int descriptor = 100; descriptor < 256; descriptor++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(path, target, sizeof target);
        if (length > 5 && !memcmp(target + length - 5, "/maps", 5)) {
            CHECK(dup2(other, descriptor) == descriptor);
            taken = descriptor;
        }
    }
    for (int i = 0; i < 3; i++)
        CHECK(sum(node, calculator, element) == TOTAL);
    snprintf(path, sizeof path, "/proc/self/fd/%d", taken);
    CHECK(!taken || (readlink(path, target, sizeof target) == 9 && !memcmp(target, "/dev/null", 9)));
}

/* Poll mode of the session is that of its lanes, also of those that a child has later. */
static void poll_mode(void)
{
    struct { uint32_t request, value, reserved[6]; } option = { 1, 0, { 0 } };
    check_calls(2);
    unsigned char *page = find_shared(PAGE);
    const uint32_t *poll = (const void *)(page + 40);
    for (int i = 0; i < 2; i++) {
        printf("%u\n", *poll);
        option.value = 1;
        CHECK(ioctl(node, 0xc020520c, &option) == 0);
        printf("%u\n", *poll);
        check_calls(CALLS);
        fflush(stdout);
        pid_t child = fork();
        CHECK(child >= 0);
        if (!child) {
            check_calls(2);
            printf("%u\n", *(const uint32_t *)(const void *)(find_shared(PAGE) + 40));
            exit(0);
        }
        wait_for(child);
        option.value = 0;
        CHECK(ioctl(node, 0xc020520c, &option) == 0);
    }
}

/* Waits until the device is gone, which it hears of later, perhaps from the DSP. */
static void wait_for_the_end(void)
{
    check_calls(2);
    say("waiting");
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) != 0);
}

int main(int count, char **arguments)
{
    static const struct part parts[] = {
        PART(many_children),
        PART(end_before_waking),
        PART(write_nonsense),
        PART(children_while_calling),
        PART(reload_while_calling),
        PART(cancel_while_calling),
        PART(few_descriptors),
        PART(close_in_a_call),
        PART(close_in_a_call_and_go_on),
        PART(take_its_number),
        PART(poll_mode),
        PART(wait_for_the_end),
        PART(hear_nonsense),
        PART(close_and_stop),
    };
    return run_part(parts, sizeof parts / sizeof *parts, count, arguments);
}
