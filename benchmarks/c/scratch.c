/* Times calls whose small arguments go in an object of their own, as a library of August 2026 makes
 * them (spec/versions.md 3.2): scratch CALLS [CPU].  An object is made, mapped, called with and
 * closed again.  Prints a case and a time in microseconds on each line, for each step and all. */
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

#define ELEMENT struct drm_qda_fastrpc_invoke_args

enum { PAGE = 4096, SLICE = 128, STEPS = 6 };

static int node;
static uint32_t module;
static const char *const steps[STEPS] = {
    "create", "offset", "map", "call", "unmap", "close"
};

/* A call with one slice for each argument; TIMES has when each step was over. */
static void call(uint32_t handle, uint32_t sc, const ELEMENT *arguments, double *times)
{
    ELEMENT packed[8];
    uint32_t count = QDA_SCALARS_LENGTH(sc), inputs = QDA_SCALARS_IN(sc);
    size_t size = 0, used = 0;
    for (uint32_t i = 0; i < count; i++)
        size += (arguments[i].length + SLICE - 1) & -(size_t)SLICE;
    struct drm_qda_gem_create create = { .size = size + PAGE };
    must(ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &create) == 0, "create");
    times[0] = now();
    struct drm_qda_gem_mmap_offset place = { .handle = create.handle };
    must(ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place) == 0, "offset");
    times[1] = now();
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, node, (off_t)place.offset);
    must(memory != MAP_FAILED, "map");
    times[2] = now();
    for (uint32_t i = 0; i < count; i++) {
        packed[i] = arguments[i];
        packed[i].ptr = (uintptr_t)(memory + used);
        packed[i].handle = create.handle;
        if (i < inputs)
            memcpy(memory + used, (void *)(uintptr_t)arguments[i].ptr, arguments[i].length);
        used += (arguments[i].length + SLICE - 1) & -(size_t)SLICE;
    }
    struct drm_qda_invoke_args request = { .handle = handle, .sc = sc, .args = (uintptr_t)packed };
    must(ioctl(node, DRM_IOCTL_QDA_REMOTE_INVOKE, &request) == 0, "call");
    for (uint32_t i = inputs; i < count; i++)
        memcpy((void *)(uintptr_t)arguments[i].ptr, (void *)(uintptr_t)packed[i].ptr,
               arguments[i].length);
    times[3] = now();
    must(munmap(memory, size) == 0, "unmap");
    times[4] = now();
    struct drm_gem_close over = { .handle = create.handle };
    must(ioctl(node, DRM_IOCTL_GEM_CLOSE, &over) == 0, "close");
    times[5] = now();
}

static ELEMENT part(const void *data, size_t length)
{
    return (ELEMENT){ .ptr = (uintptr_t)data, .length = length };
}

static void open_module(const char *uri)
{
    double unused[STEPS];
    uint32_t request[2] = { (uint32_t)strlen(uri) + 1, 255 }, answer[2];
    char text[255];
    ELEMENT elements[] = { part(request, sizeof request), part(uri, request[0]),
                                             part(answer, sizeof answer), part(text, sizeof text) };
    call(0, QDA_SCALARS(0, 2, 2), elements, unused);
    must(!answer[1], "open the module");
    module = answer[0];
}

int main(int count, char **arguments)
{
    int calls = count > 1 ? atoi(arguments[1]) : 1000;
    struct drm_qda_init_create create = { .attrs = 8 };
    if (count > 2) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(atoi(arguments[2]), &set);
        must(sched_setaffinity(0, sizeof set, &set) == 0, "stay on a CPU");
    }
    node = open("/dev/accel/accel1", O_RDWR | O_CLOEXEC);
    must(node >= 0, "open the node");
    must(ioctl(node, DRM_IOCTL_QDA_REMOTE_SESSION_CREATE, &create) == 0, "create a session");
    open_module("file:///libtouch_skel.so?touch_skel_handle_invoke&_modver=1.0");
    char given[32] = "", result[32];
    ELEMENT elements[] = { part(given, sizeof given), part(result, sizeof result) };
    for (int i = -50; i < calls; i++) { /* the first ones warm up */
        double times[STEPS], start = now(), before = start;
        call(module, QDA_SCALARS(3, 1, 1), elements, times);
        for (int step = 0; i >= 0 && step < STEPS; step++) {
            printf("scratch,%s %.3f\n", steps[step], times[step] - before);
            before = times[step];
        }
        if (i >= 0)
            printf("scratch %.3f\n", times[STEPS - 1] - start);
    }
    return 0;
}
