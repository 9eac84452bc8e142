"""Modules of the program, which code on the DSP calls."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest

import qda
from qda import limits
from qda.client import Session
from qda.client.host.modules import HostModules, Opened
from qda.errors import SKELETON_RAISED, UNSUPPORTED
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars
from tests.client.hosts import (
    AnyModule,
    Book,
    counter,
    logbook,
    tower,
    worker,
)


def test_code_on_the_dsp_calls_a_module_of_the_program(session: Session) -> None:
    """`provide` on one side, `self.dsp.host.open` on the other; an object serves all opens."""
    book = Book()
    session.provide(book)
    remote = session.load(worker)
    assert [remote.note("one"), remote.note("two")] == [1, 2]
    assert book.lines == ["one", "two"]


def test_of_a_class_each_open_gets_an_object_of_its_own(session: Session, remote: Any) -> None:
    """Opened, used, closed, with the URI that names the interface."""
    events = []

    class Counter(counter.Skeleton):  # type: ignore[misc]
        def open(self, uri: str) -> None:
            self.number = 0
            events.append(uri)

        def next(self) -> int:
            self.number += 1
            return self.number

        def close(self) -> None:
            events.append("close")

    session.provide(Counter)
    assert remote.count_twice() == (2, 1)
    assert events == [counter.interface.uri] * 2 + ["close"] * 2


def test_what_a_module_raises_is_the_status_of_the_call(
    session: Session, remote: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An errno, a status, or 1 for anything else, which is logged (8.2)."""
    session.provide(Book)
    assert [remote.fail(how) for how in range(4)] == [0, errno.EBUSY, 0x1234, 1]
    assert "no" in [str(one.exc_info[1]) for one in caplog.records if one.exc_info]


def test_a_module_that_is_not_provided_is_an_error_with_names(fresh: Session) -> None:
    """Of those that there are."""
    fresh.serve_host()
    with pytest.raises(qda.DspError) as caught:
        fresh.load(worker).note("x")
    assert caught.value.status == SKELETON_RAISED
    assert "adspmsgd_apps, apps_mem, apps_std" in str(caught.value)


@pytest.mark.parametrize("depth", [1, 5, 20])
def test_calls_nest_both_ways(session: Session, remote: Any, depth: int) -> None:
    """A method of the host calls the DSP, which calls the host: another thread serves it."""

    class Tower(tower.Skeleton):  # type: ignore[misc]
        def down(self, depth: int) -> int:
            return 1 + int(remote.down(depth))

    session.provide(Tower)
    assert remote.down(depth) == 2 * depth


@pytest.mark.parametrize("size", [0, 1, 4000, 5000, 1 << 20])
def test_data_of_any_size_travels(session: Session, remote: Any, size: int) -> None:
    """Longer than the first room, than a message, than what is kept (7.2)."""

    class Echo(qda.Skeleton, name="echo"):
        @qda.method(0)
        def echo(self, data: memoryview, back: memoryview) -> None:
            back[:] = data

    session.provide(Echo)
    assert remote.echo(np.arange(size, dtype=np.uint8)) == size


def test_what_is_no_skeleton_is_refused(session: Session) -> None:
    """With what was given."""
    with pytest.raises(qda.UsageTypeError, match="42 is no skeleton"):
        session.provide(42)


def test_a_dsp_opens_only_so_many_modules() -> None:
    """Then it is told so, and what was opened for nothing is closed."""
    modules, closed = HostModules(), []
    modules.provide("x", lambda _: Opened(AnyModule(), lambda: closed.append(1)))
    name = b"x\0"
    request = memoryview(bytes([2, 0, 0, 0, 8, 0, 0, 0])), memoryview(name)
    answer = bytearray(8)
    for _ in range(limits.HOST_MODULES + 1):
        assert modules.call(0, Scalars(0, 2, 2), request, [answer, bytearray(8)]) == 0
    assert answer[4:] == bytes([0x2D, 0, 0, 0])
    assert len(closed) == 1
    modules.close()
    assert len(closed) == limits.HOST_MODULES + 1


halves: Any = qda.idl.load(
    """interface halves { long one(in long x, rout long y); long two(in long x, rout long y); };"""
)


class Half(halves.Skeleton):  # type: ignore[misc]
    """Of an interface, not all of which it implements."""

    def one(self, x: int) -> int:
        if x == 1:
            raise qda.StatusError(UNSUPPORTED, "its own refusal")
        if x == 2:
            raise qda.StatusError(0x1234, "a number of its own")
        if x == 3:
            raise qda.DspError("a call of its own", "cdsp", UNSUPPORTED)
        return x


class Numbered(qda.Skeleton, name="numbered"):
    """Whose methods have numbers."""

    @qda.method(0)
    def one(self, x: memoryview, y: memoryview) -> int:
        return 0


IN, NUMBER = bytes(4), (40).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("skeleton", "scalars", "ins", "status"),
    [
        (Half, Scalars(0, 1, 1), [IN], 0),
        (Half, Scalars(1, 1, 1), [IN], 0x14),
        (Half, Scalars(2, 1, 1), [IN], 0x14),
        (Half, Scalars(31, 1, 1), [NUMBER], 0x14),
        (Half, Scalars(0, 1, 1), [b""], 0xE),
        (Half, Scalars(0, 0, 1), [], 0xE),
        (Half, Scalars(0, 1, 1), [b"\1\0\0\0"], 0x14),
        (Half, Scalars(0, 1, 1), [b"\2\0\0\0"], 0x1234),
        (Half, Scalars(0, 1, 1), [b"\3\0\0\0"], UNSUPPORTED - (1 << 32)),
        (Numbered, Scalars(0, 1, 1), [IN], 0),
        (Numbered, Scalars(1, 1, 1), [IN], 0x14),
        (Numbered, Scalars(31, 1, 1), [NUMBER], 0x14),
        (Numbered, Scalars(0, 0, 1), [], 0xE),
    ],
)
def test_a_host_says_its_own_refusals_without_the_dsps_offset(
    skeleton: type[Any], scalars: Scalars, ins: list[bytes], status: int
) -> None:
    """Whether a method is unknown, not implemented, called wrongly or refuses by itself; a status
    of the DSP, which a method has met, goes back to it unchanged (8.2)."""
    modules = HostModules()
    modules.provide("x", lambda _: Opened(skeleton(), lambda: None))
    answer = bytearray(8)
    asked = REMOTECTL.ask_open("x")
    modules.call(0, asked.scalars, [memoryview(one) for one in asked.ins], [answer, bytearray(8)])
    handle = asked.answer([answer, b""]).handle
    views = [memoryview(one) for one in ins]
    assert modules.call(handle, scalars, views, [bytearray(4)]) == status


def test_a_dsp_sees_a_method_that_is_not_implemented_as_one_that_is_unknown(
    session: Session, remote: Any
) -> None:
    """0x14 both, from end to end."""

    class Silent(logbook.Skeleton):  # type: ignore[misc]
        """Implements nothing."""

    session.provide(Silent)
    assert remote.fail(0) == 0x14
