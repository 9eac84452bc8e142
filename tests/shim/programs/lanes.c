/* Programs that call on lanes of their own: what becomes of these when the program forks, closes
 * what is not its own, is interrupted, or shares a node with others. */
#define _GNU_SOURCE
#include "parts.h"
#include <dirent.h>
#include <signal.h>

enum { OUT_OF_THE_WAY = 100, MANY = 40 };

static pthread_t main_thread;

/* Number of descriptors that programs do not expect. */
static int out_of_the_way(void)
{
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    while ((entry = readdir(folder)))
        count += atoi(entry->d_name) >= OUT_OF_THE_WAY;
    closedir(folder);
    return count;
}

static pid_t forked;
static int was_interrupted;

static void fork_now(int signal)
{
    (void)signal;
    forked = fork();
    CHECK(forked >= 0);
}

/* Have the first thread fork in a handler while it sleeps in a call. */
static void *interrupt_to_fork(void *flags)
{
    char stat[256] = "", path[64];
    wait_until_parked(1);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)getpid());
    while (!strstr(stat, ") S ")) {
        FILE *file = fopen(path, "r");
        CHECK(fgets(stat, sizeof stat, file));
        fclose(file);
    }
    CHECK(pthread_kill(main_thread, SIGUSR1) == 0);
    if (*(int *)flags)
        wait_until_parked(2); /* the child is in a call of its own */
    else
        while (!__atomic_load_n(&was_interrupted, __ATOMIC_ACQUIRE))
            sched_yield(); /* an answer that comes before would be taken, in spite of the signal */
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    return NULL;
}

/* The child takes nothing of the call in which its parent is: it is interrupted, or begins anew. */
static void fork_in_a_handler(int flags)
{
    struct sigaction action = { .sa_handler = fork_now, .sa_flags = flags };
    pthread_t thread;
    main_thread = pthread_self();
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    check_calls(2);
    CHECK(pthread_create(&thread, NULL, interrupt_to_fork, &flags) == 0);
    int result = call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL);
    CHECK(flags ? result == 0 : result == -1 && errno == EINTR);
    if (!forked) {
        check_calls(CALLS);
        _exit(0);
    }
    if (!flags) {
        __atomic_store_n(&was_interrupted, 1, __ATOMIC_RELEASE);
        park(NULL); /* comes back to its call */
    }
    CHECK(pthread_join(thread, NULL) == 0);
    wait_for(forked);
    check_calls(CALLS);
}

static void fork_in_a_restarting_handler(void)
{
    fork_in_a_handler(SA_RESTART);
}

static void fork_in_an_interrupting_handler(void)
{
    fork_in_a_handler(0);
}

/* The server sleeps meanwhile: calls do not need it. */
static void without_server(void)
{
    int name;
    int32_t *buffer = allocate(node, 1 << 20, &name);
    memcpy(buffer, numbers, sizeof numbers);
    ELEMENT element = inline_part(buffer, sizeof numbers);
    element.OBJECT = name;
    check_calls(2);
    CHECK(sum(node, calculator, element) == TOTAL);
    CHECK(sum(node, calculator, element) == TOTAL);
    say("ready");
    wait_for_line();
    check_calls(CALLS);
    for (int i = 0; i < CALLS; i++)
        CHECK(sum(node, calculator, element) == TOTAL);
    say("done");
    wait_for_line();
    give_back(node, name);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
}

/* A child knows itself: it has no lanes, keeps none of its parent's descriptors, and borrows. */
static void fork_with(int parents, int own)
{
    check_calls(2);
    int before = out_of_the_way();
    pthread_t parked = park_in_thread();
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        if (!own) {
            check_calls(CALLS);
            CHECK(out_of_the_way() <= before + 1); /* the other thread's connection */
            _exit(0);
        }
        if (!parents)
            CHECK(close(node) == 0);
        int other = open(NODE, O_RDWR);
        create_session(other);
        uint32_t module = open_calculator(other);
        for (int i = 0; i < CALLS; i++) {
            check_calls_on(other, module, 1);
            if (parents)
                check_calls(1);
        }
        CHECK(ask(other, module, ENTERED) == 0);
        _exit(0);
    }
    check_calls(CALLS); /* while the child calls too */
    wait_for(child);
    release(parked);
    CHECK(ask(node, calculator, ENTERED) == 1);
}

static void fork_on_parents_file(void)
{
    fork_with(1, 0);
}

static void fork_on_own_file(void)
{
    fork_with(0, 1);
}

static void fork_on_both(void)
{
    fork_with(1, 1);
}

/* Children of children, as many at once. */
static void forks(void)
{
    enum { CHILDREN = 6 };
    pid_t children[CHILDREN];
    check_calls(2);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (!children[i]) {
            if (i % 2)
                check_calls(5);
            pid_t grandchild = fork();
            CHECK(grandchild >= 0);
            check_calls(CALLS);
            if (grandchild)
                wait_for(grandchild);
            _exit(0);
        }
    }
    check_calls(CALLS);
    for (int i = 0; i < CHILDREN; i++)
        wait_for(children[i]);
}

/* The program is executed anew while a thread of it is in a call: its file, which is closed on
 * exec, is released, and the call with it. */
static void execute(void)
{
    CHECK(fcntl(node, F_SETFD, FD_CLOEXEC) == 0);
    check_calls(2);
    park_in_thread();
    execlp("sh", "sh", "-c", "echo executed; read line", NULL);
    _exit(2);
}

static void close_beyond(int first)
{
    for (int descriptor = first; descriptor < 1024; descriptor++)
        if (descriptor != node)
            close(descriptor);
}

static void handle(int signal)
{
    (void)signal;
}

static void handle_without_restart(void)
{
    struct sigaction action = { .sa_handler = handle };
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void *interrupt_main(void *unused)
{
    wait_until_parked(1);
    do {
        CHECK(pthread_kill(main_thread, SIGUSR1) == 0);
        sched_yield();
    } while (__atomic_load_n((int *)unused, __ATOMIC_ACQUIRE) == 0);
    return NULL;
}

static void interrupt_parked_call(void)
{
    static int interrupted;
    pthread_t thread;
    handle_without_restart();
    main_thread = pthread_self();
    CHECK(pthread_create(&thread, NULL, interrupt_main, &interrupted) == 0);
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == -1 && errno == EINTR);
    __atomic_store_n(&interrupted, 1, __ATOMIC_RELEASE);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void *release_later(void *unused)
{
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    return unused;
}

static void resume_and_check(void)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, release_later, NULL) == 0);
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(ask(node, calculator, ENTERED) == 1);
}

/* What the library waits with is closed between a call and its second part. */
static void resume_after_closing(void)
{
    check_calls(2);
    interrupt_parked_call();
    close_beyond(3);
    for (int i = 0; i < 300; i++)
        CHECK(open("/dev/null", O_RDWR) >= 0);
    resume_and_check();
    check_calls(CALLS);
}

/* The server begins to see all calls: one that was interrupted goes on as it began. */
static void resume_when_told(void)
{
    check_calls(2);
    interrupt_parked_call();
    say("interrupted");
    wait_for_line();
    resume_and_check();
    check_calls(2);
    say("resumed");
}

/* A call that its thread does not come back to is over when the DSP has answered it. */
static void forsake(void)
{
    check_calls(2);
    interrupt_parked_call();
    check_calls(2);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    check_calls(CALLS);
    CHECK(ask(node, calculator, ENTERED) == 1);
}

/* A buffer whose name is given back in the middle of calls that have it. */
static void *use_buffers(void *unused)
{
    for (int i = 0; i < CALLS; i++) {
        int name;
        int32_t *buffer = allocate(node, 4096, &name);
        memcpy(buffer, numbers, sizeof numbers);
        ELEMENT element = inline_part(buffer, sizeof numbers);
        element.OBJECT = name;
        for (int j = 0; j < 3; j++)
            CHECK(sum(node, calculator, element) == TOTAL);
        give_back(node, name);
        uint32_t count = 2;
        int64_t total;
        ELEMENT elements[] = { inline_part(&count, sizeof count), element,
                               inline_part(&total, sizeof total) };
        int result = call(node, calculator, QDA_SCALARS(SUM, 2, 1), elements);
        /* the number may be another thread's buffer by now, in which the address does not lie */
        CHECK(result == -1 && (errno == NAMES_NOTHING || errno == EINVAL));
        CHECK(munmap(buffer, 4096) == 0);
    }
    return unused;
}

static void buffers(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, use_buffers, NULL) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

/* More threads wait in calls than there are lanes to lend. */
static void crowd(void)
{
    pthread_t threads[MANY];
    check_calls(2);
    for (int i = 0; i < MANY; i++)
        CHECK(pthread_create(&threads[i], NULL, park, NULL) == 0);
    wait_until_parked(MANY);
    check_calls(CALLS);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    for (int i = 0; i < MANY; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(ask(node, calculator, ENTERED) == MANY);
}

/* Children have lanes and do not use them: none of the 255 calls of the session is refused. */
static void idle_lanes(void)
{
    enum { CHILDREN = 4, EACH = 16, ALL = 254 }; /* one more asks */
    pid_t children[CHILDREN];
    static pthread_t threads[ALL];
    int done[2], go_on[2];
    char byte;
    CHECK(pipe(done) == 0 && pipe(go_on) == 0);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (!children[i]) {
            for (int j = 0; j < EACH; j++)
                CHECK(pthread_create(&threads[j], NULL, park, NULL) == 0);
            CHECK(write(done[1], "x", 1) == 1);
            for (int j = 0; j < EACH; j++)
                CHECK(pthread_join(threads[j], NULL) == 0);
            CHECK(write(done[1], "x", 1) == 1);
            CHECK(read(go_on[0], &byte, 1) == 1);
            check_calls(2);
            _exit(0);
        }
    }
    for (int i = 0; i < CHILDREN; i++)
        CHECK(read(done[0], &byte, 1) == 1);
    wait_until_parked(CHILDREN * EACH);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    for (int i = 0; i < CHILDREN; i++)
        CHECK(read(done[0], &byte, 1) == 1);
    CHECK(call(node, calculator, QDA_SCALARS(CLOSE_GATE, 0, 0), NULL) == 0);
    for (int i = 0; i < ALL; i++)
        CHECK(pthread_create(&threads[i], NULL, park, NULL) == 0);
    wait_until_parked(CHILDREN * EACH + ALL);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    for (int i = 0; i < ALL; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(write(go_on[1], "xxxx", CHILDREN) == CHILDREN);
    for (int i = 0; i < CHILDREN; i++)
        wait_for(children[i]);
}

/* Calls without end, of two threads, for who kills: it is told when so many have been made. */
static void *work(void *moment)
{
    int calls_left = moment ? *(int *)moment : -1;
    int name;
    int32_t *buffer = allocate(node, 4096, &name);
    memcpy(buffer, numbers, sizeof numbers);
    ELEMENT element = inline_part(buffer, sizeof numbers);
    element.OBJECT = name;
    for (;;) {
        if (!calls_left--)
            say("now");
        CHECK(sum(node, calculator, inline_part(numbers, sizeof numbers)) == TOTAL);
        CHECK(sum(node, calculator, element) == TOTAL);
    }
    return NULL;
}

static void endless(void)
{
    pthread_t thread;
    check_calls(2);
    say("ready");
    char line[16];
    CHECK(fgets(line, sizeof line, stdin));
    int moment = atoi(line);
    CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
    work(&moment);
}

/* The same until a line comes; every call counts once. */
static void count_calls(void)
{
    uint32_t called = 0;
    CHECK(fcntl(0, F_SETFL, O_NONBLOCK) == 0);
    say("ready");
    for (char byte; read(0, &byte, 1) != 1; called++)
        CHECK(call(node, calculator, QDA_SCALARS(COUNT, 0, 0), NULL) == 0);
    CHECK(ask(node, calculator, COUNTED) == called);
    CHECK(called > 0);
}

int main(int count, char **arguments)
{
    static const struct part parts[] = {
        PART(without_server),
        PART(fork_on_parents_file),
        PART(fork_on_own_file),
        PART(fork_on_both),
        PART(forks),
        PART(fork_in_a_restarting_handler),
        PART(fork_in_an_interrupting_handler),
        PART(execute),
        PART(resume_after_closing),
        PART(resume_when_told),
        PART(forsake),
        PART(buffers),
        PART(crowd),
        PART(idle_lanes),
        PART(endless),
        PART(count_calls),
    };
    return run_part(parts, sizeof parts / sizeof *parts, count, arguments);
}
