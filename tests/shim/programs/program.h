/* What the programs share.  A dialect's header (rfc.h, v1.h, handle.h, legacy.h) says how its
 * structures are filled in; the programs themselves are the same in each. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Ends the program, and says where and what, unless the condition holds. */
#define CHECK(condition) \
    ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

static void fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: not so: %s (errno %d, %s)\n", file, line, what, errno, strerror(errno));
    _exit(1);
}

#if defined(DIALECT_V1)
#include "v1.h"
#elif defined(DIALECT_HANDLE)
#include "handle.h"
#elif defined(DIALECT_LEGACY)
#include "legacy.h"
#else
#include "rfc.h"
#endif

/* The calculator: methods of tests/shim/programs/skeletons. */
enum {
    SUM = 2,
    MAX = 3,
    ENTERED = 4,
    PARK = 5,
    RELEASE = 6,
    PARKED = 7,
    CLOSE_GATE = 8,
    COUNT = 9,
    COUNTED = 10,
};

static ELEMENT inline_part(const void *data, size_t length)
{
    ELEMENT element;
    memset(&element, 0, sizeof element);
    element.ptr = (uintptr_t)data;
    element.length = length;
    element.OBJECT = NO_OBJECT;
    return element;
}

/* Opens a module by URI through remotectl; returns its handle. */
static uint32_t open_module(int node, const char *uri)
{
    struct { uint32_t name_length, text_capacity; } request = { (uint32_t)strlen(uri) + 1, 255 };
    struct { uint32_t handle; int32_t error; } answer = { 0, 0 };
    char text[255] = "";
    ELEMENT elements[] = { inline_part(&request, sizeof request),
                           inline_part(uri, request.name_length),
                           inline_part(&answer, sizeof answer), inline_part(text, sizeof text) };
    CHECK(call(node, 0, QDA_SCALARS(0, 2, 2), elements) == 0);
    if (answer.error)
        fprintf(stderr, "open %s: %#x %s\n", uri, (unsigned)answer.error, text);
    CHECK(answer.error == 0);
    return answer.handle;
}

static uint32_t open_calculator(int node)
{
    return open_module(node, "file:///libcalculator_skel.so?calculator_skel_handle_invoke"
                             "&_modver=1.0&_dom=cdsp");
}

/* The sum of numbers, which are in ordinary memory, or in a buffer. */
static int64_t sum(int node, uint32_t module, ELEMENT numbers)
{
    uint32_t count = (uint32_t)(numbers.length / sizeof(int32_t));
    int64_t total = -1;
    ELEMENT elements[] = { inline_part(&count, sizeof count), numbers,
                           inline_part(&total, sizeof total) };
    CHECK(call(node, module, QDA_SCALARS(SUM, 2, 1), elements) == 0);
    return total;
}

static int32_t max(int node, uint32_t module, ELEMENT numbers)
{
    uint32_t count = (uint32_t)(numbers.length / sizeof(int32_t));
    int32_t largest = -1;
    ELEMENT elements[] = { inline_part(&count, sizeof count), numbers,
                           inline_part(&largest, sizeof largest) };
    CHECK(call(node, module, QDA_SCALARS(MAX, 2, 1), elements) == 0);
    return largest;
}

/* A method that has one number as its output. */
static uint32_t ask(int node, uint32_t module, uint32_t method)
{
    uint32_t *room = malloc(sizeof *room); /* not written to by this program (U12) */
    ELEMENT element = inline_part(room, sizeof *room);
    CHECK(call(node, module, QDA_SCALARS(method, 0, 1), &element) == 0);
    uint32_t answer = *room;
    free(room);
    return answer;
}

static const int32_t numbers[] = { 3, -1, 4, 1, -5, 9, 2, 6 };
enum { TOTAL = 19, LARGEST = 9 };

#endif
