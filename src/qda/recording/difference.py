"""Where a replay is not what was recorded, field by field.

An argument is compared as bytes.  If they differ, and the interface of its module is known, it is
the parameters that are compared; those of the module manager are always known.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qda import limits
from qda.errors import QdaError, as_unsigned, explain
from qda.fastrpc.remotectl import (
    REMOTECTL,
    REMOTECTL1,
    CloseAnswer,
    CloseRequest,
    OpenAnswer,
    OpenRequest,
)
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.uri import ModuleUri
from qda.layout import Record
from qda.recording.events import Answered, Called

if TYPE_CHECKING:
    from qda.idl import Interface
    from qda.idl.python.describe import Values

__all__ = ["Comparison", "Difference", "Differs", "shown_result"]

Elements: TypeAlias = "list[object] | NDArray[Any]"

_SHOWN = 8
"""Bytes that are shown of where bytes begin to differ."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: in which event, its name, what was recorded, and what is there now."""

    place: str
    field: str
    recorded: str
    now: str

    def __str__(self) -> str:
        return f"{self.place}: {self.field}: {self.recorded} in the recording, {self.now} now"


class Differs(QdaError):
    """A replay is not what was recorded; `differences` say in what."""

    def __init__(self, differences: Sequence[Difference], words: str) -> None:
        super().__init__(words)
        self.differences = differences


class Comparison:
    """Compares, and keeps what differs.  Thread-safe.

    `interfaces` are those that are known, whose parameters are compared by their names.  `more`
    counts the differences beyond limits.DIFFERENCES.
    """

    def __init__(self, interfaces: Iterable[Interface] = ()) -> None:
        self._interfaces = {one.c_name: one for one in interfaces}
        self._lock = threading.Lock()
        self.differences: list[Difference] = []
        self.more = 0

    def __bool__(self) -> bool:
        return bool(self.differences)

    def __str__(self) -> str:
        lines = [str(one) for one in self.differences]
        if self.more:
            lines.append(f"and {self.more} more differences")
        return "\n".join(lines)

    def tell(self, place: str, field: str, recorded: object, now: object) -> None:
        """Something differs."""
        with self._lock:
            if len(self.differences) < limits.DIFFERENCES:
                self.differences.append(Difference(place, field, str(recorded), str(now)))
            else:
                self.more += 1

    def same(self, place: str, field: str, recorded: object, now: object) -> None:
        """Compare what is told as it is."""
        if recorded != now:
            self.tell(place, field, recorded, now)

    def octets(self, place: str, name: str, recorded: bytes, now: bytes) -> None:
        """Compare bytes."""
        for found in _of_bytes(name, recorded, now):
            self.tell(place, *found)

    # Calls.

    def name(self, call: Called) -> str:
        """What a call is called in differences."""
        return f"call {call.number}, {self.method(call)}"

    def method(self, call: Called) -> str:
        """Which method of which module a call is of."""
        module = _name(call.module)
        interface = self._interfaces.get(module)
        found = [one for one in interface.methods if one.index == call.method] if interface else []
        for manager in (REMOTECTL, REMOTECTL1):
            if call.handle == manager.handle:
                module = "remotectl"
                for word, scalars in (("open", manager.open), ("close", manager.close)):
                    if call.scalars == scalars.word:
                        return f"{module}.{word}"
        return f"{module}.{found[0].name if found else f'method {call.method}'}"

    def asked(self, call: Called, ins: Sequence[bytes], rooms: Sequence[int]) -> None:
        """Compare what a call asks for now: its in-buffers, and the sizes of its out-buffers."""
        scalars, place = Scalars.decode(call.scalars), self.name(call)
        recorded = [one.data for one in call.arguments[: scalars.in_buffers]]
        lengths = [one.length for one in call.arguments[scalars.in_buffers : scalars.buffers]]
        if recorded == list(ins) and lengths == list(rooms):
            return
        before, after = self._values(call, recorded, lengths), self._values(call, ins, rooms)
        found = False
        if before is not None and after is not None:
            found = self._named(place, "", before.given, after.given)
            found = found or self._named(place, "room for ", before.rooms, after.rooms)
        if found:
            return
        records = _RECORDS.get((call.handle, call.scalars), ((), ()))[0]
        self._buffers(place, "in-buffer", recorded, ins, records)
        for number, (length, room) in enumerate(zip(lengths, rooms, strict=True)):
            self.same(place, f"bytes of out-buffer {number}", length, room)

    def answered(
        self, call: Called, answer: Answered, result: str | int, outs: Sequence[bytes]
    ) -> None:
        """Compare what a call has given now; `result` is its status, or in words why it has
        none."""
        place = self.name(call)
        now = result if isinstance(result, str) else shown_result(result)
        self.same(place, "result", shown_result(answer.result), now)
        if answer.result or result or list(answer.outs) == list(outs):
            return  # what a call leaves that has failed means nothing
        scalars = Scalars.decode(call.scalars)
        ins = [one.data for one in call.arguments[: scalars.in_buffers]]
        before, after = self._values(call, ins, answer.outs), self._values(call, ins, outs)
        named = () if before is None or after is None else (before.results, after.results)
        if named and self._named(place, "", *named):
            return
        records = _RECORDS.get((call.handle, call.scalars), ((), ()))[1]
        self._buffers(place, "out-buffer", answer.outs, outs, records)

    def _buffers(
        self,
        place: str,
        name: str,
        recorded: Sequence[bytes],
        now: Sequence[bytes],
        records: Sequence[type[Record]],
    ) -> None:
        for number, (one, other) in enumerate(zip(recorded, now, strict=True)):
            kind = records[number] if number < len(records) else None
            if kind is not None and min(len(one), len(other)) >= kind.byte_size:
                was, is_ = kind.unpack(one), kind.unpack(other)
                for field in kind.fields:
                    if field.name != "handle":  # who gives it chooses it
                        told = f"{field.spelling} of {name} {number}"
                        self.same(place, told, getattr(was, field.name), getattr(is_, field.name))
            else:
                self.octets(place, f"{name} {number}", one, other)

    def _values(
        self, call: Called, ins: Sequence[bytes], outs: Sequence[bytes] | Sequence[int]
    ) -> Values | None:
        """The parameters of a call, None if its interface is not known, or it is not of it."""
        interface = self._interfaces.get(_name(call.module))
        if interface is None:
            return None
        from qda.idl.python.describe import RawCall, values_of
        from qda.idl.wire.calls import InterfaceCodec
        from qda.idl.wire.records import MarshalError

        rooms = [bytes(one) if isinstance(one, int) else one for one in outs]
        status = None if any(isinstance(one, int) for one in outs) else 0
        raw = RawCall(call.scalars, ins, rooms, status=status)
        try:
            codec = InterfaceCodec(interface)
            views = [memoryview(one) for one in ins]
            return values_of(codec.requested(Scalars.decode(call.scalars), views), raw)
        except MarshalError:
            return None

    def _named(
        self, place: str, what: str, before: Mapping[str, object], after: Mapping[str, object]
    ) -> bool:
        """Compare values by their names; whether any differ."""
        found = False
        for name in before:
            for difference in _of_values(what + name, before[name], after.get(name)):
                self.tell(place, *difference)
                found = True
        return found


_RECORDS: dict[tuple[int, int], tuple[Sequence[type[Record]], Sequence[type[Record]]]] = {}
for _manager in (REMOTECTL, REMOTECTL1):
    _RECORDS[_manager.handle, _manager.open.word] = (OpenRequest,), (OpenAnswer,)
    _RECORDS[_manager.handle, _manager.close.word] = (CloseRequest,), (CloseAnswer,)


def _name(uri: str) -> str:
    try:
        return ModuleUri.parse(uri).name
    except ValueError:
        return uri


def shown_result(result: int) -> str:
    """A result, signed or not, in hex and with its name."""
    word = as_unsigned(result)
    return f"{word:#x} {explain(word).symbol}" if word else "0"


def _of_bytes(name: str, recorded: bytes, now: bytes) -> Iterator[tuple[str, str, str]]:
    if recorded == now:
        return
    if len(recorded) != len(now):
        yield f"bytes of {name}", str(len(recorded)), str(len(now))
    pairs = enumerate(zip(recorded, now, strict=False))
    first = next((place for place, (one, other) in pairs if one != other), None)
    if first is not None:
        shown = slice(first, first + _SHOWN)
        yield f"byte {first} of {name}", recorded[shown].hex(" "), now[shown].hex(" ")


def _of_values(name: str, recorded: object, now: object) -> Iterator[tuple[str, str, str]]:
    """Where two values of one type differ first."""
    if isinstance(recorded, Mapping) and isinstance(now, Mapping):
        for key in recorded:
            yield from _of_values(f"{name}.{key}", recorded[key], now.get(key))
    elif isinstance(recorded, np.ndarray | list) and isinstance(now, np.ndarray | list):
        if len(recorded) != len(now):
            yield f"length of {name}", str(len(recorded)), str(len(now))
        index = _first_difference(recorded, now)
        if index >= 0:
            one, other = _element(recorded[index]), _element(now[index])
            yield from _of_values(f"{name}[{index}]", one, other)
    elif repr(recorded) != repr(now):
        yield name, repr(recorded), repr(now)


def _first_difference(recorded: Elements, now: Elements) -> int:
    """The index of the first elements that differ, -1 if there are none."""
    length = min(len(recorded), len(now))
    if isinstance(recorded, np.ndarray) and isinstance(now, np.ndarray):
        differ = (recorded[:length] != now[:length]).nonzero()[0]
        return int(differ[0]) if len(differ) else -1
    pairs = enumerate(zip(recorded, now, strict=False))
    return next((index for index, (one, other) in pairs if repr(one) != repr(other)), -1)


def _element(value: object) -> object:
    """An element of an array, as Python's own, a structure by its members."""
    if isinstance(value, np.void) and value.dtype.names:
        return {name: _element(value[name]) for name in value.dtype.names}
    return value.tolist() if isinstance(value, np.generic) else value
