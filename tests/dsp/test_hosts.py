"""Hosts that are not ours: the DSP keeps to what each of them can do (fastrpc.md 7.2 to 7.5).

Each stands here for a client as it was seen (clients.md 7 and 10), over a real session.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import qda
from qda.client import Session
from qda.errors import UNABLE_TO_LOAD
from qda.fastrpc.listener import (
    FIRST_RESULT,
    LISTENER,
    LISTENER1,
    Entrance,
    MoreAnswer,
    MoreRequest,
    NextAnswer,
    NextRequest,
)
from qda.fastrpc.nested import pack_reply, unpack_request
from qda.fastrpc.scalars import Scalars
from qda.virtual import Machine
from tests.system import load_without_host, open_session

Serve = Callable[[int, Scalars, list[bytes], list[int]], tuple[int, list[bytes]]]

GREETER = b"""
import qda

class Greeter(qda.Skeleton, name="greeter"):
    @qda.method(2)
    def greet(self, words: memoryview) -> None:
        words[:5] = b"hello"
"""
URI = "file:///libgreeter_skel.so?greeter_skel_handle_invoke&_modver=1.0&_dom=cdsp"


class OldHost:
    """A thread that listens as a client does: `capacity` is its room, `serve` its modules.

    `asked` has handle, scalars and length of each request.  It ends like hexagonrpcd when `serve`
    raises: without an answer.
    """

    def __init__(self, session: Session, entrance: Entrance, capacity: int, serve: Serve) -> None:
        self._session, self._entrance, self._serve = session, entrance, serve
        self._capacity = capacity
        self.asked: list[tuple[int, Scalars, int]] = []
        self.failure: BaseException | None = None
        assert session.calls.status_of(entrance.handle, entrance.init2.method, (), ()) == 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            context, result, reply = 0, FIRST_RESULT, b""
            while (asked := self._next(context, result, reply)) is not None:
                context = asked[0].context
                scalars = Scalars.decode(asked[0].scalars)
                found, sizes = unpack_request(asked[1], scalars.in_buffers, scalars.out_buffers)
                self.asked.append((asked[0].handle, scalars, len(asked[1])))
                ins = [bytes(one) for one in found]
                result, outs = self._serve(asked[0].handle, scalars, ins, sizes)
                outs += [b""] * (len(sizes) - len(outs))
                padded = [one.ljust(size, b"\0") for one, size in zip(outs, sizes, strict=True)]
                reply = b"" if result else pack_reply(padded)
        except BaseException as error:
            self.failure = error

    def _next(self, context: int, result: int, reply: bytes) -> tuple[NextAnswer, bytes] | None:
        request = NextRequest(
            context=context, result=result, reply_length=len(reply), capacity=self._capacity
        )
        answer, room = bytearray(NextAnswer.byte_size), bytearray(self._capacity)
        handle = self._entrance.handle
        status = self._session.calls.status_of(
            handle, self._entrance.next.method, (request.pack(), reply), (answer, room)
        )
        if status:
            return None
        asked = NextAnswer.unpack(answer)
        if asked.length > len(room):
            rest = bytearray(4096)
            more = MoreRequest(context=asked.context, offset=len(room), capacity=len(rest))
            length = bytearray(MoreAnswer.byte_size)
            method = self._entrance.more.method
            assert not self._session.calls.status_of(handle, method, (more.pack(),), (length, rest))
            room += rest
        return asked, bytes(room[: asked.length])

    def end(self) -> None:
        """As a client ends: exit, and the thread is joined."""
        assert self._session.calls.status_of(4, 2, (), ()) == 0
        self.thread.join(30)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure


class HexagonRpcd:
    """The methods of hexagonrpcd, and no others; files are `files`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self._open: dict[int, bytes] = {}
        self.paths: list[str] = []

    def __call__(
        self, handle: int, scalars: Scalars, ins: list[bytes], sizes: list[int]
    ) -> tuple[int, list[bytes]]:
        if (handle, scalars.word) == (0, 0x00020200):
            name = ins[1].rstrip(b"\0")
            if name != b"apps_std":
                return -5, []
            return 0, [bytes([1, 0, 0, 0, 0, 0, 0, 0])]
        if (handle, scalars.word) == (0, 0x01010200):
            assert sizes[1] >= 4  # its close clears as many bytes as the handle says
            return 0, [bytes(4)]
        assert handle == 1, handle
        if scalars.word == 0x13050100:
            assert ins[1] == b"ADSP_LIBRARY_PATH\0"
            self.paths.append(ins[3].rstrip(b"\0").decode())
            if self.paths[-1] not in self._files:
                return 1, []
            number = len(self._open) + 100
            self._open[number] = self._files[self.paths[-1]]
            return 0, [number.to_bytes(4, "little")]
        number = int.from_bytes(ins[0][:4], "little")
        if scalars.word == 0x03010000:
            del self._open[number]
            return 0, []
        assert scalars.word == 0x04010200, hex(scalars.word)
        data, self._open[number] = self._open[number][: sizes[1]], self._open[number][sizes[1] :]
        end = not self._open[number]
        return 0, [len(data).to_bytes(4, "little") + bytes([end, 0, 0, 0]), data]


@pytest.fixture
def session(machine: Machine) -> Iterator[Session]:
    with open_session(machine) as found:
        yield found


@pytest.mark.parametrize("length", [10, 100_000])
def test_hexagonrpcd_serves_a_module_with_what_it_has(session: Session, length: int) -> None:
    """Each request fits into its 256 bytes, and none is one that it does not know (7.3)."""
    files = HexagonRpcd({"greeter_skel.py": GREETER + b"#" * length})
    host = OldHost(session, LISTENER, 256, files)
    with load_without_host(session, URI) as greeter:
        assert greeter.invoke(2, outs=[5]) == [b"hello"]
    with pytest.raises(qda.DspError, match=r"libnothing_skel\.so, nothing_skel\.py") as caught:
        load_without_host(session, "nothing")
    assert caught.value.status == UNABLE_TO_LOAD
    host.end()
    assert max(length for _, _, length in host.asked) <= 256
    assert files.paths == [
        "libgreeter_skel.so",
        "greeter_skel.py",
        "libnothing_skel.so",
        "nothing_skel.py",
    ]


def test_the_c_library_begins_without_room(session: Session) -> None:
    """Its first `next2` has capacity 0; the request comes by `get_in_bufs2` (7.2, trap 6)."""
    files = HexagonRpcd({"greeter_skel.py": GREETER})
    host = OldHost(session, LISTENER1, 0, files)
    with load_without_host(session, URI) as greeter:
        assert greeter.invoke(2, outs=[5]) == [b"hello"]
    host.end()


def test_a_module_is_opened_before_the_listener_is_there(session: Session) -> None:
    """The program is faster than its listener thread (clients.md 4): the DSP waits a little."""
    opened: list[Any] = []
    opening = threading.Thread(target=lambda: opened.append(load_without_host(session, URI)))
    opening.start()
    host = OldHost(session, LISTENER, 256, HexagonRpcd({"greeter_skel.py": GREETER}))
    opening.join(30)
    with opened[0] as greeter:
        assert greeter.invoke(2, outs=[5]) == [b"hello"]
    host.end()


def test_a_host_that_ends_without_an_answer_ends_the_call(machine: Machine) -> None:
    """hexagonrpcd does so when it does not know a method: its thread says that it ends, or the
    session is closed, and the call has a status."""

    def unknown(*_: Any) -> tuple[int, list[bytes]]:
        raise LookupError

    with open_session(machine) as session:
        host = OldHost(session, LISTENER, 256, unknown)
        loading = qda.start(load_without_host, session, URI)
        host.thread.join(30)
        assert isinstance(host.failure, LookupError)
        assert session.calls.status_of(4, 2, (), ()) == 0
        with pytest.raises(qda.DspError):
            loading.result(30)


class Talker(qda.Skeleton):
    """Says something, and does nothing."""

    @qda.method(2)
    def talk(self) -> None:
        """Log a message."""
        self.dsp.log.warning("last words")


def test_what_was_logged_reaches_a_host_that_leaves_at_once(session: Session) -> None:
    """A short program calls, and exits: its messages are not lost (U5)."""
    taken: list[bytes] = []

    def serve(
        handle: int, scalars: Scalars, ins: list[bytes], sizes: list[int]
    ) -> tuple[int, list[bytes]]:
        if scalars.word == 0x00020200:  # remotectl opens adspmsgd_apps
            return 0, [bytes([7, 0, 0, 0, 0, 0, 0, 0])]
        taken.append(ins[1])
        return 0, []

    with session.load(Talker) as talker:
        host = OldHost(session, LISTENER1, 4096, serve)
        talker.invoke(2)
        host.end()
    assert b"last words\n\0" in b"".join(taken)
