/* Threads: a blocked call of one holds up no other, and many calls run at once. */
#include "program.h"
#include <pthread.h>
#include <sched.h>

static int node;
static uint32_t calculator;

static void *park(void *unused)
{
    CHECK(call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL) == 0);
    return unused;
}

static void *work(void *unused)
{
    for (int i = 0; i < 50; i++)
        CHECK(sum(node, calculator, inline_part(numbers, sizeof numbers)) == TOTAL);
    return unused;
}

int main(void)
{
    enum { THREADS = 8 };
    pthread_t parked, workers[THREADS];
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    CHECK(pthread_create(&parked, NULL, park, NULL) == 0);
    while (!ask(node, calculator, PARKED))
        sched_yield();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&workers[i], NULL, work, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(workers[i], NULL) == 0);
    CHECK(ask(node, calculator, PARKED) == 1);
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    CHECK(pthread_join(parked, NULL) == 0);
    return 0;
}
