"""Buffers: memory that program and DSP share."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self

from qda import limits
from qda.client.arrays import dtype_of
from qda.client.unheld import leave
from qda.errors import QdaError, Refusal, UsageError, UsageTypeError, bare
from qda.interrupts import Section
from qda.linux import address_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

__all__ = ["Buffer", "Mapping", "Place", "refuse_foreign"]


class Place(weakref.ref["Buffer"]):
    """Where a buffer is mapped, [start, end), and its handle, which other buffers may have, too:
    every import of a memory is a buffer of its own.  To call it gives the buffer as long as there
    is one.
    """

    __slots__ = ("end", "handle", "start")

    start: int
    end: int
    handle: int


class _Descriptor:
    """A descriptor that is closed when nobody has it any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        weakref.finalize(self, os.close, number)


class Owner(Protocol):
    """What a buffer asks of the device file that it belongs to."""

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed, and all buffers with it."""
        ...

    def export(self, buffer: Buffer) -> int:
        """A DMA-BUF descriptor of a buffer, owned by the caller."""
        ...

    @property
    def discard(self) -> Callable[[Place], None]:
        """Notes that a buffer is gone, wherever the program is just now: also in the middle of the
        device, or where Ctrl-C would be lost.  So it is a function of C."""
        ...

    def collect(self) -> None:
        """Close the handles of buffers that are gone."""
        ...


class Buffer(mmap.mmap):
    """A buffer object of a session, mapped: it can be indexed and sliced as bytes, and has the
    buffer protocol, `numpy()` and DLPack, all on the shared pages.

    `handle` is its GEM handle, or a number of the client's own where there are no such handles;
    `address` where it is mapped, `len(buffer)` its size in bytes, `owner` the device file that it
    belongs to.
    `close`, or the end of a `with` block, gives the handle back; the pages go when the last array
    or view of them does.  A buffer that is simply dropped is closed, with a ResourceWarning unless
    it is not `is_attended`: unless only arrays of it were handed out.
    """

    owner: Owner
    handle: int
    address: int
    descriptor: _Descriptor | None = None
    is_attended: bool = True
    is_closed: bool = False
    """Whether the handle has been given back; arrays of the memory may be there still."""
    _place: Place | None = None

    def bind(self, owner: Owner, handle: int) -> Place:
        """Tie the mapping to its handle; done once, by the device file that makes the buffer."""
        self.owner, self.handle, self.address = owner, handle, address_of(self)
        place = self._place = Place(self, owner.discard)
        place.start, place.end, place.handle = self.address, self.address + len(self), handle
        return place

    @property
    def dma_buf(self) -> int:
        """A descriptor of the buffer, or -1; it lives as long as the buffer and its mappings."""
        return -1 if self.descriptor is None else self.descriptor.number

    def numpy(self, dtype: DTypeLike = "u1") -> NDArray[Any]:
        """The whole buffer as a one-dimensional array; a rest that is no element is left out."""
        import numpy as np  # see `qda.client.arrays`

        try:
            kind = dtype_of(dtype)
            if not kind.itemsize:
                raise UsageTypeError(f"dtype {kind}: its elements have no bytes")
            if self.closed:
                raise UsageError(f"{self!r} is closed")
        except QdaError as error:
            bare(error)
            raise
        return np.frombuffer(self, kind, len(self) // kind.itemsize)

    def __dlpack__(self, **options: Any) -> Any:
        """The buffer for other array libraries, as bytes, without a copy."""
        return self.numpy().__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """It lies in the memory of the CPU."""
        return self.numpy().__dlpack_device__()

    def export_fd(self) -> int:
        """A DMA-BUF descriptor of the buffer, which the caller owns.  DeviceError."""
        descriptor = -1
        try:
            with Section():
                descriptor = self.owner.export(self)
        except BaseException as error:
            if descriptor >= 0:
                os.close(descriptor)
            if isinstance(error, QdaError):
                bare(error)
            raise
        return descriptor

    def keep_dma_buf(self, descriptor: int) -> None:
        """Own a DMA-BUF descriptor of the buffer from here on, in `dma_buf`."""
        self.descriptor = _Descriptor(descriptor)

    def close(self) -> None:
        """Give the handle back; unmap unless there are arrays of the memory.  Idempotent."""
        with Section(limits.PATIENCE, ends=True):
            self._give_back()
            self.owner.collect()
            self.descriptor = None
            with suppress(BufferError):  # somebody has an array: the pages go with it
                super().close()
                self.__class__ = _Closed

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not self.is_attended:
            self._give_back()  # before the pages go: others may have their addresses at once
        elif ending():
            return  # and nothing that is named in modules is sure to be there any more
        elif self._place is not None and not self.is_closed:
            with Section(later=True):
                self._give_back()
                if self.owner.is_open:
                    leave(self, self.owner.collect)

    def _give_back(self) -> None:
        if self._place is not None and not self.is_closed:
            self.is_closed = True
            self.owner.discard(self._place)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to one process: send an array of it, or its bytes")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Buffer handle {self.handle}, at {self.address:#x}>"


class _Closed(Buffer):
    """A buffer without its pages: it says so, which one with pages need not find out at each
    access."""

    def _refuse(self, *_: object) -> NoReturn:
        error = UsageError(f"{self!r} is closed")
        bare(error)
        raise error

    __getitem__ = __setitem__ = __len__ = __iter__ = __contains__ = _refuse


def refuse_foreign(memory: object, owner: Owner | None = None) -> None:
    """UsageError if memory is, or lies in, a buffer that is closed, or that somebody else than
    `owner` has: its number may mean another buffer there."""
    while not isinstance(memory, Buffer):
        memory = getattr(memory, "obj" if isinstance(memory, memoryview) else "base", None)
        if memory is None:
            return
    if memory.is_closed:
        raise UsageError(f"{memory!r} is closed")
    if memory.owner is not owner:
        raise UsageError(
            f"{memory!r} belongs to another session: "
            "`session.import_fd(buffer.export_fd())` makes a buffer of this one of it"
        )


class Mapping:
    """A buffer at an address of the DSP.

    `address` is the DSP address of byte `offset` of the buffer; the mapping runs to the buffer's
    end.  It keeps the buffer alive.  `close`, or the end of a `with` block, unmaps; a mapping that
    is dropped is unmapped, with a ResourceWarning.
    """

    def __init__(
        self, buffer: Buffer, address: int, offset: int, size: int, unmap: Callable[[], None]
    ) -> None:
        self.buffer, self.address, self.offset, self.size = buffer, address, offset, size
        self._unmap: Callable[[], None] | None = unmap

    def close(self) -> None:
        """Unmap; idempotent.  DeviceError, DspError.

        It is done already if the session is closed, or its process on the DSP has died: what lost
        it has said so.
        """
        with Section():
            unmap, self._unmap = self._unmap, None
            if unmap is None or not self.buffer.owner.is_open:
                return
            try:
                unmap()
            except Refusal as error:
                if not error.is_aftermath:
                    raise

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending() and self._unmap is not None and self.buffer.owner.is_open:
            with Section(later=True):
                leave(self, self._unmap)

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(f"{self!r} belongs to the session of one process, as its buffer does")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Mapping of {self.buffer!r} from {self.offset} at DSP {self.address:#x}>"
