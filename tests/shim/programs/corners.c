/* What programs do to a library that lives in them: they close descriptors which are not theirs,
 * run out of descriptors, call from signal handlers, cancel threads, leave threads behind. */
#define _GNU_SOURCE
#include "program.h"
#include <linux/dma-heap.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

static int node;
static uint32_t calculator;
static volatile int nested = -1;

static void check_calls(void)
{
    CHECK(sum(node, calculator, inline_part(numbers, sizeof numbers)) == TOTAL);
}

static void *park(void *unused)
{
    while (call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == -1 && errno == EINTR)
        ;
    return unused;
}

static pthread_t park_in_thread(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, park, NULL) == 0);
    while (!ask(node, calculator, PARKED))
        sched_yield();
    return thread;
}

static void release(pthread_t parked)
{
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    CHECK(pthread_join(parked, NULL) == 0);
}

/* Every other descriptor is closed, and its number is something else's. */
static void close_all(void)
{
    for (int descriptor = 0; descriptor < 1024; descriptor++)
        if (descriptor != node && descriptor != 2)
            close(descriptor);
    for (int i = 0; i < 300; i++)
        CHECK(open("/dev/null", O_RDWR) >= 0);
    check_calls();
    check_calls();
}

static void run_out(void)
{
    struct rlimit limit = { 64, 64 };
    struct dma_heap_allocation_data request = { .len = 100, .fd_flags = O_RDWR };
    int heap = open("/dev/dma_heap/system", O_RDONLY), one = open("/dev/null", O_RDWR);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while (open("/dev/null", O_RDWR) >= 0)
        ;
    CHECK(errno == EMFILE);
    CHECK(open(NODE, O_RDWR) == -1 && errno == EMFILE);
    CHECK(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == -1 && errno == EMFILE);
    check_calls();
    CHECK(close(one) == 0);
    CHECK(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request) == 0 && (int)request.fd == one);
}

static void handle(int signal)
{
    (void)signal;
    nested = (int)ask(node, calculator, PARKED);
}

/* A handler calls the device in the middle of a call. */
static void call_from_handler(void)
{
    struct sigaction action = { .sa_handler = handle };
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    pthread_t parked = park_in_thread();
    while (nested != 1) {
        CHECK(pthread_kill(parked, SIGUSR1) == 0);
        sched_yield();
    }
    check_calls();
    release(parked);
    CHECK(ask(node, calculator, ENTERED) == 1);
}

static void *call_twice(void *unused)
{
    check_calls();
    check_calls();
    return unused;
}

/* A system call takes nothing of the program's stack. */
static void small_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 16384) == 0); /* PTHREAD_STACK_MIN */
    CHECK(pthread_create(&thread, &attributes, call_twice, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

/* ioctl is no cancellation point: the thread is cancelled after its call. */
static void cancel(void)
{
    pthread_t parked = park_in_thread();
    CHECK(pthread_cancel(parked) == 0);
    check_calls();
    release(parked);
}

/* close in one thread, a call in another: the call goes on (clients.md 11, 13.6). */
static void close_during_call(void)
{
    int other = dup(node), closed = node;
    pthread_t parked = park_in_thread();
    node = other;
    CHECK(close(closed) == 0);
    check_calls();
    release(parked);
    CHECK(call(closed, calculator, 0, NULL) == -1 && errno == EBADF);
}

/* The program ends while a thread is inside a call. */
static void leave(void)
{
    park_in_thread();
    CHECK(close(node) == 0);
}

/* A child has copies of everything, and outlives the program: it must not keep the call alive. */
static void leave_child(void)
{
    park_in_thread();
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        close(node);
        CHECK(raise(SIGSTOP) == 0);
        _exit(0);
    }
    printf("%d\n", (int)child);
    fflush(stdout);
}

/* Waits in a call until the device is gone. */
static void survive(void)
{
    int name;
    struct drm_qda_gem_mmap_offset place = { .handle = 1 };
    allocate(node, 4096, &name);
    CHECK(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0);
    printf("waiting\n");
    fflush(stdout);
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == -1 && errno == ENODEV);
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == -1 && errno == ENODEV);
}

/* The same, and the server is gone with it. */
static void survive_server(void)
{
    survive();
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, node, 1ll << 32) == MAP_FAILED);
    CHECK(errno == ENODEV);
    CHECK(open(NODE, O_RDWR) == -1 && errno == ENODEV);
    CHECK(close(node) == 0);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } corners[] = {
        { "call_from_handler", call_from_handler },
        { "cancel", cancel },
        { "close_all", close_all },
        { "close_during_call", close_during_call },
        { "leave", leave },
        { "leave_child", leave_child },
        { "run_out", run_out },
        { "small_stack", small_stack },
        { "survive", survive },
        { "survive_server", survive_server },
    };
    CHECK(count == 2);
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    for (size_t i = 0; i < sizeof corners / sizeof *corners; i++)
        if (!strcmp(corners[i].name, arguments[1])) {
            corners[i].run();
            return 0;
        }
    return 2;
}
