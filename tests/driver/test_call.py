"""The states of a call: random walks over legal and illegal steps, signals and deaths."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qda.driver.call import CALL, Call, Event, State
from qda.driver.mapping import MAPPING
from qda.errors import BAD_STATE, PROCESS_DIED, as_signed
from qda.fastrpc.message import ContextId, InvokeMessage
from qda.fastrpc.scalars import Scalars
from qda.memory import ClientAddress
from qda.states import IllegalStep, Transitions
from qda.uapi.accel import Invoke, InvokeElement
from tests.driver.callers import MEMORY_AT, FakeCaller
from tests.literal import LiteralDriver, StillWaiting, answer_to

TIDS = st.integers(1, 3)
REQUEST_AT = ClientAddress(MEMORY_AT)
ARGUMENTS_AT = ClientAddress(MEMORY_AT + 1024)
NO_SUCH_HANDLE = 77


@given(st.lists(st.sampled_from(Event), max_size=8))
def test_a_call_makes_the_steps_of_its_table_and_no_others(events: list[Event]) -> None:
    """An illegal step raises, and changes nothing."""
    call, expected = Call(None), CALL.start
    for event in events:
        if CALL.legal(expected, event):
            expected = CALL.after(expected, event)
            call.take(event)
        else:
            with pytest.raises(IllegalStep):
                call.take(event)
        assert call.state is expected


@pytest.mark.parametrize("machine", [CALL, MAPPING])
def test_every_state_is_reached_and_every_event_happens(machine: Transitions[Any, Any]) -> None:
    """A row that nothing leads to would be a rule that nobody can break."""
    reached = {machine.start}
    for _ in machine.states:
        reached |= {after for state, _, after, _ in machine.rows if state in reached}
    assert reached == set(machine.states)
    assert {event for _, event, _, _ in machine.rows} == set(machine.events)


def test_no_table_sends_a_call_a_second_time() -> None:
    """R24: from no state that SEND leads to does anything lead back to where SEND is legal."""
    reached = {CALL.after(State.RESERVED, Event.SEND)}
    for _ in CALL.states:
        reached |= {after for state, _, after, _ in CALL.rows if state in reached}
    assert not any(CALL.legal(state, Event.SEND) for state in reached)


@pytest.mark.parametrize("machine", [CALL, MAPPING])
def test_the_tables_are_headers_of_c(machine: Transitions[Any, Any], tmp_path: Path) -> None:
    """The compiled core asks the same table."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    states = [f"T_{state.name}" for state in machine.states]
    checks = [
        f"t_after[T_{state.name}][T_{event.name}] != "
        + (f"T_{machine.after(state, event).name}" if machine.legal(state, event) else "-1")
        for state in machine.states
        for event in machine.events
    ]
    source = tmp_path / "states.c"
    source.write_text(
        machine.c_header("T")
        + f"int main(void) {{ return {' || '.join(checks)} || {states[0]} != 0; }}\n"
    )
    program = tmp_path / "states"
    subprocess.run([compiler, "-Wall", "-Werror", str(source), "-o", str(program)], check=True)
    assert subprocess.run([str(program)], check=False).returncode == 0


class Walk(RuleBasedStateMachine):
    """Threads that call, are interrupted, come back or do not, and a DSP that answers or dies."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = True
        self.driver = LiteralDriver({}, self.dsp)
        self.session = self.driver.start_session()
        self.link = self.driver.channel.links[-1]
        self.callers = {tid: FakeCaller(tid) for tid in range(1, 4)}
        self.handle = 100
        self.sent = 0
        self.dead = False
        self.interrupted: dict[int, bytes] = {}
        self.abandoned: list[bytes] = []
        self.late: list[bytes] = []
        """Abandoned calls that the DSP has answered, and nobody has looked."""

    def teardown(self) -> None:
        self.driver.close()
        assert self.session.calls == 0
        assert self.driver.device.census().calls == 0

    def dsp(self, message: bytes) -> list[bytes]:
        return [answer_to(message)] if self.answers else []

    def ioctl(self, tid: int, handle: int, bad: bool = False) -> int:
        caller = self.callers[tid]
        scalars = Scalars(2, in_handles=1).word if bad else 0
        element = InvokeElement.codec.pack(0, 0, NO_SUCH_HANDLE, 0)
        caller.write(ARGUMENTS_AT, element)
        request = Invoke(handle=handle, scalars=scalars, arguments=ARGUMENTS_AT if bad else 0)
        caller.write(REQUEST_AT, request.pack())
        return self.driver.ioctl(caller, "INVOKE", REQUEST_AT)

    def new(self, tid: int) -> None:
        """A thread that makes another request will not come back to its last one."""
        if tid in self.interrupted:
            self.abandoned.append(self.interrupted.pop(tid))
        for message in self.late:
            self.abandoned.remove(message)
        self.late.clear()
        self.handle += 1

    @precondition(lambda self: not self.dead)
    @rule(tid=TIDS)
    def call(self, tid: int) -> None:
        """The DSP answers at once."""
        self.new(tid)
        self.answers = True
        assert self.ioctl(tid, self.handle) == 0
        self.sent += 1

    @precondition(lambda self: not self.dead)
    @rule(tid=TIDS)
    def fail(self, tid: int) -> None:
        """The message cannot be made."""
        self.new(tid)
        assert self.ioctl(tid, self.handle, bad=True) == -errno.ENOENT

    @precondition(lambda self: not self.dead)
    @rule(tid=TIDS, by=st.sampled_from(["signal", "Ctrl-C", "end"]))
    def break_off(self, tid: int, by: str) -> None:
        """The DSP does not answer, and the wait is broken off."""
        self.new(tid)
        self.answers = False
        self._break(tid, by)
        self.sent += 1
        message = self.driver.channel.sent[-1]
        if by == "signal":
            self.interrupted[tid] = message
        else:
            self.abandoned.append(message)

    def _break(self, tid: int, by: str) -> None:
        caller = self.callers[tid]
        if by == "signal":
            caller.trouble["wait"] = _signal
            assert self.ioctl(tid, self.handle_of(tid)) == -errno.EINTR
        elif by == "Ctrl-C":
            caller.trouble["wait"] = _ctrl_c
            with pytest.raises(KeyboardInterrupt):
                self.ioctl(tid, self.handle_of(tid))
        else:
            with pytest.raises(StillWaiting):
                self.ioctl(tid, self.handle_of(tid))
        caller.trouble.clear()

    def handle_of(self, tid: int) -> int:
        message = self.interrupted.get(tid)
        return InvokeMessage.unpack(message).handle if message else self.handle

    @precondition(lambda self: self.interrupted)
    @rule(data=st.data(), by=st.sampled_from(["answer", "signal", "Ctrl-C"]))
    def resume(self, data: st.DataObject, by: str) -> None:
        """The same request again: nothing is sent."""
        tid = data.draw(st.sampled_from(sorted(self.interrupted)))
        message = self.interrupted[tid]
        if by == "answer":
            if not self.dead:
                self.answer(message)
            expected = PROCESS_DIED if self.dead else 0
            assert self.ioctl(tid, self.handle_of(tid)) == expected
            del self.interrupted[tid]
            return
        self._break(tid, by)
        if by == "Ctrl-C":
            del self.interrupted[tid]
            if not self.dead:
                self.abandoned.append(message)

    @precondition(lambda self: self.abandoned)
    @rule(data=st.data())
    def answer_late(self, data: st.DataObject) -> None:
        """To a call that nobody waits for: it ends when somebody looks."""
        message = data.draw(st.sampled_from(self.abandoned))
        if not self.dead and message not in self.late:
            self.answer(message)
            self.late.append(message)

    def answer(self, message: bytes) -> None:
        self.link.lane_of(message).answers.append(answer_to(message))

    @precondition(lambda self: not self.dead)
    @rule()
    def die(self) -> None:
        self.link.die()
        self.dead = True
        assert self.ioctl(1, self.handle + 1) in (PROCESS_DIED, as_signed(BAD_STATE))
        self.interrupted.pop(1, None)
        self.abandoned.clear()
        self.late.clear()

    @precondition(lambda self: self.dead)
    @rule(tid=TIDS)
    def call_the_dead(self, tid: int) -> None:
        """It is refused before anything is reserved."""
        self.handle += 1
        assert self.ioctl(tid, self.handle) == as_signed(BAD_STATE)

    @invariant()
    def every_call_is_sent_once(self) -> None:
        """R24."""
        assert len(self.driver.channel.sent) == self.sent
        handles = [InvokeMessage.unpack(message).handle for message in self.driver.channel.sent]
        assert len(handles) == len(set(handles))

    @invariant()
    def what_the_dsp_works_on_is_kept(self) -> None:
        """H16: number and lane are nobody else's."""
        kept = [*self.interrupted.values(), *self.abandoned]
        assert self.session.calls == len(kept)
        numbers = [ContextId.decode(InvokeMessage.unpack(message).context) for message in kept]
        assert len(set(numbers)) == len(kept)
        if not self.dead:
            lanes = [[m for m in one.sent if m in kept] for one in self.link.pool.lanes]
            assert all(len(messages) <= 1 for messages in lanes)


def _signal() -> None:
    raise InterruptedError(errno.EINTR, "a signal")


def _ctrl_c() -> None:
    raise KeyboardInterrupt


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=60, stateful_step_count=30)
