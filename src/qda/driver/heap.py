"""The DMA-BUF heap: memory for whoever opens its node, without a device behind it."""

from __future__ import annotations

import errno
import os
from functools import partial

from qda.driver.front import Place, T, as_result, copied_by_size
from qda.driver.memory import Client, LocalClient
from qda.driver.objects import create_memory
from qda.interrupts import Section
from qda.memory import PAGE, ClientAddress, align
from qda.uapi import dma_heap, ioctl_number

__all__ = ["HeapFront"]

_WORD = 1 << 64


class HeapFront:
    """An open `/dev/dma_heap/system` (spec/fastrpc.md 5.4).  It holds nothing: what it gives away
    belongs to the descriptor by which it is given."""

    def ioctl(self, client: Client, code: int, address: ClientAddress) -> int:
        """See `Front.ioctl`.  The command is found by its number alone."""
        if ioctl_number(code) != dma_heap.ALLOC.number:
            return -errno.EINVAL
        allocate = partial(_allocate, client)
        with Section():
            return copied_by_size(client, dma_heap.ALLOC, code, address, allocate)

    def mmap(self, length: int, offset: int, place: Place[T]) -> T:
        """The heap itself cannot be mapped, only what it allocates.  OSError ENODEV."""
        raise OSError(errno.ENODEV, "a heap cannot be mapped, only what it allocates")

    def at_once(self, client: LocalClient, code: int, data: bytearray) -> int | None:
        """See `Front.at_once`: there is no core here."""
        return None

    @property
    def obituary(self) -> None:
        """See `Front.obituary`: there is nobody who could die."""

    def close(self, client: Client | None = None) -> None:
        """See `Front.close`."""


def _allocate(client: Client, request: dma_heap.Allocation) -> int:
    size = align(request.len, PAGE)
    if not size % _WORD:
        return -errno.EINVAL
    try:
        descriptor = create_memory(size)
        try:
            request.fd = client.install(descriptor, request.fd_flags)
        finally:
            os.close(descriptor)
    except OSError as error:
        return as_result(error)
    return 0
