/* Times calls through the preload library, and echoes of a word through two pipes: calls CALLS
 * [CPU OTHER].  Prints a case and a time in microseconds on each line.  The skeleton is touch_skel.c,
 * beside it.  CPU is where the program is to be, OTHER where its echo is. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measured.h"
#include "qda_accel.h"

static int node;
static uint32_t module;

static int call(uint32_t handle, uint32_t sc, struct fastrpc_invoke_args *elements)
{
    struct qda_invoke_args request = { .handle = handle, .sc = sc, .args = (uintptr_t)elements };
    return ioctl(node, DRM_IOCTL_QDA_INVOKE, &request);
}

static struct fastrpc_invoke_args part(const void *data, size_t length, int fd)
{
    struct fastrpc_invoke_args element = { .ptr = (uintptr_t)data, .length = length, .fd = fd };
    return element;
}

static void open_module(const char *uri)
{
    uint32_t request[2] = { (uint32_t)strlen(uri) + 1, 255 }, answer[2];
    char text[255];
    struct fastrpc_invoke_args elements[] = {
        part(request, sizeof request, -1), part(uri, request[0], -1),
        part(answer, sizeof answer, -1), part(text, sizeof text, -1)
    };
    must(call(0, QDA_SCALARS(0, 2, 2), elements) == 0 && !answer[1], "open the module");
    module = answer[0];
}

static void measure(const char *name, int calls, uint32_t sc, struct fastrpc_invoke_args *elements)
{
    for (int i = -50; i < calls; i++) { /* the first ones warm up */
        double start = now();
        must(call(module, sc, elements) == 0, name);
        if (i >= 0)
            printf("%s %.3f\n", name, now() - start);
    }
}

/* A command that reaches no DSP, and needs the server. */
static void measure_query(int calls)
{
    for (int i = -50; i < calls; i++) {
        struct drm_qda_query name;
        double start = now();
        must(ioctl(node, DRM_IOCTL_QDA_QUERY, &name) == 0, "query");
        if (i >= 0)
            printf("query %.3f\n", now() - start);
    }
}

static void measure_words(int calls)
{
    char given[32] = "", result[32];
    struct fastrpc_invoke_args elements[] = { part(given, sizeof given, -1),
                                              part(result, sizeof result, -1) };
    measure("32B", calls, QDA_SCALARS(3, 1, 1), elements);
}

static void stay_on(const char *cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(atoi(cpu), &set);
    must(sched_setaffinity(0, sizeof set, &set) == 0, "stay on a CPU");
}

static int there[2], back[2];

/* Sends back each word, until there are no more. */
static void start_echo(const char *cpu)
{
    must(pipe2(there, O_CLOEXEC) == 0 && pipe2(back, O_CLOEXEC) == 0, "pipe");
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child) {
        close(there[0]);
        close(back[1]);
        return;
    }
    char word[8];
    close(there[1]);
    close(back[0]);
    if (cpu)
        stay_on(cpu);
    while (read(there[0], word, sizeof word) == sizeof word)
        must(write(back[1], word, sizeof word) == sizeof word, "echo");
    _exit(0);
}

static void measure_echo(int calls)
{
    char word[8] = "";
    for (int i = -50; i < calls; i++) {
        double start = now();
        must(write(there[1], word, sizeof word) == sizeof word, "write");
        must(read(back[0], word, sizeof word) == sizeof word, "read");
        if (i >= 0)
            printf("pipe %.3f\n", now() - start);
    }
}

static void measure_buffer(const char *name, int calls, size_t size)
{
    struct drm_qda_gem_create create = { .size = 2 * size };
    struct drm_qda_gem_mmap_offset place = { 0 };
    must(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0, "allocate");
    place.handle = create.handle;
    must(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0, "map");
    char *memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_SHARED, node,
                        (off_t)place.offset);
    must(memory != MAP_FAILED, "map");
    memset(memory, 1, 2 * size);
    struct fastrpc_invoke_args elements[] = { part(memory, size, (int)create.handle),
                                              part(memory + size, size, (int)create.handle) };
    measure(name, calls, QDA_SCALARS(3, 1, 1), elements);
}

int main(int count, char **arguments)
{
    int calls = count > 1 ? atoi(arguments[1]) : 1000, placed = count > 3;
    struct qda_init_create create = { .filefd = -1, .attrs = 8 };
    start_echo(placed ? arguments[3] : NULL);
    if (placed)
        stay_on(arguments[2]);
    node = open("/dev/accel/accel1", O_RDWR | O_CLOEXEC);
    must(node >= 0, "open the node");
    must(ioctl(node, DRM_IOCTL_QDA_INIT_CREATE, &create) == 0, "create a session");
    open_module("file:///libtouch_skel.so?touch_skel_handle_invoke&_modver=1.0");
    measure_echo(calls);
    measure_query(calls);
    measure("empty", calls, QDA_SCALARS(2, 0, 0), NULL);
    measure_words(calls);
    measure_buffer("4KiB", calls, 4 << 10);
    measure_buffer("1MiB", calls, 1 << 20);
    measure_buffer("64MiB", calls, 64 << 20);
    return 0;
}
