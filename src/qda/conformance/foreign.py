"""Memory that another device, or nobody's device, has made."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from qda.conformance.interface import PAGE, OpenNode

__all__ = ["foreign_buffer", "memfd"]

_HEAP = "/dev/dma_heap/system"
_HEAP_ALLOC = 0xC0184800


@contextmanager
def memfd(size: int, seals: int) -> Iterator[int]:
    """A descriptor of anonymous memory with these seals."""
    descriptor = os.memfd_create("conformance", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, size)
        if seals:
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        yield descriptor
    finally:
        os.close(descriptor)


def foreign_buffer(node: OpenNode, size: int = PAGE) -> int:
    """A descriptor that the device can import and has not made, closed after the node: a memfd
    that can no longer shrink, or on a kernel a DMA-BUF of the system heap."""
    if node.target.virtual:
        return node.left.enter_context(memfd(size, fcntl.F_SEAL_SHRINK))
    request = bytearray(struct.pack("<QIIQ", size, 0, os.O_RDWR | os.O_CLOEXEC, 0))
    try:
        heap = os.open(_HEAP, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"nothing else makes DMA-BUFs here: {_HEAP}: {error.strerror}")
    try:
        fcntl.ioctl(heap, _HEAP_ALLOC, request)
    finally:
        os.close(heap)
    descriptor: int = struct.unpack_from("<I", request, 8)[0]
    node.left.callback(os.close, descriptor)
    return descriptor
