"""The rules of use of the older driver's interface, and a program that follows them.

The text is Markdown of the simplest kind, as in `qda.uapi.guide`.
"""

from __future__ import annotations

__all__ = ["EXAMPLE", "PROSE"]

PROSE = """\
## Purpose

Each node /dev/fastrpc-DOMAIN or /dev/fastrpc-DOMAIN-secure leads to one DSP: adsp, cdsp and so on.
A program opens a node, creates a process on the DSP, loads modules into it and calls their methods
with buffers in and out (FastRPC). This is the interface of the driver that today's kernels have.
This text, with the declarations after it, is all that is needed to write such a program.

## Nodes

Compute DSPs (cdsp, cdsp1, gdsp0, gdsp1) have both nodes: the plain one is for unsigned processes,
the -secure one for any. Other DSPs have one node, the -secure one unless the system says that the
DSP is not secure. open() fails with EBUSY if the DSP has no free context bank, or 14 open files.

Shared memory comes from another node, /dev/dma_heap/system, or from FASTRPC_IOCTL_ALLOC_DMA_BUFF on
systems without that.

## Order of calls

1. Open the node with O_RDWR. What follows belongs to this open file and ends with it: the session
and the mappings, but not the memory, which belongs to its descriptor.
2. FASTRPC_IOCTL_GET_DSP_INFO tells what the DSP can do.
3. FASTRPC_IOCTL_INIT_CREATE creates a user process on the DSP, once for each open file. In its
place there are FASTRPC_IOCTL_INIT_ATTACH for the DSP's own system (root protection domain), and
FASTRPC_IOCTL_INIT_ATTACH_SNS and FASTRPC_IOCTL_INIT_CREATE_STATIC for processes that every such DSP
has. INIT_CREATE sends the DSP's method CREATE (6) if attrs is 0, else CREATE_ATTR (7).
4. DMA_HEAP_IOCTL_ALLOC gives shared memory, if data is to be shared and not copied; mmap() of its
descriptor at offset 0 makes it visible to the program.
5. FASTRPC_IOCTL_INVOKE with module handle 0 and method 0 (remotectl open, see the example) loads a
module and returns its handle. FASTRPC_IOCTL_INVOKE with that handle calls its methods, from any
number of threads at the same time.
6. close() ends everything: calls under way end, the process on the DSP is destroyed, its mappings
go away.

## Results

ioctl() returns 0 for success. It returns -1 with errno for an error of the driver, which has
changed nothing then, except that the DSP may have been at work if EINTR, ETIMEDOUT, or EFAULT for
an output buffer is returned. Any other number is the status of the DSP or of the called method, a
32-bit word that ioctl() returns unchanged without touching errno: above 0, or -4096 and below, for
example 0x8000040d (the process on the DSP is dead) as -2147482611. So compare the result with 0,
not with -1. A status from -1 to -4095 cannot be told from an error of the driver: a method that
returns -2 shows as -1 with ENOENT.

A command is known by its complete code, so structures have the size that is declared here; any
other code gives ENOTTY. Fields that the driver fills are written only if the result is 0. When the
DSP is gone, calls under way and later ones end with EPIPE, until the node is opened again.

## Elements of a call

The elements of FASTRPC_IOCTL_INVOKE are the array of struct fastrpc_invoke_args at args. The kind
of an element follows from its index and from the counts in sc alone: all input buffers come first,
then all output buffers, input handles, output handles. An array without output buffers has the
handles directly after the input buffers. Counts are at most 255, 255, 15 and 15.

- Buffer, inline: fd is 0 or -1, ptr is any readable (input) or writable (output) memory of the
process. Input bytes are copied to the DSP before the call, output bytes back after it: always all
length bytes, also if the status is not 0, and those that the method did not write are then 0. There
is no returned length; a method that returns fewer bytes says so in another output. Buffers that
overlap see the same bytes.
- Buffer, shared: fd is a DMA-BUF descriptor of the calling process, and ptr lies in a mapping of
just this memory. The DSP works on the memory itself; nothing is copied. The part of it is found
from the mapping, so the same pages must not be passed inline in the same call.
- Handle: fd is a DMA-BUF descriptor of the calling process, ptr is the offset and length the length
of a part of its memory. The memory is mapped for the call, and the method gets the number fd, the
offset and the length. With fd 0 or below, ptr and length reach the method as plain numbers.

What the buffers contain is up to the module. Modules made by the IDL compiler take all numbers, and
the lengths of all sequences, in the first input buffer (natural alignment, little-endian), return
numbers in the first output buffer, and have one further buffer for each sequence.

## Mappings

Shared memory is in one of three states for the DSP process:

- absent: no call and no mapping has it now. An access by code on the DSP fails and ends the call
with status 0x80000483.
- mapped for a call: an element names it. This needs no preparation, and lasts until the call has
been answered. Addresses that the method has seen are not valid in a later call.
- mapped until further notice: FASTRPC_IOCTL_MEM_MAP was called. Its vaddrout is valid for all code
of the DSP process until FASTRPC_IOCTL_MEM_UNMAP or close(), also as a number inside other data. The
memory cannot be freed meanwhile, even if its descriptor is closed.

Use the first way for arguments of calls, and a mapping when code on the DSP keeps an address, gets
it inside other data, or looks it up by fd. Memory that many calls name is mapped for each of them
anew; a mapping that lasts saves that.

Three kinds of address appear, and none is ever taken for another: addresses of the calling process
(file, args, ptr of a buffer), addresses on the DSP (vaddrin, vaddrout, vaddr), and offsets in
shared memory (offset, ptr of a handle argument). An address of the kernel is never accepted.

## Identity of calls

A message to the DSP carries a context id: bits 11..4 number the call, bits 3..0 are the kind of
protection domain that the open file has its session with (0 root, 1 user, 2 sensors). The number is
1 to 255, since no more comes back in an answer: the 256th call of a session at one time ends with
ENOSPC. A call that was interrupted keeps its number until the DSP has answered it."""

EXAMPLE = """\
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "qda_accel.h"

// Fill one element: data in memory with fd -1, or data in a mapping of the DMA-BUF fd.
static struct fastrpc_invoke_args data(const void *pointer, size_t length, int fd)
{
    struct fastrpc_invoke_args element;

    memset(&element, 0, sizeof(element));
    element.ptr = (__u64)(uintptr_t)pointer;
    element.length = length;
    element.fd = fd;
    return element;
}

static int call(int node, __u32 handle, __u32 sc, struct fastrpc_invoke_args *elements)
{
    struct fastrpc_invoke request;

    memset(&request, 0, sizeof(request));
    request.handle = handle;
    request.sc = sc;
    request.args = (__u64)(uintptr_t)elements;
    return ioctl(node, FASTRPC_IOCTL_INVOKE, &request);
}

// remotectl open: {name length, room for text}, name -> {handle, error}, error text
static int load(int node, const char *uri, __u32 *handle)
{
    char text[255] = "";
    __u32 in[2] = { (__u32)strlen(uri) + 1, sizeof(text) }, out[2] = { 0, 0 };
    struct fastrpc_invoke_args elements[4];
    int result;

    elements[0] = data(in, sizeof(in), -1);
    elements[1] = data(uri, in[0], -1);
    elements[2] = data(out, sizeof(out), -1);
    elements[3] = data(text, sizeof(text), -1);
    result = call(node, QDA_HANDLE_REMOTECTL, QDA_SCALARS(0, 2, 2), elements);
    *handle = out[0];
    return result ? result : (int)out[1];
}

// A DMA-BUF of the system heap, -1 if there is none.
static int allocate(size_t length)
{
    struct dma_heap_allocation_data request;
    int heap = open("/dev/dma_heap/system", O_RDONLY), result;

    if (heap < 0)
        return -1;
    memset(&request, 0, sizeof(request));
    request.len = length;
    request.fd_flags = O_RDWR;
    result = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &request);
    close(heap);
    return result ? -1 : (int)request.fd;
}

// sum(in sequence<int32>, rout int64) is method 2 of the module; its data is shared.
int sum_of_numbers(const char *path, long long *sum)
{
    static const char uri[] =
        "file:///libcalculator_skel.so"
        "?calculator_skel_handle_invoke&_modver=1.0&_dom=cdsp";
    const __u32 count = 1000;
    const size_t length = count * sizeof(__s32);
    struct fastrpc_init_create session;
    struct fastrpc_invoke_args elements[3];
    int node, shared, result = -1;
    __u32 i, handle;
    __s32 *numbers;
    void *memory;

    node = open(path, O_RDWR);
    if (node < 0)
        return -1;
    memset(&session, 0, sizeof(session));
    session.filefd = -1;
    session.attrs = FASTRPC_MODE_UNSIGNED_MODULE;
    shared = allocate(length);
    if (shared < 0 || ioctl(node, FASTRPC_IOCTL_INIT_CREATE, &session) ||
        load(node, uri, &handle))
        goto done;
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    if (memory == MAP_FAILED)
        goto done;
    numbers = (__s32 *)memory;
    for (i = 0; i < count; i++)
        numbers[i] = (__s32)i;
    elements[0] = data(&count, sizeof(count), -1); // input 0: copied
    elements[1] = data(memory, length, shared); // input 1: shared
    elements[2] = data(sum, sizeof(*sum), -1); // output 0: copied back
    result = call(node, handle, QDA_SCALARS(2, 2, 1), elements);
    munmap(memory, length);
done:
    if (shared >= 0)
        close(shared);
    close(node);
    return result;
}"""
