/* Signals in the middle of a call: with SA_RESTART nothing is noticed; without, the call ends with
 * EINTR and the same request goes on waiting.  Either way it is sent once. */
#include "program.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { ENOUGH = 50 };

static int node;
static uint32_t calculator;
static pthread_t caller;
static volatile int handled, interrupted, restarts;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static void *storm(void *unused)
{
    while (!ask(node, calculator, PARKED))
        sched_yield();
    while ((restarts ? handled : interrupted) < ENOUGH) {
        int before = handled;
        CHECK(pthread_kill(caller, SIGUSR1) == 0);
        while (handled == before)
            sched_yield();
    }
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    return unused;
}

int main(int count, char **arguments)
{
    (void)arguments;
    struct sigaction action = { .sa_handler = handle };
    pthread_t thread;
    restarts = count > 1;
    action.sa_flags = restarts ? SA_RESTART : 0;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    caller = pthread_self();
    CHECK(pthread_create(&thread, NULL, storm, NULL) == 0);
    while (call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) != 0) {
        CHECK(errno == EINTR);
        interrupted++;
    }
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(ask(node, calculator, ENTERED) == 1);
    CHECK(restarts ? interrupted == 0 : interrupted >= ENOUGH);
    return 0;
}
