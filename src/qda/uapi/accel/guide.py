"""The rules of use of the accelerator's interface, and a program that follows them.

What concerns one command stands with the command.
"""

from __future__ import annotations

from qda.layout import Record
from qda.uapi.interface import BuffersBy, Command, Guide

__all__ = ["GUIDE", "example"]

GUIDE = Guide(
    beginning="""\
## Purpose

Each node /dev/accel/accelN is one DSP. A program opens the node, creates a process on the DSP,
loads modules into it and calls their methods with buffers in and out (FastRPC). This text, with
the declarations after it, is all that is needed to write such a program.""",
    first="""\
Open the node with O_RDWR. What follows belongs to this open file and ends with it: the session,
the handles and the mappings.""",
    steps=("QUERY", "CREATE", "GEM_CREATE", "INVOKE"),
    last="""\
close() ends everything: calls under way end, the process on the DSP is destroyed, its mappings
and the handles go away.""",
    middle="""\
## Results

ioctl() returns 0 for success. It returns -1 with errno for an error of the driver, which has
changed nothing then, except that the DSP may have been at work if EINTR, ETIMEDOUT, or EFAULT for
an output buffer is returned. Any other number is the status of the DSP
or of the called method, a 32-bit word that ioctl() returns unchanged without touching errno: above
0, or -4096 and below, for example 0x8000040d (the process on the DSP is dead) as -2147482611.
So compare the result with 0, not with -1. A status from -1 to -4095 cannot be told from an error
of the driver: a method that returns -2 shows as -1 with ENOENT.

Structures may be longer or shorter than declared here: the size in the command code counts, missing
bytes are read as 0, and additional ones come back unchanged. Fields that the driver fills are
valid if the result is 0.""",
    sections=("INVOKE", "MAP", "GEM_MMAP_OFFSET"),
    end="""\
## Identity of calls

A message to the DSP carries a context id: bits 11..4 number the call, bits 3..0 are the kind of
protection domain (QDA_ROOT_PD, ...). The number is 1 to 255, since no more comes back in an answer:
the 256th call of a session at one time ends with ENOSPC. A call that was interrupted keeps its
number until the DSP has answered it.""",
)

_EXAMPLE = """\
#define _POSIX_C_SOURCE 200809L // for O_CLOEXEC, of which drm.h makes DRM_CLOEXEC
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "qda_accel.h"

// Fill one element: data in memory with {name} {none}, or data in the mapping of object {name}.
static struct {element} data(const void *pointer, size_t length, {kind} {name})
{{
    struct {element} element;

    memset(&element, 0, sizeof(element));
    element.ptr = (__u64)(uintptr_t)pointer;
    element.length = length;
    element.{name} = {name};
    return element;
}}

static int call(int node, __u32 handle, __u32 sc, struct {element} *elements)
{{
    struct {record} request;

    memset(&request, 0, sizeof(request));
    request.handle = handle;
    request.sc = sc;
    request.args = (__u64)(uintptr_t)elements;
    return ioctl(node, {invoke}, &request);
}}

// remotectl open: {{name length, room for text}}, name -> {{handle, error}}, error text
static int load(int node, const char *uri, __u32 *handle)
{{
    char text[255] = "";
    __u32 in[2] = {{ (__u32)strlen(uri) + 1, sizeof(text) }}, out[2] = {{ 0, 0 }};
    struct {element} elements[4];
    int result;

    elements[0] = data(in, sizeof(in), {none});
    elements[1] = data(uri, in[0], {none});
    elements[2] = data(out, sizeof(out), {none});
    elements[3] = data(text, sizeof(text), {none});
    result = call(node, QDA_HANDLE_REMOTECTL, QDA_SCALARS(0, 2, 2), elements);
    *handle = out[0];
    return result ? result : (int)out[1];
}}

// sum(in sequence<int32>, rout int64) is method 2 of the module; its data lies in an object.
int sum_of_numbers(const char *path, long long *sum)
{{
    static const char uri[] =
        "file:///libcalculator_skel.so"
        "?calculator_skel_handle_invoke&_modver=1.0&_dom=cdsp";
    const __u32 count = 1000;
    const size_t length = count * sizeof(__s32);
    struct {create_record} session;
    struct drm_qda_gem_create object;
    struct drm_qda_gem_mmap_offset place;
{declare}    struct {element} elements[3];
    int node, result = -1;
    __u32 i, handle;
    __s32 *numbers;
    void *memory;

    node = open(path, O_RDWR);
    if (node < 0)
        return -1;
    memset(&session, 0, sizeof(session));
    session.{image} = {none};
    session.attrs = QDA_PROCESS_UNSIGNED_MODULE;
    memset(&object, 0, sizeof(object));
    object.size = length;
    memset(&place, 0, sizeof(place));
    if (ioctl(node, {create}, &session) ||
        load(node, uri, &handle) || ioctl(node, DRM_IOCTL_QDA_GEM_CREATE, &object))
        goto done;
    place.handle = object.handle;
    if (ioctl(node, DRM_IOCTL_QDA_GEM_MMAP_OFFSET, &place))
        goto done;
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, node, (off_t)place.offset);
    if (memory == MAP_FAILED)
        goto done;
    numbers = (__s32 *)memory;
    for (i = 0; i < count; i++)
        numbers[i] = (__s32)i;
{export}    elements[0] = data(&count, sizeof(count), {none}); // input 0: copied
    elements[1] = data(memory, length, {fd}); // input 1: shared
    elements[2] = data(sum, sizeof(*sum), {none}); // output 0: copied back
    result = call(node, handle, QDA_SCALARS(2, 2, 1), elements);
{unexport}    munmap(memory, length);
done:
    close(node);
    return result;
}}"""

_EXPORT = """\
    memset(&shared, 0, sizeof(shared));
    shared.handle = object.handle;
    shared.flags = DRM_CLOEXEC | DRM_RDWR;
    if (ioctl(node, DRM_IOCTL_PRIME_HANDLE_TO_FD, &shared)) {
        munmap(memory, length);
        goto done;
    }
"""


def example(
    create: Command[Record], invoke: Command[Record], element: type[Record], by: BuffersBy
) -> str:
    """A C file that calls a method with inline and shared buffers, in a dialect with these commands
    and this structure of INVOKE's elements."""
    assert create.record
    assert invoke.record
    exports = by is BuffersBy.DMA_BUF
    (name,) = (field for field in element.fields if field.name == "fd")
    (image,) = (field for field in create.record.fields if field.name == "filefd")
    return _EXAMPLE.format(
        element=element.spelling,
        record=invoke.record.spelling,
        create_record=create.record.spelling,
        create=create.spelling,
        invoke=invoke.spelling,
        declare="    struct drm_prime_handle shared;\n" if exports else "",
        export=_EXPORT if exports else "",
        unexport="    close(shared.fd);\n" if exports else "",
        name=name.spelling,
        image=image.spelling,
        kind="int" if name.scalar.signed else "__u32",
        none="-1" if name.scalar.signed else "0",
        fd="shared.fd" if exports else f"{'(int)' * name.scalar.signed}object.handle",
    )
