"""What the messages of a protection domain may name, for the twin."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from qda.core.side import memory_at
from qda.errors import BAD_PARAMETER, NO_SUCH_MAP, plain

__all__ = ["Space"]


@dataclass(eq=False, slots=True)
class _Region:
    bus: int
    size: int
    address: int
    owner: object


@dataclass(eq=False, slots=True)
class _Name:
    client_id: int
    fd: int
    address: int
    size: int
    references: int = 0


class Space:
    """What messages to a protection domain may name: memory, and modules in C.

    The twin leaves these to the method in Python, which can call them, too.
    """

    def __init__(self) -> None:
        self._regions: list[_Region] = []
        self._names: list[_Name] = []

    def add(self, bus: int, size: int, address: int, owner: object) -> None:
        """From now on messages may name `size` bytes on the bus, which lie at `address` here."""
        place = bisect_right(self._regions, bus, key=lambda region: region.bus)
        self._regions.insert(place, _Region(bus, size, address, owner))

    def remove(self, owner: object) -> None:
        """They may no longer; calls under way keep the owner.  KeyError."""
        for region in self._regions:
            if region.owner is owner:
                self._regions.remove(region)
                return
        raise KeyError("no such memory")

    def name(self, client_id: int, fd: int, address: int, size: int) -> None:
        """From now on packets of queues may refer to that memory by its fd."""
        self._names.append(_Name(client_id, fd, address, size))

    def unname(self, address: int) -> None:
        """They may no longer."""
        self._names = [name for name in self._names if name.address != address]

    def refer(self, client_id: int, fd: int, change: int) -> tuple[int, int, int]:
        """Change how often packets refer to memory; a plain status, its address and its size."""
        for name in reversed(self._names):
            if (name.client_id, name.fd) == (client_id, fd):
                if name.references + change < 0:
                    return plain(BAD_PARAMETER), 0, 0
                name.references += change
                return 0, name.address, name.size
        return plain(NO_SUCH_MAP), 0, 0

    def open(
        self,
        handle: int,
        client_id: int,
        entry: int,
        own: int | None,
        owner: object,
        first: int = 0,
    ) -> None:
        """From now on calls of that client, from method `first` on, go to the function at `entry`,
        which gets the library's own handle before all, unless that is None."""

    def close(self, handle: int) -> None:
        """They do no longer; calls under way keep the owner."""

    def reach(self, bus: int, length: int) -> tuple[memoryview, object] | None:
        """The bytes at a bus address with their owner, None unless one region holds them all."""
        place = bisect_right(self._regions, bus, key=lambda region: region.bus)
        if place:
            region = self._regions[place - 1]
            start = bus - region.bus
            if start <= region.size and length <= region.size - start:
                return memory_at(region.address + start, length), region.owner
        return None
