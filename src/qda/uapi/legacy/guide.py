"""The rules of use of the older driver's interface, and a program that follows them.

What concerns one command stands with the command.
"""

from __future__ import annotations

from qda.uapi.interface import Guide

__all__ = ["EXAMPLE", "GUIDE"]

GUIDE = Guide(
    beginning="""\
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
systems without that.""",
    first="""\
Open the node with O_RDWR. What follows belongs to this open file and ends with it: the session
and the mappings, but not the memory, which belongs to its descriptor.""",
    steps=("GET_DSP_INFO", "CREATE", "ALLOC", "INVOKE"),
    last="""\
close() ends everything: calls under way end, the process on the DSP is destroyed, its mappings
go away.""",
    middle="""\
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
DSP is gone, calls under way and later ones end with EPIPE, until the node is opened again.""",
    sections=("INVOKE", "MEM_MAP"),
    end="""\
## Identity of calls

A message to the DSP carries a context id: bits 11..4 number the call, bits 3..0 are the kind of
protection domain that the open file has its session with (0 root, 1 user, 2 sensors). The number is
1 to 255, since no more comes back in an answer: the 256th call of a session at one time ends with
ENOSPC. A call that was interrupted keeps its number until the DSP has answered it.""",
)

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
