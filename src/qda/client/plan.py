"""Plans: where the arguments of a call lie, before any dialect's structures are written.

An argument that lies in a buffer of the session travels by name, everything else inline.  A plan
says which, and an emitter of a dialect turns it into argument elements; further dialects are
further emitters (R5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from qda.client.arrays import is_array
from qda.client.buffer import Buffer, refuse_foreign
from qda.errors import UsageError, UsageTypeError, quoted
from qda.fastrpc.scalars import EXTENDED_METHOD, Scalars
from qda.linux import address_of
from qda.uapi.accel import InvokeElement

__all__ = ["Bytes", "HandleLike", "Plan", "Planned", "emit_elements", "make_plan"]

Bytes = Any
"""Contiguous memory with the buffer protocol: bytes, bytearray, memoryview, array, Buffer."""

HandleLike = Any
"""A Buffer, an array that lies in one, or a number that the DSP gets as it is."""


class Planned(NamedTuple):
    """One argument: `length` bytes at `address`, inside `buffer` at `offset` if it lies in one."""

    address: int
    length: int
    buffer: Buffer | None
    offset: int


class Plan(NamedTuple):
    """A call: its scalars, its arguments in wire order, and the objects that must stay alive."""

    scalars: int
    arguments: list[Planned]
    buffers: int
    alive: list[object]


Find = Callable[[int, int], Buffer | None]
"""Finds the session's buffer that holds `length` bytes at an address."""


def make_plan(
    method: int,
    ins: Sequence[Bytes],
    outs: Sequence[Bytes],
    in_handles: Sequence[HandleLike],
    out_handles: Sequence[HandleLike],
    find: Find,
) -> Plan:
    """Plan a call of a method.

    UsageError for too many arguments, UsageTypeError for one that is not contiguous memory, or not
    writable where the DSP writes.  Methods from 31 on get their number as first word of the first
    in-buffer, which is the caller's to provide (spec/fastrpc.md 1.5).
    """
    try:
        counts = [len(given) for given in (ins, outs, in_handles, out_handles)]
    except TypeError as error:
        raise UsageTypeError(f"arguments of method {quoted(method)}: lists, {error}") from error
    for given in (ins, outs):
        if isinstance(given, str | bytes | bytearray | memoryview):
            words = f"arguments of method {method}: {quoted(given)}"
            raise UsageTypeError(f"{words} is one piece of memory: a list of such is wanted")
    scalars = _word(method, *counts)
    alive: list[object] = []
    try:
        planned = [_place(item, find, alive, False) for item in ins]
        planned += [_place(item, find, alive, True) for item in outs]
    except UsageTypeError as error:
        raise UsageTypeError(f"{_culprit(ins, outs)}: {error}") from error
    for number, item in enumerate((*in_handles, *out_handles)):
        try:
            planned.append(_place_handle(item, find, alive))
        except (UsageError, UsageTypeError) as error:
            error.handle_argument = number
            raise
    return Plan(scalars, planned, len(ins) + len(outs), alive)


@lru_cache(maxsize=1024)
def _word(method: int, ins: int, outs: int, in_handles: int, out_handles: int) -> int:
    try:
        return Scalars(min(method, EXTENDED_METHOD), ins, outs, in_handles, out_handles).word
    except ValueError as error:
        raise UsageError(str(error)) from error
    except TypeError as error:
        raise UsageTypeError(f"method {quoted(method)}: a number") from error


def _culprit(ins: Sequence[Bytes], outs: Sequence[Bytes]) -> str:
    """The first of some arguments that is refused."""
    for kind, items, written in (("in-buffer", ins, False), ("out-buffer", outs, True)):
        for number, item in enumerate(items):
            try:
                _locate(item, [], written)
            except UsageTypeError:
                return f"{kind} {number}"
    return "arguments"


def _place(item: Bytes, find: Find, alive: list[object], written: bool) -> Planned:
    address, length = _locate(item, alive, written)
    if not length:
        return Planned(0, 0, None, 0)
    buffer = find(address, length)
    return Planned(address, length, buffer, address - buffer.address if buffer else 0)


def _place_handle(item: HandleLike, find: Find, alive: list[object]) -> Planned:
    if isinstance(item, int):
        return Planned(item & (1 << 64) - 1, 0, None, 0)
    planned = _place(item, find, alive, False)
    if planned.buffer is None:
        if planned.length:
            refuse_foreign(item)
        raise UsageTypeError(
            f"handle argument {quoted(item)} does not lie in a buffer of the session: arrays of "
            "`session.empty` do"
        )
    return planned


def _locate(item: Bytes, alive: list[object], written: bool) -> tuple[int, int]:
    """Address and length in bytes of an argument's memory, which `alive` then keeps."""
    kept: object = item
    if is_array(item):
        if item.dtype.hasobject:
            raise UsageTypeError(f"array of dtype {item.dtype}: the DSP cannot see Python objects")
        if not (item.flags.c_contiguous or item.flags.f_contiguous):
            raise UsageTypeError(
                f"array of shape {item.shape} and strides {item.strides} is not contiguous: "
                "use numpy.ascontiguousarray"
            )
        address, read_only = item.__array_interface__["data"]
        length = item.nbytes
    else:
        try:
            view = memoryview(item)
        except TypeError as error:
            raise UsageTypeError(f"{quoted(item)} is not memory: {error}") from error
        except ValueError as error:  # closed, or released
            raise UsageError(f"{quoted(item)} is not memory any more: {error}") from error
        if not view.contiguous:
            raise UsageTypeError(f"{quoted(item)} is not contiguous")
        if not view.nbytes:
            return 0, 0
        address, read_only = address_of(view), view.readonly
        kept, length = view, view.nbytes
    if written and read_only:
        raise UsageTypeError(f"{quoted(item)} cannot be written, and the DSP writes to it")
    alive.append(kept)
    return address, length


_element = InvokeElement.codec


def emit_elements(plan: Plan, name: Callable[[Buffer], int], none: int = -1) -> bytes:
    """The argument elements of a plan, which have one layout in all dialects so far; `name` is what
    an fd field says for a buffer, a GEM handle or a descriptor, and `none` for no buffer."""
    elements = []
    for index, (address, length, buffer, offset) in enumerate(plan.arguments):
        fd = none if buffer is None else name(buffer)
        place = address if index < plan.buffers or buffer is None else offset
        elements.append(_element.pack(place, length, fd, 0))
    return b"".join(elements)
