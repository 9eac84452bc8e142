/* Times calls through the preload library: calls.c CALLS.  Prints a case and a time in microseconds
 * on each line.  The skeleton is touch_skel.py, beside it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "qda_accel.h"

static int node;
static uint32_t module;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void must(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

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
    int calls = count > 1 ? atoi(arguments[1]) : 1000;
    struct qda_init_create create = { .filefd = -1, .attrs = 8 };
    node = open("/dev/accel/accel1", O_RDWR | O_CLOEXEC);
    must(node >= 0, "open the node");
    must(ioctl(node, DRM_IOCTL_QDA_INIT_CREATE, &create) == 0, "create a session");
    open_module("file:///libtouch_skel.so?touch_skel_handle_invoke&_modver=1.0");
    measure("empty", calls, QDA_SCALARS(2, 0, 0), NULL);
    measure_buffer("4KiB", calls, 4 << 10);
    measure_buffer("64MiB", calls, 64 << 20);
    return 0;
}
