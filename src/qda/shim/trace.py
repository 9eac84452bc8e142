"""What programs ask of the device, printed like strace: every call, decoded from the records that
declare the interface.

    [41/41] ioctl(3</dev/accel/accel0>, DRM_IOCTL_QDA_QUERY, {dsp_name='cdsp'}) = 0 <0.000093>

A structure is shown as the call has left it.  A call that is overtaken by another line is shown
when it begins and when it ends, so a program that hangs can be seen hanging.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TextIO

from qda import limits
from qda.driver import Client
from qda.errors import as_unsigned, explain, is_errno
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, broken_rule
from qda.memory import ClientAddress
from qda.profiles.nodes import NodeKind, NodePath
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Request
from qda.uapi import (
    ACCEL_DIALECTS,
    LEGACY,
    LEGACY_73,
    RFC,
    Command,
    dma_heap,
    ioctl_number,
    ioctl_size,
)
from qda.uapi.accel import Invoke
from qda.uapi.legacy import InvokeLegacy

__all__ = ["Tracer", "fields", "status"]


_OPEN_FLAGS = ("O_CLOEXEC", "O_NONBLOCK", "O_CREAT", "O_EXCL", "O_TRUNC", "O_DIRECTORY")
_PLAIN = 3
"""So many reasons for an EINVAL are shown; of more it is not plain which one it was."""

_ACCESS = ("O_RDONLY", "O_WRONLY", "O_RDWR")


class Tracer:
    """Writes the requests of all clients to `out`, one line each.  Thread-safe.

    It is an `Observer` of a device server; `dialect` is as that has it.
    """

    def __init__(self, out: TextIO, dialect: str) -> None:
        self._out = out
        self._accel = ACCEL_DIALECTS.get(dialect, RFC)
        self._lock = threading.Lock()
        self._running: dict[int, str] = {}  # what was begun and not shown yet
        self._numbers = itertools.count()

    def note(self, line: str) -> None:
        """Write a line of another kind."""
        with self._lock:
            self._write(line)

    def _write(self, line: str) -> None:
        for number, begun in self._running.items():
            if begun:
                self._out.write(f"{begun} <unfinished ...>\n")
                self._running[number] = ""
        self._out.write(line + "\n")
        self._out.flush()

    def _begin(self, text: str) -> int:
        with self._lock:
            number = next(self._numbers)
            self._running[number] = text
            return number

    def _end(self, number: int, whole: str, resumed: str) -> None:
        with self._lock:
            self._write(whole if self._running.pop(number) else resumed)

    # An `Observer`.

    def opened(self, request: Request, client: Client, result: int) -> None:
        """See `Observer.opened`."""
        path = "/dev/" + request.name.partition(b"\0")[0].decode("utf-8", "replace")
        flags = _open_flags(request.flags)
        self.note(f'{_who(client)} open("{path}", {flags}) = {_result(result)}')

    def released(self, path: NodePath, opener: int) -> None:
        """See `Observer.released`."""
        self.note(f"[{opener}] the last descriptor of <{path.path}> is closed")

    def mapped(self, request: Request, client: Client, node: OpenNode, result: int) -> None:
        """See `Observer.mapped`."""
        length, offset = request.code, request.argument
        what = f"mmap({_shown(node, request)}, {length} bytes from {offset:#x})"
        self.note(f"{_who(client)} {what} = {_result(result)}")

    def ioctl(
        self, request: Request, client: Client, node: OpenNode, carry_out: Callable[[], int]
    ) -> int:
        """See `Observer.ioctl`."""
        command = self._command(node.path.kind, request.code)
        name = command.spelling if command else f"{request.code:#x}"
        who, call = _who(client), f"ioctl({_shown(node, request)}, {name}"
        number = self._begin(f"{who} {call}, {self._argument(command, client, request)}")
        started = time.perf_counter()
        result = carry_out()
        took = time.perf_counter() - started
        ended = f" = {_result(result, self._broken(command, client, request, result))} <{took:.6f}>"
        shown = self._argument(command, client, request)
        self._end(
            number,
            f"{who} {call}, {shown}){ended}",
            f"{who} <... {name} resumed> {shown}){ended}",
        )
        return result

    def _command(self, kind: NodeKind, code: int) -> Command[Record] | None:
        """The command that the node of that kind takes a code for."""
        if kind is NodeKind.HEAP:
            return next((c for c in dma_heap.HEAP.commands if c.number == ioctl_number(code)), None)
        return (LEGACY_73 if kind is NodeKind.FASTRPC else self._accel).find(code)

    def _argument(self, command: Command[Record] | None, client: Client, request: Request) -> str:
        """The third argument of an ioctl, as its record says."""
        argument = request.argument
        if command is None or command.record is None:
            return f"{argument:#x}"
        record = _record(command, client, request)
        if record is None:
            return f"{argument:#x} (cannot be read)"
        return "{" + ", ".join(_values(record, self._elements(record, client))) + "}"

    def _broken(
        self, command: Command[Record] | None, client: Client, request: Request, result: int
    ) -> str:
        """The rule of the interface for which a command is EINVAL, as far as it is plain."""
        if command is None or result != -errno.EINVAL:
            return ""
        record = _record(command, client, request)
        if record is not None and record.breach():
            return broken_rule(record)
        if isinstance(record, Invoke):
            buffers = Scalars.decode(record.scalars).buffers
            for place, element in enumerate(self._listed(record, client)[:buffers]):
                if broken_rule(element):
                    return f"argument {place}: {broken_rule(element)}"
        said = [words for number, words in command.errors if number == errno.EINVAL]
        return " or ".join(said) if len(said) <= _PLAIN else ""

    def _elements(self, record: Record, client: Client) -> Mapping[str, str]:
        """What INVOKE's word and pointer mean."""
        if not isinstance(record, Invoke):
            return {}
        scalars = Scalars.decode(record.scalars)
        shown = f"{record.arguments:#x}"
        listed = [fields(element) for element in self._listed(record, client)]
        if listed:
            listed += ["..."] if len(listed) < scalars.length else []
            shown = f"[{', '.join(listed)}]"
        return {"scalars": _scalars(scalars), "arguments": shown}

    def _listed(self, record: Invoke, client: Client) -> list[Record]:
        """The elements behind INVOKE's pointer, none if they cannot be read."""
        spoken = LEGACY if isinstance(record, InvokeLegacy) else self._accel
        element = spoken.elements[0]
        count = min(Scalars.decode(record.scalars).length, limits.TRACED_ARGUMENTS)
        address = ClientAddress(record.arguments)
        raw = client.read(address, count * element.byte_size) if count else b""
        starts = range(0, len(raw), element.byte_size) if raw else ()
        return [element.unpack(raw or b"", start) for start in starts]


def fields(record: Record) -> str:
    """A record as it is shown in traces: {handle=1, size=4096}."""
    return "{" + ", ".join(_values(record, {})) + "}"


def _values(record: Record, instead: Mapping[str, str]) -> Iterator[str]:
    plain = repr(record).removeprefix(f"{record.spelling}(").removesuffix(")")
    if not instead:
        yield plain
        return
    for field in record.fields:
        value = instead.get(field.name) or f"{getattr(record, field.name):#x}"
        yield f"{field.spelling}={value}"


def _scalars(scalars: Scalars) -> str:
    counts = (
        (scalars.in_buffers, "in"),
        (scalars.out_buffers, "out"),
        (scalars.in_handles, "in-handle"),
        (scalars.out_handles, "out-handle"),
    )
    shape = "".join(f", {count} {word}" for count, word in counts if count)
    return f"{scalars.word:#010x} (method {scalars.method}{shape})"


def _record(command: Command[Record], client: Client, request: Request) -> Record | None:
    """The structure of an ioctl; None if it has none, or that cannot be read."""
    size = ioctl_size(request.code)
    raw = client.read(ClientAddress(request.argument), size) if size else None
    if raw is None or command.record is None:
        return None
    return command.record.unpack(raw.ljust(command.record.byte_size, b"\0"))


def _who(client: Client) -> str:
    return f"[{client.pid}/{client.tid}]"


def _shown(node: OpenNode, request: Request) -> str:
    return f"{request.descriptor}<{node.path.path}>"


def _result(result: int, broken: str = "") -> str:
    """The result of a system call: an errno by name, with the rule that was broken if that is
    known, or a status of the DSP."""
    if is_errno(result):
        number = -result
        why = f": {broken}" if broken else ""
        return f"-1 {errno.errorcode.get(number, number)} ({os.strerror(number)}{why})"
    return status(result)


def status(result: int) -> str:
    """A status of the DSP in hex, with its name."""
    return f"{as_unsigned(result):#x} {explain(result).symbol}" if result else "0"


def _open_flags(flags: int) -> str:
    names = [_ACCESS[min(flags & os.O_ACCMODE, 2)]]
    names += [name for name in _OPEN_FLAGS if flags & getattr(os, name) == getattr(os, name)]
    return "|".join(names)
