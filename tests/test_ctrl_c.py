"""Ctrl-C at every instruction of ours at which Python runs handlers: it is raised, once, there, and
nothing is left.

With QDA_EVERYWHERE in the environment opening and closing is tried at every instruction and in each
dialect; otherwise at some of them.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

import qda
from qda.client import RemoteModule, Session
from qda.client.unheld import settle
from qda.virtual import machine, profile_names
from tests.small_modules import HOST, Echo
from tests.striker import Striker
from tests.system import Census, census
from tests.waiting import BOUND, until

EVERYWHERE = "QDA_EVERYWHERE" in os.environ

ENOUGH = 100_000
"""More places than there are."""

EACH = range(1, ENOUGH)


def every(step: int) -> range:
    """Where to begin with steps of that size: at the first place, or at each, so that all are
    reached."""
    return range(1, 1 + step if EVERYWHERE else 2)


@dataclass(frozen=True)
class World:
    """What a program has before it is interrupted."""

    session: Session
    module: RemoteModule
    buffer: qda.Buffer
    descriptor: int

    def counted(self) -> tuple[Census, int]:
        """The census, and how many modules are open, when what was dropped has been given back."""
        settle()
        self.session.alloc(1).close()
        opened = self.module.invoke(3, outs=[1])[0][0]
        return census(machine()), opened


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with qda.open("cdsp") as session, session.load(Echo) as module, session.alloc(4096) as buffer:
        with session.load(Meeting) as meeting:
            # A lane is made where all others are busy, and stays: with that of a call that has been
            # interrupted, too, if the DSP is slow to answer.
            for call in [qda.start(meeting.invoke, 2) for _ in range(CALLERS)]:
                call.result(BOUND)
        descriptor = buffer.export_fd()
        yield World(session, module, buffer, descriptor)
        os.close(descriptor)


CALLERS = 4


class Meeting(qda.Skeleton):
    """A module whose calls end when so many have begun."""

    def open(self, uri: str) -> None:
        self.all_there = threading.Barrier(CALLERS)

    @qda.method(2)
    def meet(self) -> None:
        self.all_there.wait()


def call_with_new_memory(world: World) -> None:
    array = world.session.empty(4096, "u1")
    array[:] = 7
    assert world.module.invoke(2, [array], [4096])[0] == bytes([7]) * 4096


def close(made: Any) -> None:
    made.close()


MAKE: dict[str, tuple[Callable[[World], Any], Callable[[Any], None]]] = {
    "alloc": (lambda world: world.session.alloc(8192), close),
    "empty": (lambda world: world.session.empty(5000, "u1"), lambda array: None),
    "map": (lambda world: world.session.map(world.buffer), close),
    "import": (lambda world: world.session.import_fd(world.descriptor), close),
    "export": (lambda world: world.buffer.export_fd(), os.close),
    "load": (lambda world: world.session.load(Echo), close),
    "call": (lambda world: world.module.invoke(2, [b"a" * 99], [99]), lambda results: None),
    "call with new memory": (call_with_new_memory, lambda nothing: None),
}

OPEN: dict[str, Callable[[], Session]] = {
    "rfc": lambda: qda.open("cdsp"),
    "root": lambda: qda.open("cdsp", process="root"),
    "v1": lambda: qda.open("cdsp", dialect="v1"),
    "handle": lambda: qda.open("cdsp", dialect="handle"),
    "legacy": lambda: qda.open("cdsp", dialect="legacy"),
}


def strike_everywhere(
    world: World,
    places: range,
    make: Callable[[], Any],
    give_back: Callable[[Any], None],
    ends: bool,
) -> int:
    """Interrupt the making, or the giving back, at one place after the other; returns how many
    there are."""
    give_back(make())
    gc.collect()
    before = until(lambda: now if (now := world.counted()) == world.counted() else None)
    for place in places:
        striker, raised = Striker(place), False
        made: Any = make() if ends else None
        closed = made
        try:
            with striker.armed():
                if ends:
                    give_back(closed)
                else:
                    made = make()
        except KeyboardInterrupt:
            raised = True
        assert raised == striker.has_struck, f"Ctrl-C is lost: {striker.where}"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, striker.where
        if ends and hasattr(made, "close"):
            made.close()  # idempotent, and finds what has not been closed
        elif not raised:
            give_back(made)
        made = closed = None
        if world.counted() != before:
            # An exception may hold what it has gone through, and a thread that ends what it used.
            with suppress(AssertionError):
                until(lambda: gc.collect() >= 0 and world.counted() == before, 10)
            assert world.counted() == before, striker.where
        if not striker.has_struck:
            return place
    raise AssertionError("it is interrupted without end")


@pytest.mark.parametrize("operation", MAKE)
def test_ctrl_c_anywhere_leaves_nothing_behind(world: World, operation: str) -> None:
    """No descriptor, object, mapping, module or call, whatever is being made: what has been made
    has an owner before a handler can raise."""
    make, give_back = MAKE[operation]
    with warnings.catch_warnings(action="error"):
        assert strike_everywhere(world, EACH, lambda: make(world), give_back, False) > 5


@pytest.mark.parametrize("operation", ["alloc", "map", "import", "load"])
def test_ctrl_c_anywhere_in_an_end_is_raised_there(world: World, operation: str) -> None:
    """It is not swallowed, and what is closed a second time is closed for good."""
    make, give_back = MAKE[operation]
    assert strike_everywhere(world, EACH, lambda: make(world), give_back, True) > 5


@pytest.mark.parametrize("first", every(7))
@pytest.mark.parametrize("dialect", OPEN if EVERYWHERE else ["rfc"])
def test_ctrl_c_anywhere_in_opening_leaves_no_protection_domain(
    world: World, dialect: str, first: int
) -> None:
    """Nor a bank, a lane or an object; and the DSP answers the next one."""
    places = range(first, ENOUGH, 7)
    assert strike_everywhere(world, places, OPEN[dialect], close, False) > 50


@pytest.mark.parametrize("first", every(7))
@pytest.mark.parametrize("dialect", OPEN if EVERYWHERE else ["rfc"])
def test_ctrl_c_anywhere_in_closing_hits_nobody_else(
    world: World, dialect: str, first: int
) -> None:
    """The session is closed, and the exception is raised by `close` itself."""
    places = range(first, ENOUGH, 7)
    assert strike_everywhere(world, places, OPEN[dialect], close, True) > 50


@pytest.mark.parametrize("first", every(151))
def test_ctrl_c_anywhere_in_the_start_of_a_dsp_leaves_no_process(first: int) -> None:
    """Whatever has been started is ended, and the next open starts it again."""
    for place in range(first, ENOUGH, 151):
        striker = Striker(place)
        session: Session | None = None
        try:
            with striker.armed():
                session = qda.open("cdsp", profile=OTHER)
        except KeyboardInterrupt:
            assert striker.has_struck
        struck = striker.has_struck
        assert (session is None) == struck, striker.where
        system = machine(OTHER)
        if session is not None:
            session.close()
        counted = system.census()["cdsp"]
        assert (counted.files, counted.objects, counted.banks) == (0, 0, 0), striker.where
        system.close()
        assert system.pids == [], striker.where
        if not struck:
            return
    raise AssertionError("it is interrupted without end")


OTHER = next(name for name in profile_names() if name != "generic")


@pytest.mark.parametrize("first", every(29))
def test_ctrl_c_anywhere_in_the_close_of_a_full_session(world: World, first: int) -> None:
    """One that serves its DSP, with modules, mappings and buffers in it."""

    def full() -> Session:
        session = qda.open("cdsp")
        session.provide(Host)
        kept.append((session.load(Echo), session.map(session.alloc(4096))))
        return session

    def end(session: Session) -> None:
        try:
            try:
                session.close()
            finally:
                session.close()  # which may be what is interrupted
        finally:
            kept.clear()

    kept: list[object] = []
    assert strike_everywhere(world, range(first, ENOUGH, 29), full, end, True) > 50


class Host(HOST.Skeleton):  # type: ignore[misc]
    """A module of the program."""

    def ask(self) -> None:
        """Nobody does."""
