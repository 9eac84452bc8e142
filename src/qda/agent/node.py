"""A device node of a guest, open in the agent; to the client a node like any other."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Sequence
from typing import TypeVar

from qda.agent.channel import Call, Get, Number, Put, failed
from qda.agent.mirror import Mirror
from qda.agent.requests import (
    Span,
    arguments_of,
    descriptors_in,
    fields_with_descriptors,
    find,
    made,
    spans,
)
from qda.agent.standin import StandIn
from qda.errors import DeviceError
from qda.layout import Record
from qda.memory import PAGE, align
from qda.uapi import Command, Interface
from qda.uapi.accel import InvokeElement

__all__ = ["GuestNode"]

M = TypeVar("M", bound=mmap.mmap)

_SHARED = 0x01


class GuestNode:
    """An open node of the guest (see `qda.client.Node`).  `interface` is the dialect that it
    speaks, without which no descriptor is understood but those of DRM.

    DeviceError if it cannot be opened; AgentGone from all methods.
    """

    handed_over = None
    obituary = None

    def __init__(
        self,
        mirror: Mirror,
        path: str,
        interface: Interface | None = None,
        access: int = os.O_RDWR,
    ) -> None:
        self.name = self.path = path
        self._mirror, self._agent, self._interface = mirror, mirror.agent, interface
        self._handles: dict[int, StandIn] = {}
        try:
            self._number = mirror.open(path, access)
        except OSError as error:
            raise DeviceError("open", path, error.errno or errno.ENODEV) from error

    def neighbour(self, path: str) -> GuestNode:
        """See `Node.neighbour`."""
        return GuestNode(self._mirror, path, self._interface, os.O_RDONLY)

    def notes(self) -> None:
        """See `Node.notes`: a kernel's driver has none."""

    def ioctl(self, code: int, data: bytearray) -> int:
        """See `Node.ioctl`."""
        if self._number < 0:
            raise OSError(errno.EBADF, "the node is closed")
        command = find(code, self._interface)
        if command is None or command.record is None:
            return self._make(code, data)
        record = command.record.unpack(bytes(data).ljust(command.size, b"\0"))
        wanted = list(spans(command, record))
        for name in fields_with_descriptors(command, self._interface):
            self._mirror.have(getattr(record, name))
        if command.key == "INVOKE":
            wanted += self._arguments(record)
        result = self._make(code, data, wanted)
        if result >= 0:
            self._take(command, data)
        return result

    def _make(
        self,
        code: int,
        data: bytearray,
        wanted: Sequence[Span] = (),
    ) -> int:
        """Make the request; `data` is afterwards what is left of it."""
        room = self._mirror.take_room()
        asked = Call(Number.IOCTL, (self._number, code, room))
        request = Put(room, bytes(data)), asked, Get(room, len(data))
        calls = bool(wanted)
        result, left = self._mirror.ask(wanted, request, calls)
        self._mirror.give_room(room)
        assert isinstance(result, int) and isinstance(left, bytes)
        data[:] = left
        result = (result + (1 << 31)) % (1 << 32) - (1 << 31)
        if failed(result):
            raise OSError(-result, os.strerror(-result))
        return result

    def _arguments(self, record: Record) -> list[Span]:
        """The memory of a call."""
        address, scalars = arguments_of(record)
        table = Span(address, InvokeElement.byte_size * scalars.length)
        content = self._mirror.read(table)
        found = [table]
        if content is None or self._interface is None:
            return found
        form = self._interface.elements[0]
        for position in range(scalars.length):
            element = form.unpack(content, position * form.byte_size)
            if position < scalars.buffers:
                values = dict(zip((f.name for f in form.fields), element.values(), strict=True))
                written = position >= scalars.in_buffers
                found.append(Span(int(values["ptr"]), int(values["length"]), written))
            for name in descriptors_in(form):
                self._mirror.have(getattr(element, name))
        return found

    def _take(self, command: Command[Record], data: bytearray) -> None:
        """Know what the request has made: descriptors, handles and the places of buffers."""
        assert command.record is not None
        record = command.record.unpack(bytes(data).ljust(command.size, b"\0"))
        values = dict(zip((f.name for f in record.fields), record.values(), strict=True))
        handle = int(values.get("handle", 0))
        if made(command):
            known = self._handles.get(handle) if command.key == "PRIME_HANDLE_TO_FD" else None
            opened = self._mirror.adopt(int(values["fd"]), known)
            setattr(record, "fd", opened)  # noqa: B010
            data[:] = (record.pack() + data[command.size :])[: len(data)]
        elif command.key == "GEM_CREATE":
            self._hold(handle, self._mirror.new(align(int(values["size"]), PAGE)))
        elif command.key == "PRIME_FD_TO_HANDLE":
            found = self._mirror.stand_in_of(int(values["fd"]))
            if found is not None:
                self._hold(handle, found)
        elif command.key == "GEM_MMAP_OFFSET" and handle in self._handles:
            held = self._handles[handle]
            held.place = self._number, int(values["offset"])
            self._mirror.reach(held, *held.place)
        elif command.key == "GEM_CLOSE":
            closed = self._handles.pop(handle, None)
            if closed is not None and closed not in self._handles.values():
                closed.holders.discard(self._number)

    def _hold(self, handle: int, stand_in: StandIn) -> None:
        self._handles[handle] = stand_in
        stand_in.holders.add(self._number)

    def mmap(self, length: int, offset: int, kind: type[M]) -> M:
        """See `Node.mmap`."""
        asked = (0, length, mmap.PROT_READ | mmap.PROT_WRITE, _SHARED, self._number, offset)
        where = self._agent.call(Number.MMAP, *asked)
        self._agent.ask(Call(Number.MUNMAP, (where, length)))
        for stand_in in self._handles.values():
            if stand_in.place is not None and stand_in.place[0] == self._number:
                at = offset - stand_in.place[1]
                if 0 <= at <= stand_in.size - length:
                    return kind(stand_in.file, length, offset=at)
        raise OSError(errno.EINVAL, "the guest maps what is no buffer of this node")

    def close(self) -> None:
        """See `Node.close`."""
        if self._number >= 0:
            number, self._number = self._number, -1
            self._mirror.forget(number)
            self._agent.ask(Call(Number.CLOSE, (number,)))
