"""The DMA-BUF heap, `/dev/dma_heap/system`: shared memory from the system, without any device.

A program on the older FastRPC interface takes its buffers from there.  Source: linux
`include/uapi/linux/dma-heap.h`, `drivers/dma-buf/dma-heap.c` (spec/fastrpc.md 5.4).
"""

from __future__ import annotations

import os
from errno import EFAULT, EINVAL, EMFILE, ENOMEM

from qda.layout import INOUT, ZERO, Legal, Record, u32, u64
from qda.uapi.interface import Command, Companion
from qda.uapi.ioctl import Access
from qda.uapi.words import SIZE

__all__ = ["ALLOC", "HEAP", "PATH", "Allocation"]

PATH = "/dev/dma_heap/system"

_FD_FLAGS = os.O_CLOEXEC | os.O_ACCMODE


class Allocation(Record, spelling="dma_heap_allocation_data"):
    """Allocate shared memory."""

    len: int = u64(
        "Size of the memory, which is rounded up to a multiple of 4096; its bytes start as 0",
        unit="bytes",
        legal=SIZE,
        breach=EINVAL,
    )
    fd: int = u32(
        "DMA-BUF of the memory, for mmap() at offset 0 and for other drivers; 0 on entry",
        direction=INOUT,
        unit="file descriptor",
        legal=ZERO,
        breach=EINVAL,
    )
    fd_flags: int = u32(
        "How the descriptor is opened; O_RDWR | O_CLOEXEC is what a DSP needs",
        unit="bits",
        legal=Legal(
            "O_CLOEXEC and the access mode", lambda value: not value & ~_FD_FLAGS, (os.O_RDWR,)
        ),
        breach=EINVAL,
    )
    heap_flags: int = u64("Reserved; write 0", unit="bits", legal=ZERO, breach=EINVAL)


ALLOC = Command(
    "ALLOC",
    "DMA_HEAP_IOCTL_ALLOC",
    0x00,
    Access.BOTH,
    Allocation,
    "Allocate memory.  It lives as long as the descriptor, a mapping, or another driver's use.",
    (
        (ENOMEM, "no memory of that size"),
        (EFAULT, "the structure is not in readable and writable memory of the caller"),
        (EINVAL, "another command number"),
        (EMFILE, "the process has no free descriptor"),
    ),
    type="H",
    step="""\
{ALLOC} gives shared memory, if data is to be shared and not copied; mmap() of its
descriptor at offset 0 makes it visible to the program.""",
)

HEAP = Companion("DMA-BUF heap", "_LINUX_DMABUF_POOL_H", ("linux/dma-heap.h",), (ALLOC,))
