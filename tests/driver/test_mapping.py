"""What a protection domain can reach of a buffer object: random walks on a virtual device."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qda.driver import LocalClient, open_front
from qda.driver.mapping import MAPPING, Change, Reach
from qda.driver.sharing import Uses
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.mapping import MapKind
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.linux import address_of
from qda.uapi import RFC, Command, accel, drm
from qda.uapi.accel import GemCreate, InitCreate, Invoke, InvokeElement, MemMap, MemUnmap
from qda.virtual import machine
from tests.driver.structures import run

R = TypeVar("R", bound=Record)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "mappings.md"
KINDS = st.sampled_from(MapKind)
SIZE = 8192
NOBODY = 0x1234
"""A module that is not there: the driver makes and sends the whole call all the same."""


def test_the_page_of_mappings_shows_the_table() -> None:
    """docs/mappings.md tells programs what the table says."""
    page = PAGE.read_text()
    rows = [line for line in MAPPING.page().splitlines() if line.startswith("|")]
    assert [row for row in rows if row not in page] == []


class Walk(RuleBasedStateMachine):
    """A program that does with a buffer what it may and what it may not."""

    def __init__(self) -> None:
        super().__init__()
        self.state = MAPPING.start
        self.mappings: list[tuple[MapKind, int]] = []
        self.closed = False
        self.client = LocalClient()
        self.device = machine().devices["cdsp"]
        self.front = open_front(self.device, RFC)
        self.before = self.device.census()
        assert self.run(accel.CREATE, InitCreate(filefd=-1)) == 0
        made = GemCreate(size=SIZE)
        assert self.run(accel.GEM_CREATE, made) == 0
        self.handle = made.handle
        with Uses() as uses:
            self.attachment = self.front.file.hold(self.handle, uses)

    def teardown(self) -> None:
        self.front.close(self.client)
        self.client.close()

    def run(self, command: Command[R], record: R) -> int:
        """A command on a record, in place; its result."""
        return run(self.front, self.client, command, record)

    def step(self, event: Change, result: int, refusal: int) -> bool:
        """Whether the event was legal; if it was it succeeded, and if not it was refused."""
        legal = MAPPING.legal(self.state, event)
        assert result == (0 if legal else -refusal)
        if legal:
            self.state = MAPPING.after(self.state, event)
        return legal

    @rule()
    def call(self) -> None:
        """The buffer is a handle argument of a call to nobody, which is sent all the same."""
        elements = bytearray(InvokeElement.codec.pack(0, SIZE, self.handle, 0))
        scalars = Scalars(2, in_handles=1).word
        request = Invoke(handle=NOBODY, scalars=scalars, arguments=address_of(elements))
        result = self.run(accel.INVOKE, request)
        sent = 0 if result == as_signed(BAD_HANDLE) else result
        self.step(Change.CALL, sent, self.refusal(errno.ENOENT))

    def refusal(self, without_handle: int) -> int:
        """Why a request is refused: the file is closed, or something else."""
        return errno.EBADF if self.closed else without_handle

    @rule(kind=KINDS)
    def map(self, kind: MapKind) -> None:
        request = MemMap(request=kind, fd=self.handle, size=SIZE)
        if self.step(Change.MAP, self.run(accel.MAP, request), self.refusal(errno.ENOENT)):
            self.mappings.append((kind, request.vaddrout))

    @rule(index=st.integers(0, 3))
    def unmap(self, index: int) -> None:
        event = Change.UNMAP_LAST if len(self.mappings) == 1 else Change.UNMAP
        kind, address = MapKind.LEGACY, 0x1234000
        if self.mappings:
            kind, address = self.mappings[index % len(self.mappings)]
        if kind is MapKind.LEGACY:
            request = MemUnmap(request=kind, vaddrout=address, size=SIZE)
        else:
            request = MemUnmap(request=kind, fd=self.handle, vaddr=address)
        if self.step(event, self.run(accel.MUNMAP, request), self.refusal(errno.EINVAL)):
            self.mappings.remove((kind, address))

    @rule()
    def close_handle(self) -> None:
        result = self.run(drm.GEM_CLOSE, drm.GemClose(handle=self.handle))
        self.step(Change.CLOSE, result, self.refusal(errno.EINVAL))

    @precondition(lambda self: not self.closed)
    @rule()
    def recall(self) -> None:
        """Addresses are needed: it gives its own up if nobody uses them, else none are found."""
        session = self.front.file.session
        assert session is not None
        self.step(Change.RECALL, 0 if session.peer.make_room() else -errno.EBUSY, errno.EBUSY)

    @precondition(lambda self: self.state is not Reach.GONE)
    @rule()
    def end(self) -> None:
        self.front.close(self.client)
        self.state = MAPPING.after(self.state, Change.END)
        self.mappings.clear()
        self.closed = True
        assert self.device.census().objects == self.before.objects

    @invariant()
    def the_driver_is_in_the_state_of_the_table(self) -> None:
        """And what nobody can reach is given back."""
        file = self.front.file
        reach = file.mappings.reach(self.attachment, file.has(self.attachment.buffer))
        assert reach is self.state
        assert bool(self.attachment.users) == (self.state is not Reach.GONE)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=25, stateful_step_count=25)
