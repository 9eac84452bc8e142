"""Ctrl-C at every place of a call at which Python runs handlers of signals, and a second time.

No luck is needed: a tracer raises at the first such place, then at the second, and so on.
"""

from __future__ import annotations

import dis
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

import qda.driver
from qda import limits
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.scalars import Scalars
from qda.interrupts import Section
from qda.linux import Area
from qda.memory import ClientAddress
from qda.uapi.accel import Invoke, InvokeElement
from tests.driver.callers import MEMORY_AT, FakeCaller
from tests.literal import LiteralDriver

BUFFER, BUFFER_AT = 7, 0x100000
REQUEST_AT, ARGUMENTS_AT = ClientAddress(MEMORY_AT), ClientAddress(MEMORY_AT + 1024)
PACKAGE = qda.driver.__file__.rpartition("driver")[0]

AFTER = {"RESUME", "CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RETURN_VALUE"}
"""Instructions at whose end the interpreter looks for signals, and a few more."""


class Interrupter:
    """Raises KeyboardInterrupt in code of ours, at the `count`th place of those that it reaches."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.where = ""
        self._before: dict[int, str] = {}

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "call":
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            self._before[id(frame)] = ""
        elif event == "opcode":
            before = self._before.get(id(frame), "")
            here = self._before[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            # No handler runs where an exception is about to be caught.
            if before in AFTER and here != "PUSH_EXC_INFO":
                self.left -= 1
                if not self.left:
                    self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno} after {before}"
                    raise KeyboardInterrupt
        return self


@contextmanager
def tracing(interrupter: Interrupter) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(interrupter)
    try:
        yield
    finally:
        sys.settrace(before)


def ctrl_c() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("first", ["", "fetch", "wait", "store"])
def test_ctrl_c_anywhere_in_a_call_uses_nothing_up(first: str) -> None:
    """No id, no lane, no use of a buffer, and nothing is sent twice (R24, H16), also if a second
    Ctrl-C comes while the call is left after a `first`, in the making of the message, in the wait,
    or in the copying of its outputs."""
    driver = LiteralDriver({BUFFER: 4096}, lambda message: [message[8:16] + bytes(8)])
    caller = FakeCaller()
    handle = driver.attachment(BUFFER)
    caller.areas = [Area(BUFFER_AT, BUFFER_AT + 4096, 0, handle.buffer.identity)]
    elements = [
        (MEMORY_AT + 2048, 8, 0, 0),
        (BUFFER_AT, 16, BUFFER, 0),
        (MEMORY_AT + 3072, 8, 0, 0),
    ]
    caller.write(ARGUMENTS_AT, b"".join(InvokeElement.codec.pack(*one) for one in elements))
    scalars = Scalars(2, in_buffers=2, out_buffers=1).word

    def call(module: int) -> int:
        request = Invoke(handle=module, scalars=scalars, arguments=ARGUMENTS_AT)
        caller.write(REQUEST_AT, request.pack())
        return driver.ioctl(caller, "INVOKE", REQUEST_AT)

    with driver:
        session = driver.start_session()
        assert call(99) == 0
        place, reached_end = 0, False
        while not reached_end:
            place += 1
            interrupter = Interrupter(place)
            caller.trouble = {first: ctrl_c} if first else {}
            with suppress(KeyboardInterrupt), tracing(interrupter):
                call(100 + 2 * place)
            reached_end = interrupter.left > 0
            unread = driver.channel.links[-1].pool.unread
            assert session.calls >= unread, interrupter.where
            caller.trouble = {}
            assert call(101 + 2 * place) == 0
            assert session.calls == 0, interrupter.where
            assert len(handle.users) == 1, interrupter.where
        sent = [InvokeMessage.unpack(message).handle for message in driver.channel.sent]
        assert len(set(sent)) == len(sent)
        assert place > 100
        assert sys.exc_info() == (None, None, None)
        assert driver.channel.links[-1].lanes == limits.LANES
        assert not driver.front._running
        driver.front.close(caller)
        assert driver.device.census().calls == 0


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """What a program's handler of Ctrl-C has been called with; it raises, too."""
    seen: list[int] = []

    def handle(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    yield seen
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits_for_the_end_of_a_section(handled: list[int]) -> None:
    """The handler runs once, when the section is over; then it is the program's again."""
    steps = []
    program = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with Section():
            with Section():
                steps.append(1)
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            steps.append(2)
            assert not handled
            steps.append(3)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert (steps, handled) == ([1, 2, 3], [signal.SIGINT])
    assert signal.getsignal(signal.SIGINT) is program


def test_an_error_of_a_section_is_not_lost(handled: list[int]) -> None:
    """It is the context of what the handler raises."""

    def work() -> None:
        with Section():
            signal.raise_signal(signal.SIGINT)
            raise OSError("on purpose")

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert isinstance(caught.value.__context__, OSError)


def test_a_section_that_was_broken_off_leaves_ctrl_c_alone(handled: list[int]) -> None:
    """If another signal's handler raises in a section's last instruction, Ctrl-C works on."""
    program = signal.getsignal(signal.SIGINT)
    section = Section()
    section.__enter__()
    del section
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is program


def test_other_threads_need_no_section(handled: list[int]) -> None:
    """Handlers run in the main thread only."""
    program = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with Section():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [program]


def test_a_program_without_a_handler_is_left_alone() -> None:
    """Where Ctrl-C is ignored, or ends the program, it goes on to do so."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Section():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_command_is_over_before_ctrl_c(handled: list[int]) -> None:
    """What has been allocated has its handle, although Ctrl-C came in the middle."""
    from qda.uapi.accel import GemCreate

    driver, caller = LiteralDriver({}, lambda _: []), FakeCaller()
    caller.write(REQUEST_AT, GemCreate(size=4096).pack())
    create: Callable[..., Any] = driver.device.objects.create

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return create(*arguments)

    with driver, pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver.device.objects, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            driver.ioctl(caller, "GEM_CREATE", REQUEST_AT)
        assert handled == [signal.SIGINT]
        assert driver.attachment(1).buffer.size == 4096
