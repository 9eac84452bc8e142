/* Processes and threads that make calls with numbers, and note in the ledger which were answered:
 * the skeleton notes there which it has carried out. */
#define _GNU_SOURCE
#include "program.h"
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { USE = 2, NOTE = 3, NUMBERS = 1 << 20, BEFORE_EXEC = 50 };

/* See test_kills.py. */
static struct ledger {
    uint64_t next, moment;
    uint32_t over, failed;
    char rest[4096 - 24];
    uint8_t done[NUMBERS], answered[NUMBERS];
} *ledger;

static const char *path;

struct caller {
    int node;
    uint32_t module;
};

static struct caller open_ledger(void)
{
    struct caller made = { .node = open(NODE, O_RDWR) };
    create_session(made.node);
    made.module = open_module(made.node, "file:///libledger_skel.so?ledger_skel_handle_invoke"
                                         "&_modver=1.0&_dom=cdsp");
    ELEMENT element = inline_part(path, strlen(path) + 1);
    CHECK(call(made.node, made.module, QDA_SCALARS(USE, 1, 0), &element) == 0);
    return made;
}

/* One call; whether another is to follow. */
static int call_once(const struct caller *caller)
{
    uint64_t number = __atomic_fetch_add(&ledger->next, 1, __ATOMIC_SEQ_CST);
    ELEMENT element = inline_part(&number, sizeof number);
    int result;
    if (number >= NUMBERS || __atomic_load_n(&ledger->over, __ATOMIC_SEQ_CST))
        return 0;
    if (number == ledger->moment) {
        printf("now\n");
        fflush(stdout);
    }
    do
        result = call(caller->node, caller->module, QDA_SCALARS(NOTE, 1, 0), &element);
    while (result == -1 && errno == EINTR);
    if (result)
        __atomic_fetch_add(&ledger->failed, 1, __ATOMIC_SEQ_CST);
    else
        ledger->answered[number] = 1;
    return !result;
}

static void *call_on(void *caller)
{
    while (call_once(caller))
        ;
    return NULL;
}

static void in_threads(struct caller *caller)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, call_on, caller) == 0);
    call_on(caller);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void handle(int signal)
{
    (void)signal;
}

/* The others are interrupted all the time. */
static void in_signals(struct caller *caller)
{
    struct sigaction action = { .sa_handler = handle };
    struct timespec moment = { 0, 100000 };
    pthread_t threads[2];
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, call_on, caller) == 0);
    while (!ledger->over && !ledger->failed && ledger->next < NUMBERS) {
        for (int i = 0; i < 2; i++)
            pthread_kill(threads[i], SIGUSR1);
        nanosleep(&moment, NULL);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* A child calls on its parent's file, on one of its own, or on both. */
static void with_child(struct caller *caller, int parents, int own)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, call_on, caller) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        struct caller other = *caller;
        if (own && !ledger->over)
            other = open_ledger();
        while (call_once(&other) && (!parents || call_once(caller)))
            ;
        _exit(0);
    }
    call_on(caller);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
}

static void on_parents(struct caller *caller)
{
    with_child(caller, 1, 0);
}

static void on_own(struct caller *caller)
{
    with_child(caller, 0, 1);
}

static void on_both(struct caller *caller)
{
    with_child(caller, 1, 1);
}

/* A descriptor is passed to a child that goes on when its parent has closed its own. */
static void passed(struct caller *caller)
{
    int ends[2];
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
    struct iovec part = { &caller->module, sizeof caller->module };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = sizeof control };
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        CHECK(close(caller->node) == 0);
        CHECK(recvmsg(ends[1], &message, 0) == sizeof caller->module);
        memcpy(&caller->node, CMSG_DATA(&control.header), sizeof caller->node);
        call_on(caller);
        _exit(0);
    }
    for (int i = 0; i < BEFORE_EXEC; i++)
        call_once(caller);
    memcpy(CMSG_DATA(&control.header), &caller->node, sizeof caller->node);
    CHECK(sendmsg(ends[0], &message, 0) == sizeof caller->module);
    CHECK(close(caller->node) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
}

/* The program is executed anew, again and again. */
static void executed(struct caller *caller)
{
    char node[16], module[16];
    for (int i = 0; i < BEFORE_EXEC; i++)
        if (!call_once(caller))
            return;
    sprintf(node, "%d", caller->node);
    sprintf(module, "%u", caller->module);
    execl("/proc/self/exe", "ledger", "executed", path, node, module, NULL);
    _exit(2);
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*run)(struct caller *caller);
    } ways[] = {
        { "in_threads", in_threads }, { "in_signals", in_signals },
        { "on_parents", on_parents }, { "on_own", on_own },
        { "on_both", on_both },       { "passed", passed },
        { "executed", executed },
    };
    CHECK(count >= 3);
    path = arguments[2];
    int file = open(path, O_RDWR);
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    CHECK(ledger != MAP_FAILED && close(file) == 0);
    struct caller caller = count == 5 ? (struct caller){ atoi(arguments[3]),
                                                         (uint32_t)strtoul(arguments[4], NULL, 0) }
                                      : open_ledger();
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].name, arguments[1]))
            ways[i].run(&caller);
    return 0;
}
