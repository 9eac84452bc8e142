"""Large arguments of a pool's calls travel in shared memory, which goes from call to call.

What a program gives to a pool lies anywhere, so it would be copied into the message of its call,
and what comes back out of it.  A message of that size is made anew for each call, with all its
pages, and that takes many times as long as to copy.  So the bytes are copied into a buffer that an
earlier call has left, and the call carries that.

A method finds what it would find without this: results begin as zeros, what is given twice is the
same memory, and what a method has written before it failed is the caller's (H18).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from qda import limits
from qda.client.arrays import is_array
from qda.errors import DspError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from qda.client import Bytes, HandleLike, Invoke

    Octets: TypeAlias = NDArray[np.uint8]

_Span: TypeAlias = tuple[int, int]
"""Where memory lies: [start, end)."""

__all__ = ["Shelf"]


class Shelf:
    """The buffers of a session that no call has just now, and who carries its calls.  Thread-safe.

    `empty` makes an array in a buffer of the session.
    """

    def __init__(self, empty: Callable[[int, str], Octets]) -> None:
        self._empty = empty
        self._free: deque[Octets] = deque(maxlen=limits.POOL_BUFFERS)
        self._lock = threading.Lock()

    def carrier(self, invoke: Invoke) -> Invoke:
        """What calls as `invoke` does, and carries what is large; see `qda.client.Calls`."""

        def carried(
            handle: int,
            method: int,
            ins: Sequence[Bytes],
            outs: Sequence[Bytes | int],
            in_handles: Sequence[HandleLike],
            out_handles: Sequence[HandleLike],
            timeout: float | None,
            label: str | None,
            /,
        ) -> list[Bytes]:
            rest = in_handles, out_handles, timeout, label
            if not any(_size(one) >= limits.POOL_CARRIED for one in (*ins, *outs)):
                return invoke(handle, method, ins, outs, *rest)
            cargo = _Cargo(ins, outs)
            cargo.load(self.take)
            # After any other error the DSP may work on: then what it has is not for other calls.
            try:
                results = invoke(handle, method, cargo.ins, cargo.outs, *rest)
            except DspError:
                self.give_back(cargo.unload())
                raise
            self.give_back(cargo.unload())
            return cargo.given_back(results)

        return carried

    def take(self, size: int) -> Octets:
        """A buffer of at least so many bytes: of a power of two, so that others may have it, too;
        pages that nobody touches take no memory."""
        whole = 1 << (size - 1).bit_length()
        with self._lock:
            for place, pages in enumerate(self._free):
                if len(pages) == whole:
                    del self._free[place]
                    return pages
        return self._empty(whole, "u1")

    def give_back(self, buffers: Sequence[Octets]) -> None:
        """Others may have these."""
        with self._lock:
            self._free.extend(buffers)

    def clear(self) -> None:
        """Keep no buffer."""
        with self._lock:
            self._free.clear()


class _Cargo:
    """The arguments of a call: `ins` and `outs` are as they travel.

    What overlaps with another argument, and is not the same, travels with it in a message.
    """

    def __init__(self, ins: Sequence[Bytes], outs: Sequence[Bytes | int]) -> None:
        self.ins, self.outs = (
            list(ins),
            [
                bytearray(one) if isinstance(one, int) and one >= limits.POOL_CARRIED else one
                for one in outs
            ],
        )
        self._rooms = self.outs.copy()
        self._goes, comes = _large(self.ins), _large(self.outs)
        # What cannot be written is refused on its way.
        self._comes = {place: flat for place, flat in comes.items() if flat.flags.writeable}
        self._lent: dict[_Span, Octets] = {}
        spans = sorted({_span(flat) for flat in (*self._goes.values(), *self._comes.values())})
        if any(one[1] > other[0] for one, other in pairwise(spans)):
            self._goes, self._comes = {}, {}

    def load(self, take: Callable[[int], Octets]) -> None:
        """Put what is large into buffers."""
        for place, flat in self._goes.items():
            self.ins[place] = self._buffer(flat, flat, take)
        for place, flat in self._comes.items():
            self.outs[place] = self._buffer(flat, 0, take)

    def _buffer(self, flat: Octets, content: Octets | int, take: Callable[[int], Octets]) -> Octets:
        """The part of a buffer that stands for some memory, with content if it is new."""
        pages, span = self._lent.get(_span(flat)), _span(flat)
        if pages is None:
            pages = self._lent[span] = take(len(flat))
            pages[: len(flat)] = content
        return pages[: len(flat)]

    def unload(self) -> list[Octets]:
        """Bring back what has come; returns the buffers, which the call needs no more."""
        for place, flat in self._comes.items():
            flat[:] = self.outs[place]
        return list(self._lent.values())

    def given_back(self, results: list[Bytes]) -> list[Bytes]:
        """The results of the call, as its caller knows them."""
        return [
            self._rooms[place] if place in self._comes else one for place, one in enumerate(results)
        ]


def _size(one: Bytes | int) -> int:
    """The bytes of an argument, as far as it is one that may be carried; of a number, that it asks
    for."""
    if isinstance(one, int):
        return one
    if isinstance(one, bytes | bytearray):
        return len(one)
    return one.nbytes if is_array(one) or isinstance(one, memoryview) else 0


def _large(given: Sequence[Bytes]) -> dict[int, Octets]:
    """By their places, the bytes of those arguments that are carried: memory in one piece."""
    import numpy as np  # see `qda.client.arrays`

    found: dict[int, Octets] = {}
    for place, one in enumerate(given):
        if _size(one) < limits.POOL_CARRIED:
            continue
        if not is_array(one):
            if memoryview(one).c_contiguous:
                found[place] = np.frombuffer(one, np.uint8)
        elif one.flags.c_contiguous and not one.dtype.hasobject:
            found[place] = one.view(np.ndarray).reshape(-1).view(np.uint8)
    return found


def _span(flat: Octets) -> _Span:
    start: int = flat.__array_interface__["data"][0]
    return start, start + len(flat)
