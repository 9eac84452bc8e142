"""Programs that break what they have been lent, or around which processes end: others, and the
server, notice nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from qda import limits
from qda.core import IS_COMPILED
from tests.shim.system import PATIENCE, Programs, System, needs_library, serving
from tests.shim.test_lanes import Counter, hear, kill, protection_domains, tell
from tests.waiting import until

pytestmark = needs_library

on_lanes = pytest.mark.parametrize(
    "systems",
    [
        pytest.param(
            "lanes",
            marks=pytest.mark.skipif(not IS_COMPILED, reason="lanes are lent by a compiled core"),
        )
    ],
    indirect=True,
)


@pytest.mark.parametrize(
    "part",
    [
        "children_while_calling",
        "reload_while_calling",
        "cancel_while_calling",
        "few_descriptors",
        "take_its_number",
    ],
)
def test_part(system: System, programs: Programs, part: str) -> None:
    """See the program."""
    system.run(programs.build("breaks"), part)


@on_lanes
@pytest.mark.parametrize("part", ["close_in_a_call", "close_in_a_call_and_go_on"])
def test_program_may_close_what_a_call_sleeps_on(
    system: System, programs: Programs, part: str
) -> None:
    """The call goes on, and its result is its own; and no lane of ours has the number next."""
    system.run(programs.build("breaks"), part)


@pytest.mark.skipif(not IS_COMPILED, reason="lanes are lent by a compiled core")
def test_lanes_have_the_poll_mode_of_their_session(programs: Programs, tmp_path: Path) -> None:
    """The older driver's SET_OPTION (spec/versions.md 6), before a lease and after."""
    with serving(tmp_path, dialect="legacy-7.3") as system:
        said = system.run(programs.build("breaks", "legacy"), "poll_mode").split()
        assert said == ["0", str(limits.POLL), str(limits.POLL)] * 2
        system.settle()
        # Its messages have poll words behind them, and these are in what it writes nonsense to.
        write_nonsense(system, programs, "legacy", dies=False)


def test_children_leave_nothing_before_their_parent_ends(
    system: System, programs: Programs
) -> None:
    """Each had lanes of its own on the parent's file."""
    program = system.start(programs.build("breaks"), "many_children")
    assert hear(program) == "ready"
    before = len(os.listdir("/proc/self/fd"))
    tell(program)
    assert hear(program) == "done"
    few = 8  # of the program itself, and of children whose end is being seen
    until(lambda: len(os.listdir("/proc/self/fd")) <= before + few)
    tell(program)
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0


@on_lanes
def test_call_is_carried_out_though_its_program_has_died_before_waking_anybody(
    system: System, programs: Programs
) -> None:
    """Otherwise its lane, and its objects, would be gone as long as the session lasts."""
    program = system.start(programs.build("breaks"), "end_before_waking")
    assert hear(program) == "done"
    until(lambda: not system.machine.census()["cdsp"].calls)
    tell(program)
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0


@on_lanes
@pytest.mark.parametrize("dies", [False, True])
def test_program_that_writes_nonsense_harms_itself_alone(
    system: System, programs: Programs, dies: bool
) -> None:
    """Into its page and its pool, while it calls."""
    write_nonsense(system, programs, "rfc", dies)


def write_nonsense(system: System, programs: Programs, dialect: str, dies: bool) -> None:
    calculator = programs.build("calculator", dialect)
    program = system.start(programs.build("breaks", dialect), "write_nonsense")
    assert hear(program) == "ready"
    system.run(calculator)
    assert hear(program) == "done"
    system.run(calculator)
    if dies:
        program.kill()
    program.communicate("\n", timeout=PATIENCE)
    system.settle()
    system.run(calculator)


def test_domain_that_writes_nonsense_harms_its_program_alone(
    system: System, programs: Programs
) -> None:
    """Whose calls end as they may, or with the domain; no other memory of it is written."""
    program = system.start(programs.build("breaks"), "hear_nonsense")
    assert hear(program) == "now"
    system.run(programs.build("calculator"))
    for pid in protection_domains(system.machine.pids):
        kill(pid)
    assert program.communicate("\n", timeout=PATIENCE) == ("", "")
    assert program.returncode == 0
    system.settle()
    system.run(programs.build("calculator"))


@pytest.mark.parametrize("dies", [False, True])
def test_node_that_was_closed_waits_for_a_program_that_is_stopped_in_calls(
    system: System, programs: Programs, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    """Nobody else does, not even who wants to see all calls."""
    monkeypatch.setattr(limits, "PARKED", 0.01)
    program = system.start(programs.build("breaks"), "close_and_stop")
    assert hear(program) == "ready"
    tell(program)
    until(lambda: _is_stopped(program.pid))
    system.run(programs.build("calculator"))
    system.server.observe(Counter())
    system.run(programs.build("calculator"))
    system.server.observe(None)
    program.send_signal(signal.SIGKILL if dies else signal.SIGCONT)
    assert program.communicate(timeout=PATIENCE) == ("", "")
    assert program.returncode == (-signal.SIGKILL if dies else 0)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("lanes", [True, False])
def test_server_ends_though_a_program_is_stopped_in_a_call(
    programs: Programs, tmp_path: Path, lanes: bool
) -> None:
    """The program learns of it when it goes on."""
    with serving(tmp_path, lanes=lanes) as system:
        program = system.start(programs.build("breaks"), "wait_for_the_end")
        assert hear(program) == "waiting"
        until(lambda: system.machine.census()["cdsp"].calls)
        program.send_signal(signal.SIGSTOP)
    program.send_signal(signal.SIGCONT)
    assert program.communicate(timeout=PATIENCE) == ("", "")
    assert program.returncode == 0
