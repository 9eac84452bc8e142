"""What a header needs besides its declarations: the rules of use, and a program that follows them.

The text is Markdown of the simplest kind: headings, paragraphs, lists.  `qda.uapi.header` prints
it as comments, `qda.uapi.reference` as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from qda.uapi.interface import Interface

__all__ = ["example", "prose"]

_PROSE = """\
## Purpose

Each node /dev/accel/accelN is one DSP. A program opens the node, creates a process on the DSP,
loads modules into it and calls their methods with buffers in and out (FastRPC). This text, with
the declarations after it, is all that is needed to write such a program.

## Order of calls

1. Open the node with O_RDWR. What follows belongs to this open file and ends with it: the session,
the handles and the mappings.
2. DRM_IOCTL_VERSION gives the driver's name, which is "qda"; other drivers have nodes in the same
directory. DRM_IOCTL_QDA_QUERY gives the name of the DSP.
3. {create} creates a user process on the DSP, once for each open file. {attach}
4. DRM_IOCTL_QDA_GEM_CREATE or DRM_IOCTL_PRIME_FD_TO_HANDLE gives buffer objects, if data is to be
shared and not copied; {mmap}
5. {invoke} with module handle 0 and method 0 (remotectl open, see the example) loads a module
and returns its handle. {invoke} with that handle calls its methods, from any number of
threads at the same time.
6. close() ends everything: calls under way end, the process on the DSP is destroyed, its mappings
and the handles go away.

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
valid if the result is 0.

## Elements of a call

The elements of {invoke} are the array of struct {element}
at args. The kind of an element follows from its index and from the counts in sc alone: all input
buffers come first, then all output buffers, input handles, output handles. An array without output
buffers has the handles directly after the input buffers. Counts are at most 255, 255, 15 and 15.

- Buffer, inline: fd is 0 or -1, ptr is any readable (input) or writable (output) memory of the
process. Input bytes are copied to the DSP before the call, output bytes back after it: always all
length bytes, also if the status is not 0, and those that the method did not write are then 0. There
is no returned length; a method that returns fewer bytes says so in another output. Buffers that
overlap see the same bytes.
- Buffer, shared: fd names an object ({fd}), and ptr lies in a mapping of just this object in the
calling process. The DSP works on the object's own memory; nothing is copied. The part of the object
is found from the mapping, so the same pages must not be passed inline in the same call.
- Handle: fd names an object, ptr is the offset and length the length of a part of it. The object is
mapped for the call, and the method gets the number fd, the offset and the length. With fd 0 or
below, ptr and length reach the method as plain numbers.

In this version, fd is {fd}. {other}

What the buffers contain is up to the module. Modules made by the IDL compiler take all numbers, and
the lengths of all sequences, in the first input buffer (natural alignment, little-endian), return
numbers in the first output buffer, and have one further buffer for each sequence.

## Mappings

An object is in one of three states for the DSP process:

- absent: it was created or imported, but no call and no mapping has it now. An access by code on
the DSP fails and ends the call with status 0x80000483.
- mapped for a call: an element names it. This needs no preparation, and lasts until the call has
been answered. Addresses that the method has seen are not valid in a later call.
- mapped until further notice: {map} was called. Its vaddrout is valid for all code of
the DSP process until {munmap} or close(), also as a number inside other data. The object
cannot be freed meanwhile, even if its handle is closed.

Use the first way for arguments of calls, and a mapping when code on the DSP keeps an address, gets
it inside other data, or looks it up by fd (QDA_MAP_REQUEST_ATTR).

Three kinds of address appear, and none is ever taken for another: addresses of the calling process
(file, args, ptr of a buffer), addresses on the DSP (vaddrin, vaddrout, vaddr), and offsets in an
object (offset, ptr of a handle argument). An address of the kernel is never accepted.

## mmap

mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, node, offset) with the offset of
DRM_IOCTL_QDA_GEM_MMAP_OFFSET maps an object from its first byte. EINVAL: length is 0 or more than
the object's size, or the offset is not known. EACCES: the object belongs to another open file.
{imports}

## Identity of calls

A message to the DSP carries a context id: bits 11..4 number the call, bits 3..0 are the kind of
protection domain (QDA_ROOT_PD, ...). The number is 1 to 255, since no more comes back in an answer:
the 256th call of a session at one time ends with ENOSPC. A call that was interrupted keeps its
number until the DSP has answered it."""

_WORDS: Mapping[bool, Mapping[str, str]] = {
    False: {
        "attach": "For a session with the DSP's own system (root protection domain) use "
        "DRM_IOCTL_QDA_INIT_ATTACH in its place.",
        "mmap": "DRM_IOCTL_QDA_GEM_MMAP_OFFSET and mmap() make them visible to the program.",
        "fd": "a GEM handle of this open file",
        "other": "A DMA-BUF descriptor must be turned into a handle by "
        "DRM_IOCTL_PRIME_FD_TO_HANDLE first.",
        "imports": "An imported object can be mapped in this way, too.",
    },
    True: {
        "attach": "There is no session with the DSP's own system; command 0x43 stays unused.",
        "mmap": "DRM_IOCTL_QDA_GEM_MMAP_OFFSET and mmap() make them visible to the program, and "
        "DRM_IOCTL_PRIME_HANDLE_TO_FD gives the descriptor by which the calls below name them.",
        "fd": "a DMA-BUF descriptor of the calling process",
        "other": "A GEM handle must be turned into a descriptor by "
        "DRM_IOCTL_PRIME_HANDLE_TO_FD first.",
        "imports": "An imported object cannot be mapped in this way (EINVAL); map its DMA-BUF.",
    },
}

_EXAMPLE = """\
#define _POSIX_C_SOURCE 200809L // for O_CLOEXEC, of which drm.h makes DRM_CLOEXEC
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "qda_accel.h"

// Fill one element: data in memory with fd -1, or data in the mapping of object fd.
static struct {element} data(const void *pointer, size_t length, int fd)
{{
    struct {element} element;

    memset(&element, 0, sizeof(element));
    element.ptr = (__u64)(uintptr_t)pointer;
    element.length = length;
    element.fd = fd;
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

    elements[0] = data(in, sizeof(in), -1);
    elements[1] = data(uri, in[0], -1);
    elements[2] = data(out, sizeof(out), -1);
    elements[3] = data(text, sizeof(text), -1);
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
    session.filefd = -1;
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
{export}    elements[0] = data(&count, sizeof(count), -1); // input 0: copied
    elements[1] = data(memory, length, {fd}); // input 1: shared
    elements[2] = data(sum, sizeof(*sum), -1); // output 0: copied back
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


def prose(later: bool, commands: Mapping[str, str], element: str) -> str:
    """The rules of use, for V1 if `later`, else for RFC.

    `commands` gives the C names of CREATE, MAP, MUNMAP and INVOKE, `element` the name of the
    structure of a call's elements.
    """
    names = {key.lower(): spelling for key, spelling in commands.items()}
    return _PROSE.format_map({**names, **_WORDS[later], "element": element})


def example(interface: Interface) -> str:
    """A C file that calls a method with inline and shared buffers, for either dialect of QDA."""
    create, invoke = interface.command("CREATE"), interface.command("INVOKE")
    assert create.record
    assert invoke.record
    exports = not interface.has("INIT_ATTACH")
    return _EXAMPLE.format(
        element=interface.elements[0].spelling,
        record=invoke.record.spelling,
        create_record=create.record.spelling,
        create=create.spelling,
        invoke=invoke.spelling,
        declare="    struct drm_prime_handle shared;\n" if exports else "",
        export=_EXPORT if exports else "",
        unexport="    close(shared.fd);\n" if exports else "",
        fd="shared.fd" if exports else "(int)object.handle",
    )
