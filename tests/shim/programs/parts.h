/* Programs of several parts, which are run by name: each has a node, and a calculator behind it. */
#ifndef PARTS_H
#define PARTS_H

#include "program.h"
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

enum { CALLS = 100 };

static int node;
static uint32_t calculator;

static void check_calls_on(int descriptor, uint32_t module, int count)
{
    while (count--)
        CHECK(sum(descriptor, module, inline_part(numbers, sizeof numbers)) == TOTAL);
}

static void check_calls(int count)
{
    check_calls_on(node, calculator, count);
}

/* To who has started the program, and from there. */

static void say(const char *line)
{
    printf("%s\n", line);
    fflush(stdout);
}

static void wait_for_line(void)
{
    char line[16];
    CHECK(fgets(line, sizeof line, stdin));
}

static void wait_for(pid_t child)
{
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* A thread in a call that lasts until it is released, and how often such calls were interrupted. */

static int interrupted;

static void *park(void *unused)
{
    int result;
    while ((result = call(node, calculator, QDA_SCALARS(PARK, 0, 0), NULL)) == -1 && errno == EINTR)
        interrupted++;
    CHECK(result == 0);
    return unused;
}

static void wait_until_parked(uint32_t count)
{
    while (ask(node, calculator, ENTERED) < count)
        sched_yield();
}

static pthread_t park_in_thread(void)
{
    pthread_t thread;
    uint32_t before = ask(node, calculator, ENTERED);
    CHECK(pthread_create(&thread, NULL, park, NULL) == 0);
    wait_until_parked(before + 1);
    return thread;
}

static void release(pthread_t parked)
{
    CHECK(call(node, calculator, QDA_SCALARS(RELEASE, 0, 0), NULL) == 0);
    CHECK(pthread_join(parked, NULL) == 0);
}

/* The parts. */

struct part {
    const char *name;
    void (*run)(void);
};

#define PART(name) { #name, name }

/* Open the node, and run the part that the program was asked for; returns its exit status. */
static int run_part(const struct part *parts, size_t known, int count, char **arguments)
{
    CHECK(count == 2);
    node = open(NODE, O_RDWR);
    create_session(node);
    calculator = open_calculator(node);
    for (size_t i = 0; i < known; i++)
        if (!strcmp(parts[i].name, arguments[1])) {
            parts[i].run();
            return 0;
        }
    return 2;
}

#endif
