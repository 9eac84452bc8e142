"""Buffers: memory that program and DSP share."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, Self

from qda.linux import address_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["Buffer", "Mapping"]


class Owner(Protocol):
    """What a buffer asks of the device file that it belongs to."""

    def export(self, buffer: Buffer) -> int:
        """A DMA-BUF descriptor of a buffer, owned by the caller."""
        ...

    def discard(self, handle: int) -> None:
        """Note that a buffer is gone, wherever the program is just now."""
        ...

    def collect(self) -> None:
        """Close the handles of buffers that are gone."""
        ...


class Buffer(mmap.mmap):
    """A buffer object of a session, mapped: it can be indexed and sliced as bytes, and has the
    buffer protocol, `numpy()` and DLPack, all on the shared pages.

    `handle` is its GEM handle, or a number of the client's own where there are no such handles;
    `address` where it is mapped, `dma_buf` a descriptor of it or -1, `len(buffer)` its size in
    bytes.
    `close`, or the end of a `with` block, gives the handle back; the pages go when the last array
    or view of them does.  A buffer that is simply dropped is closed some time later.
    """

    handle: int
    address: int
    _close_handle: Callable[[], object]
    _close_dma_buf: Callable[[], object] | None = None
    _owner: Owner
    dma_buf: int

    def bind(self, owner: Owner, handle: int) -> Self:
        """Tie the mapping to its handle; done once, by the session that makes the buffer."""
        self._owner, self.handle, self.dma_buf = owner, handle, -1
        self.address = address_of(self)
        # The collector may run anywhere, also inside the device: it only leaves a note.
        self._close_handle = weakref.finalize(self, owner.discard, handle)
        return self

    def numpy(self, dtype: DTypeLike = "u1") -> NDArray[Any]:
        """The whole buffer as a one-dimensional array; a rest that is no element is left out."""
        import numpy as np  # see `qda.client.arrays`

        kind = np.dtype(dtype)
        return np.frombuffer(self, kind, len(self) // kind.itemsize)

    def __dlpack__(self, **options: Any) -> Any:
        """The buffer for other array libraries, as bytes, without a copy."""
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """It lies in the memory of the CPU."""
        return self.numpy().__dlpack_device__()

    def export_fd(self) -> int:
        """A DMA-BUF descriptor of the buffer, which the caller owns.  DeviceError."""
        return self._owner.export(self)

    def keep_dma_buf(self, descriptor: int) -> None:
        """Own a DMA-BUF descriptor of the buffer from here on, in `dma_buf`."""
        self.dma_buf = descriptor
        self._close_dma_buf = weakref.finalize(self, os.close, descriptor)

    def close(self) -> None:
        """Give the handle back; unmap unless there are arrays of the memory.  Idempotent."""
        self._close_handle()
        self._owner.collect()
        if self._close_dma_buf is not None:
            self.dma_buf = -1
            self._close_dma_buf()
        try:
            super().close()
        except BufferError:
            return  # somebody has an array: the pages go with it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Buffer handle {self.handle}, at {self.address:#x}>"


class Mapping:
    """A buffer at an address of the DSP.

    `address` is the DSP address of byte `offset` of the buffer; the mapping runs to the buffer's
    end.  It keeps the buffer alive.  `close`, or the end of a `with` block, unmaps.
    """

    def __init__(
        self, buffer: Buffer, address: int, offset: int, size: int, unmap: Callable[[], None]
    ) -> None:
        self.buffer, self.address, self.offset, self.size = buffer, address, offset, size
        self._unmap: Callable[[], None] | None = unmap

    def close(self) -> None:
        """Unmap; idempotent.  DeviceError, DspError."""
        unmap, self._unmap = self._unmap, None
        if unmap is not None:
            unmap()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Mapping of {self.buffer!r} from {self.offset} at DSP {self.address:#x}>"
