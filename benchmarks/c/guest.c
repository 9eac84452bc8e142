/* Calls a calculator on the kernel's driver: nanoseconds of each call, a line each, behind the name
 * of a row; then nothing for a while. */
#include "program.h"
#include <time.h>

enum { CALLS = 400, IDLE = 4 };

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void rows(int node, uint32_t module, const char *name, ELEMENT numbers)
{
    for (int i = 0; i < CALLS; i++) {
        long start = now();
        sum(node, module, numbers);
        printf("%s %ld\n", name, now() - start);
    }
    fflush(stdout);
}

int main(void)
{
    static int32_t few[8], many[16384];
    int node = open(NODE, O_RDWR), name;
    create_session(node);
    uint32_t module = open_calculator(node);
    void *buffer = allocate(node, 1 << 20, &name);
    ELEMENT shared = inline_part(buffer, 1 << 20);
    shared.OBJECT = name;
    rows(node, module, "32 B", inline_part(few, sizeof few));
    rows(node, module, "64 KiB", inline_part(many, sizeof many));
    rows(node, module, "1 MiB", shared);
    puts("idle");
    fflush(stdout);
    sleep(IDLE);
    return 0;
}
