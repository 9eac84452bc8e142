/* A crowd: processes with threads that call all the time, of which one after the other is killed in
 * the middle of its calls; then everybody calls as at first, and nothing is left of the dead.
 * The argument is how many calls have to be right. */
#include "program.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TURN_ALL = 2, WAIT, WAITING, GO_ON }; /* methods of skeletons/crowd_skel.py */
enum { TRIES = 2000, NAP = 5000 }; /* how often, microseconds */
enum { PROCESSES = 3, THREADS = 4, KILLS = 6, MOST = 6000, ROOM = 2 * MOST * sizeof(int32_t) };

static int node, right[2]; /* a pipe: a byte for each call that was right */
static uint32_t module;
static volatile int *enough; /* for all processes */

/* A kernel has released what was closed before the next call; `qda run` hears of it in its own time. */
static void wait_for_server(int tries)
{
    CHECK(tries < TRIES);
    usleep(NAP);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 16;
}

/* Has so many numbers turned, and looks at every one that comes back, and at their sum. */
static void check_call(ELEMENT given, ELEMENT turned, int32_t count, uint32_t *state)
{
    int32_t *into = (int32_t *)(uintptr_t)given.ptr, *back = (int32_t *)(uintptr_t)turned.ptr;
    int64_t total = -1, wanted = 0;
    for (int32_t i = 0; i < count; i++)
        wanted += into[i] = (int32_t)(next_random(state) << 16 | next_random(state));
    given.length = turned.length = (uint32_t)count * sizeof *into;
    ELEMENT elements[] = { given, inline_part(&total, sizeof total), turned };
    CHECK(call(node, module, QDA_SCALARS(TURN_ALL, 1, 2), elements) == 0);
    CHECK(total == wanted);
    for (int32_t i = 0; i < count; i++)
        CHECK(back[i] == ~into[i]);
}

static void *work(void *seed)
{
    uint32_t state = (uint32_t)(uintptr_t)seed;
    int name;
    int32_t *buffer = allocate(node, ROOM, &name), *own = malloc(ROOM);
    ELEMENT inlines[] = { inline_part(own, 0), inline_part(own + MOST, 0) };
    ELEMENT shared[] = { inline_part(buffer, 0), inline_part(buffer + MOST, 0) };
    shared[0].OBJECT = shared[1].OBJECT = name;
    while (!*enough) {
        int32_t count = 1 + (int32_t)next_random(&state) % MOST;
        uint32_t kind = next_random(&state);
        check_call((kind & 1 ? shared : inlines)[0], (kind & 2 ? shared : inlines)[1], count, &state);
        CHECK(write(right[1], "", 1) == 1);
    }
    free(own);
    return NULL;
}

static void *wait_inside(void *unused)
{
    CHECK(call(node, module, QDA_SCALARS(WAIT, 0, 0), NULL) == 0);
    return unused;
}

/* A process of the crowd.  One more thread is always in a call, so none is killed outside of one. */
static pid_t start(uint32_t seed)
{
    pthread_t threads[THREADS], waiting;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    for (int tries = 0; (node = open(NODE, O_RDWR)) < 0; tries++)
        wait_for_server(tries);
    create_session(node);
    module = open_module(
        node, "file:///libcrowd_skel.so?crowd_skel_handle_invoke&_modver=1.0&_dom=cdsp");
    CHECK(pthread_create(&waiting, NULL, wait_inside, NULL) == 0);
    while (!ask(node, module, WAITING))
        sched_yield();
    for (uint32_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(seed * THREADS + i)) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(call(node, module, QDA_SCALARS(GO_ON, 0, 0), NULL) == 0);
    CHECK(pthread_join(waiting, NULL) == 0);
    _exit(0);
}

static void crowd(int calls, int kills)
{
    pid_t processes[PROCESSES];
    uint32_t seed = 0;
    int status, killed = 0;
    char byte;
    CHECK(pipe(right) == 0);
    *enough = 0;
    for (int i = 0; i < PROCESSES; i++)
        processes[i] = start(seed++);
    for (int done = 0; done < calls; done++) {
        CHECK(read(right[0], &byte, 1) == 1);
        if (killed == kills || done < calls * (killed + 1) / (kills + 1))
            continue;
        pid_t *victim = &processes[killed++ % PROCESSES];
        CHECK(kill(*victim, SIGKILL) == 0);
        CHECK(waitpid(*victim, &status, 0) == *victim && WIFSIGNALED(status));
        CHECK(WTERMSIG(status) == SIGKILL);
        *victim = start(seed++);
    }
    *enough = 1;
    for (int i = 0; i < PROCESSES; i++)
        CHECK(waitpid(processes[i], &status, 0) == processes[i] && status == 0);
    close(right[0]);
    close(right[1]);
}

/* How many can have the node open at once: fewer, if something of the dead is left. */
static int room(void)
{
    int nodes[64], count = 0;
    while (count < 64 && (nodes[count] = open(NODE, O_RDWR)) >= 0)
        count++;
    for (int i = 0; i < count; i++)
        CHECK(close(nodes[i]) == 0);
    return count;
}

int main(int count, char **arguments)
{
    int calls = count > 1 ? atoi(arguments[1]) : 200, before = room();
    enough = mmap(NULL, sizeof *enough, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(enough != MAP_FAILED && before > PROCESSES);
    crowd(calls, KILLS);
    for (int tries = 0; room() != before; tries++)
        wait_for_server(tries);
    crowd(calls / 10, 0);
    return 0;
}
