"""Makes the agent's process look as this one, as far as a request can see it.

Before a request is made in the guest, the agent has at each address that the request names what is
there here: the same bytes under the same protection, or nothing.  Buffers are mapped where they are
mapped here, and as many descriptors lead to them.  Afterwards what the request has written is
brought back.  So the kernel's driver in the guest judges a request that was made outside of it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from qda.agent.channel import Agent, AgentGone, Call, Get, Number, Put, Step, failed
from qda.agent.maps import Area, areas_here
from qda.agent.requests import Span
from qda.agent.standin import StandIn
from qda.linux import address_of, read_memory, vectors, write_memory
from qda.memory import PAGE, align

__all__ = ["Mirror"]

_HERE = -100
_FIXED, _SHARED, _PRIVATE_ANONYMOUS = 0x10, 0x01, 0x22
_BOTH = mmap.PROT_READ | mmap.PROT_WRITE
_MOST = 8 << 20
"""No request of a test needs more memory than this at once; the rest of a longer range is left."""
_ROOM = 1 << 14
"""The code of a request has 14 bits for the length of its record."""
_ASIDE = 600
"""Descriptors that are the mirror's own have numbers from here on."""

Identity = tuple[int, int, int]
Fetch = tuple[Get, Callable[[bytes], None]]
"""Bytes of the guest, and what takes them."""


class Mirror:
    """This process in the guest.  Thread-safe, as long as requests at the same time do not need
    the same memory for different things.  AgentGone from all methods."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.lock = agent, threading.RLock()
        self._stand_ins: dict[Identity, StandIn] = {}
        self._numbers: dict[int, Identity] = {}
        self._buffers: dict[int, Area] = {}
        self._pages: dict[int, int] = {}
        self._under_way = 0
        self._free: list[int] = []  # room for the records of requests
        self._other = self.open("/dev/null", os.O_RDWR)
        """Stands for every descriptor here that leads to no buffer."""

    def take_room(self) -> int:
        """The address of room for any record in the guest, until it is given back."""
        with self.lock:
            if self._free:
                return self._free.pop()
        return self.agent.call(Number.MMAP, 0, _ROOM, _BOTH, _PRIVATE_ANONYMOUS, -1, 0)

    def give_room(self, room: int) -> None:
        """Give room back."""
        with self.lock:
            self._free.append(room)

    def open(self, path: str, access: int) -> int:
        """Open a file of the guest; its descriptor there.  OSError."""
        room = self.take_room()
        put = Put(room, path.encode() + b"\0")
        asked = Call(Number.OPENAT, (_HERE, room, access | os.O_CLOEXEC))
        (number,) = self.agent.ask(put, asked)
        self.give_room(room)
        assert isinstance(number, int)
        if failed(number):
            raise OSError(-number, os.strerror(-number))
        moved = self.agent.call(Number.FCNTL, number, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
        self.agent.call(Number.CLOSE, number)
        return moved

    # Descriptors.

    def adopt(self, number: int, stand_in: StandIn | None = None) -> int:
        """A descriptor here for one that the guest has made, which gets the same number there; it
        may lead to a known buffer."""
        with self.lock:
            if stand_in is None:
                stand_in = self.new(self.agent.call(Number.LSEEK, number, 0, os.SEEK_END))
            self.reach(stand_in, number, 0)
            opened = stand_in.descriptor(self.agent, number)
            if opened != number:
                self._duplicate(number, opened)
                self.agent.call(Number.CLOSE, number)
            self._numbers[opened] = stand_in.identity
            return opened

    def _duplicate(self, number: int, to: int) -> None:
        closes = self.agent.call(Number.FCNTL, number, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        self.agent.call(Number.DUP3, number, to, os.O_CLOEXEC if closes else 0)

    def new(self, size: int) -> StandIn:
        """What stands for a buffer of that size."""
        made = StandIn(size)
        with self.lock:
            self._stand_ins[made.identity] = made
        return made

    def reach(self, stand_in: StandIn, number: int, offset: int) -> None:
        """Map a buffer in the guest, so that its bytes are known, if it can be mapped so."""
        if stand_in.there:
            return
        asked = (0, align(stand_in.size, PAGE), _BOTH, _SHARED, number, offset)
        (where,) = self.agent.ask(Call(Number.MMAP, asked))
        if isinstance(where, int) and not failed(where):
            stand_in.there = where
            (content,) = self.agent.ask(Get(where, stand_in.size))
            assert isinstance(content, bytes)
            stand_in.take(0, content)

    def stand_in_of(self, descriptor: int) -> StandIn | None:
        """What a descriptor here leads to, None if to no buffer of the guest."""
        identity = _identity(descriptor)
        return self._stand_ins.get(identity) if identity is not None else None

    def have(self, descriptor: int) -> None:
        """Have in the guest what this number leads to here, if that is no buffer."""
        identity = _identity(descriptor) if descriptor > 0 else None
        with self.lock:
            if identity is not None and identity not in self._stand_ins:
                self.agent.call(Number.DUP3, self._other, descriptor, os.O_CLOEXEC)
                self._numbers[descriptor] = identity

    def _follow_descriptors(self) -> None:
        """Close and duplicate in the guest what was so here."""
        hidden = {it.file for it in self._stand_ins.values()}
        here = {
            number: identity
            for number in map(int, os.listdir("/proc/self/fd"))
            if number not in hidden and (identity := _identity(number)) is not None
        }
        for number, identity in list(self._numbers.items()):
            if here.get(number) != identity:
                if identity in here.values() and identity in self._stand_ins:
                    continue  # the last that leads there is closed after its duplicates are made
                del self._numbers[number]
                self.agent.ask(Call(Number.CLOSE, (number,)))
        for number, identity in here.items():
            if identity in self._stand_ins and self._numbers.get(number) != identity:
                known = [it for it, other in self._numbers.items() if other == identity]
                if known:
                    self._duplicate(known[0], number)
                    self._numbers[number] = identity
        for number, identity in list(self._numbers.items()):
            if here.get(number) != identity:
                del self._numbers[number]
                self.agent.ask(Call(Number.CLOSE, (number,)))

    def forget(self, node: int) -> None:
        """A node of the guest is about to be closed: what only it led to is not needed any more."""
        with self.lock:
            self._follow_descriptors()
            used = {area.identity for area in areas_here() if area.start not in self._homes()}
            used |= set(self._numbers.values())
            for stand_in in list(self._stand_ins.values()):
                stand_in.holders.discard(node)
                if stand_in.place is not None and stand_in.place[0] == node:
                    stand_in.place = None
                if not stand_in.holders and stand_in.identity not in used:
                    del self._stand_ins[stand_in.identity]
                    if stand_in.there:
                        gone = stand_in.there, align(stand_in.size, PAGE)
                        self.agent.ask(Call(Number.MUNMAP, gone))
                    stand_in.close()

    def _homes(self) -> set[int]:
        return {it.home for it in self._stand_ins.values()}

    # Memory.

    def read(self, span: Span) -> bytes | None:
        """The program's bytes, None if they cannot all be read."""
        return _read(span.address, span.length)

    def ask(
        self,
        spans: Sequence[Span],
        request: Sequence[Step],
        calls: bool,
    ) -> list[int | bytes]:
        """Have a request made where there is what is here: buffers, and the memory of the spans.
        What it writes into spans, and into buffers if it `calls` the DSP, is brought back.  Its
        results."""
        with self.lock:
            self._follow_descriptors()
            areas = areas_here()
            steps = [*self._follow_buffers(areas), *self._bytes_of_buffers()]
            for span in spans:
                steps += self._show(span, areas)
            if self._under_way:  # the others' requests count on what is changed here
                self._check(self.agent.ask(*steps))
                steps = []
            fetched = [*self._written(spans, areas), *(self._fetched() if calls else ())]
            self._under_way += 1
        try:
            results = self.agent.ask(*steps, *request, *(part for part, _ in fetched))
        finally:
            with self.lock:
                self._under_way -= 1
        made = sum(isinstance(step, Call) for step in steps)
        self._check(results[:made])
        end = len(results) - len(fetched)
        with self.lock:
            for (_, take), part in zip(fetched, results[end:], strict=True):
                assert isinstance(part, bytes)
                take(part)
        return results[made:end]

    def _check(self, results: Iterable[int | bytes]) -> None:
        if any(isinstance(result, int) and failed(result) for result in results):
            raise AgentGone("the guest cannot have the memory that is here")

    def _written(self, spans: Sequence[Span], areas: list[Area]) -> Iterator[Fetch]:
        """What a request may write into ordinary memory."""
        writable = [area for area in areas if area.protection & mmap.PROT_WRITE]
        for span in spans:
            if span.written:
                for start, end in self._parts(span, writable):
                    yield Get(start, end - start), partial(_write, start)

    def _fetched(self) -> Iterator[Fetch]:
        """What the DSP may write into buffers."""
        for stand_in in self._stand_ins.values():
            if stand_in.there:
                yield Get(stand_in.there, stand_in.size), partial(stand_in.take, 0)

    def _parts(self, span: Span, areas: list[Area]) -> Iterator[tuple[int, int]]:
        """The parts of a span that are ordinary memory here."""
        stop = span.address + min(span.length, _MOST)
        for area in areas:
            start, end = max(area.start, span.address), min(area.end, stop)
            if start < end and area.start not in self._buffers:
                yield start, end

    def _follow_buffers(self, areas: list[Area]) -> Iterator[Step]:
        """Map and unmap in the guest what was so here."""
        homes = self._homes()
        here = {
            it.start: it for it in areas if it.identity in self._stand_ins and it.start not in homes
        }
        for start, known in list(self._buffers.items()):
            if here.get(start) != known:
                del self._buffers[start]
                yield Call(Number.MUNMAP, (start, known.end - start))
        for start, area in here.items():
            if start not in self._buffers and (source := self._source(area)) is not None:
                self._buffers[start] = area
                for page in range(start, area.end, PAGE):
                    self._pages.pop(page, None)
                file, offset = source
                asked = (start, area.end - start, area.protection, _SHARED | _FIXED, file, offset)
                yield Call(Number.MMAP, asked)

    def _source(self, area: Area) -> tuple[int, int] | None:
        """What the guest maps for a mapping of a buffer: a descriptor and an offset."""
        for number, identity in self._numbers.items():
            if identity == area.identity:
                return number, area.offset
        place = self._stand_ins[area.identity].place
        return None if place is None else (place[0], place[1] + area.offset)

    def _bytes_of_buffers(self) -> Iterator[Step]:
        """What was written here into buffers since the guest was last told."""
        for stand_in in self._stand_ins.values():
            if stand_in.there and stand_in.view != stand_in.known:
                stand_in.known = bytes(stand_in.view)
                yield Put(stand_in.there, stand_in.known[: stand_in.size])

    def _show(self, span: Span, areas: list[Area]) -> Iterator[Step]:
        """Pages in the guest for the ordinary memory of a span, and what is in it."""
        end = span.address + min(span.length, _MOST)
        wanted = dict(self._pages_of(span.address, end, areas))
        for page in [page for page in self._pages if span.address - PAGE < page < end]:
            if page not in wanted:
                del self._pages[page]
                yield Call(Number.MUNMAP, (page, PAGE))
        new = {page: 0 for page in wanted if page not in self._pages}
        for first, last in _runs(new):
            asked = (first, last - first, _BOTH, _PRIVATE_ANONYMOUS | _FIXED, -1, 0)
            yield Call(Number.MMAP, asked)
        for first, last in _runs(
            {page: 0 for page in wanted if self._pages.get(page, _BOTH) != _BOTH}
        ):
            yield Call(Number.MPROTECT, (first, last - first, _BOTH))
        self._pages |= wanted
        for first, last in _runs(wanted):
            start, stop, protection = max(first, span.address), min(last, end), wanted[first]
            if (given := _read(start, stop - start)) is not None:
                yield Put(start, given)
            if protection != _BOTH:
                yield Call(Number.MPROTECT, (first, last - first, protection))

    def _pages_of(self, start: int, end: int, areas: list[Area]) -> Iterator[tuple[int, int]]:
        """The pages of ordinary memory between two addresses, with their protection."""
        for area in areas:
            if area.start < end and start < area.end and area.start not in self._buffers:
                first, last = max(area.start, start & -PAGE), min(area.end, align(end, PAGE))
                if not area.protection:  # addresses that are reserved: where they begin counts
                    first, last = max(area.start, first - _MOST), area.end
                for page in range(first, last, PAGE):
                    yield page, area.protection


def _runs(pages: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """[start, end) of pages that lie together, and have one protection."""
    start = end = -1
    for page in sorted(pages):
        if page != end or pages[page] != pages[start]:
            if start >= 0:
                yield start, end
            start = page
        end = page + PAGE
    if start >= 0:
        yield start, end


def _identity(descriptor: int) -> Identity | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return os.major(status.st_dev), os.minor(status.st_dev), status.st_ino


def _read(address: int, length: int) -> bytes | None:
    into = bytearray(length)
    whole = vectors((address_of(into), length))
    return (
        bytes(into) if read_memory(os.getpid(), whole, vectors((address, length)), length) else None
    )


def _write(address: int, content: bytes) -> None:
    origin = bytearray(content)
    write_memory(
        os.getpid(),
        vectors((address_of(origin), len(origin))),
        vectors((address, len(origin))),
        len(origin),
    )
