"""Calls on lanes that the server has lent, and the same through the server: whatever the program
does, whoever dies, nothing is left, no call is lost and none is sent twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from qda import limits
from qda.core import IS_COMPILED
from qda.driver import Client
from qda.driver.leases import LeasedLane, Leases
from qda.profiles.nodes import NodePath
from qda.rpmsg import Bells
from qda.shim.lease import ProgramLease
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Request
from qda.uapi import RFC
from tests.cli.command import PROGRAM, environment
from tests.shim.conftest import Systems
from tests.shim.system import PATIENCE, SKELETONS, Programs, System, needs_library
from tests.waiting import until

pytestmark = needs_library

MOMENTS = int(os.environ.get("QDA_TEST_MOMENTS", "6"))
"""At how many random moments each is killed; 500 take some minutes."""


@pytest.mark.parametrize(
    "part",
    [
        "fork_on_parents_file",
        "fork_on_own_file",
        "fork_on_both",
        "forks",
        "fork_in_a_restarting_handler",
        "fork_in_an_interrupting_handler",
        "resume_after_closing",
        "forsake",
        "buffers",
        "crowd",
        "idle_lanes",
    ],
)
def test_part(system: System, programs: Programs, part: str) -> None:
    """See the program."""
    system.run(programs.build("lanes"), part)


@pytest.mark.parametrize("dialect", ["v1", "legacy"])
@pytest.mark.parametrize("part", ["buffers", "fork_on_both"])
def test_part_in_other_dialects(
    systems: Systems, programs: Programs, dialect: str, part: str
) -> None:
    """Buffers are named by descriptors there."""
    system = systems.of(dialect)
    system.run(programs.build("lanes", dialect), part)
    system.settle()


def test_structure_of_a_call_has_the_size_that_is_announced(
    system: System, programs: Programs
) -> None:
    """Spec 4.1, clients.md 5: 24 bytes of Qualcomm's library, and others, as by the DRM core."""
    system.run(programs.build("announced"))


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """A server in a process of its own, and the environment for its programs."""
    command = ("serve", f"--socket={folder / 'socket'}", f"--skeletons={SKELETONS}", *options)
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *command],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    exported = [server.stdout.readline().removeprefix("export ") for _ in range(3)]
    try:
        yield server, {**os.environ, **dict(line.strip().split("=", 1) for line in exported)}
    finally:
        server.kill()
        server.communicate()


def start(variables: dict[str, str], *command: str | Path) -> subprocess.Popen[str]:
    """A program with pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def tell(program: subprocess.Popen[str], line: str = "") -> None:
    """Give a program a line."""
    assert program.stdin is not None
    program.stdin.write(line + "\n")
    program.stdin.flush()


def hear(program: subprocess.Popen[str]) -> str:
    """The next line of a program."""
    assert program.stdout is not None
    return program.stdout.readline().strip()


@pytest.mark.skipif(not IS_COMPILED, reason="lanes are lent where the core is compiled")
@pytest.mark.parametrize("options", [(), ("--mixed",)], ids=["", "mixed"])
@pytest.mark.parametrize(
    ("name", "dialect"), [("lanes", "rfc"), ("lanes", "legacy"), ("announced", "rfc")]
)
def test_calls_need_no_server(
    programs: Programs, tmp_path: Path, name: str, dialect: str, options: tuple[str, ...]
) -> None:
    """Inline, with a buffer, and with a structure that is announced longer than it is, while the
    server does not run."""
    with served(tmp_path, *options) as (server, variables):
        program = start(variables, programs.build(name, dialect), "without_server")
        assert hear(program) == "ready"
        server.send_signal(signal.SIGSTOP)
        tell(program)
        assert hear(program) == "done"
        server.send_signal(signal.SIGCONT)
        tell(program)
        assert program.communicate(timeout=PATIENCE)[1] == ""
        assert program.returncode == 0


def test_node_is_released_when_its_program_is_executed_in_a_call(
    system: System, programs: Programs
) -> None:
    """The thread that waits is gone, and with close-on-exec so is the file."""
    program = system.start(programs.build("lanes"), "execute")
    assert hear(program) == "executed"
    system.settle()
    tell(program)
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0


class Counter:
    """Counts the calls that the server carries out."""

    encloses = False

    def __init__(self) -> None:
        self.calls = self._seen = 0

    def has_seen_more(self) -> bool:
        """Whether there were some since this was last true."""
        more = self.calls > self._seen + 20
        if more:
            self._seen = self.calls
        return more

    def opened(self, request: Request, client: Client, result: int) -> None:
        pass

    def mapped(self, request: Request, client: Client, node: OpenNode, result: int) -> None:
        pass

    def released(self, path: NodePath, opener: int) -> None:
        pass

    def ioctl(
        self, request: Request, client: Client, node: OpenNode, carry_out: Callable[[], int]
    ) -> int:
        self.calls += request.code == RFC.command("INVOKE").code
        return carry_out()


def test_observer_sees_every_call_from_when_it_is_told(system: System, programs: Programs) -> None:
    """While the program calls: none is lost, none goes out twice, and between the switches the
    observer misses none."""
    program = system.start(programs.build("lanes"), "count_calls")
    assert hear(program) == "ready"
    counter = Counter()
    for _ in range(10):
        system.server.observe(counter)
        until(counter.has_seen_more)
        system.server.observe(None)
    system.server.observe(counter)
    before = counter.calls
    tell(program)
    printed, problems = program.communicate(timeout=PATIENCE)
    assert (printed, problems, program.returncode) == ("", "", 0)
    assert counter.calls > before
    system.server.observe(None)


def test_no_lane_is_lent_once_every_call_is_to_be_seen(
    system: System, systems: Systems, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by a request either that was about to: nobody would wait for the calls on it."""
    lend, lend_to = Leases.lend, ProgramLease.lend
    lent: list[object] = []

    def observe_first(leases: Leases) -> LeasedLane:
        leased = lend(leases)
        system.server.observe(Counter())
        return leased

    def note(lease: ProgramLease, most: int, may: Callable[[], bool]) -> tuple[int, Bells] | None:
        lent.append(lend_to(lease, most, may))
        return None

    monkeypatch.setattr(Leases, "lend", observe_first)
    monkeypatch.setattr(ProgramLease, "lend", note)
    system.run(programs.build("calculator"))
    system.server.observe(None)
    assert not any(lent)
    assert bool(lent) == (systems.lanes and IS_COMPILED)


def test_interrupted_call_keeps_the_way_it_began_on(system: System, programs: Programs) -> None:
    """An observer does not wait for it, and it is not sent again (R24)."""
    program = system.start(programs.build("lanes"), "resume_when_told")
    assert hear(program) == "interrupted"
    system.server.observe(Counter())
    tell(program)
    assert hear(program) == "resumed"
    system.server.observe(None)
    program.communicate(timeout=PATIENCE)
    assert program.returncode == 0


def test_observer_waits_for_no_call_for_ever(
    system: System, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that listens may last as long as its program."""
    monkeypatch.setattr(limits, "PARKED", 0.01)
    program = system.start(programs.build("corners"), "survive")
    assert hear(program) == "waiting"
    until(lambda: system.machine.census()["cdsp"].calls)
    system.server.observe(Counter())
    system.server.observe(None)
    program.kill()
    program.communicate()


# Kills.


def kill(pid: int) -> None:
    """A process may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children_of(pid: int) -> list[int]:
    """The processes that a process has started, in whichever thread."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            found += [int(child) for child in children.read_text().split()]
    return found


def processors_of(server: int) -> list[int]:
    """Those of a server, which has a child that cleans up after it, too."""
    return [
        pid
        for pid in children_of(server)
        if b"qda.dsp.processor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def protection_domains(processors: list[int]) -> list[int]:
    """Those of programs: the first child of a processor is the root's."""
    return [child for pid in processors for child in children_of(pid)[1:]]


@pytest.mark.timeout(60 + 3 * MOMENTS)
@pytest.mark.parametrize("victims", ["program", "domain", "both"])
def test_kill_in_the_middle_of_calls(system: System, programs: Programs, victims: str) -> None:
    """Whoever survives gets a defined error, at once; nothing is left (H16, H31)."""
    moments = random.Random(victims)
    for _ in range(MOMENTS):
        program = system.start(programs.build("lanes"), "endless")
        assert hear(program) == "ready"
        tell(program, str(moments.randrange(300)))
        assert hear(program) == "now"
        killed = protection_domains(system.machine.pids) if victims != "program" else []
        assert killed or victims == "program"
        killed += [program.pid] if victims != "domain" else []
        for pid in moments.sample(killed, len(killed)):
            kill(pid)
        problems = program.communicate(timeout=PATIENCE)[1]
        if victims == "domain":
            assert program.returncode == 1 and "not so" in problems, (program.returncode, problems)
        else:
            assert program.returncode == -signal.SIGKILL or "not so" in problems
        system.settle()
    system.run(programs.build("calculator"))


@pytest.mark.timeout(60 + 6 * MOMENTS)
@pytest.mark.parametrize("victims", ["server", "server and program", "server and domain"])
def test_server_is_killed_in_the_middle_of_calls(
    programs: Programs, tmp_path: Path, victims: str
) -> None:
    """A program gets ENODEV, or goes on without the server until it needs it."""
    moments = random.Random(victims)
    for number in range(1 + MOMENTS // 4):
        folder = tmp_path / str(number)
        folder.mkdir()
        with served(folder) as (server, variables):
            program = start(variables, programs.build("lanes"), "endless")
            assert hear(program) == "ready"
            tell(program, str(moments.randrange(300)))
            assert hear(program) == "now"
            killed = [server.pid]
            if victims.endswith("program"):
                killed.append(program.pid)
            if victims.endswith("domain"):
                killed += protection_domains(processors_of(server.pid))
            for pid in moments.sample(killed, len(killed)):
                kill(pid)
            problems = program.communicate(timeout=PATIENCE)[1]
            assert program.returncode == -signal.SIGKILL or "not so" in problems
    until(lambda: not list(tmp_path.rglob("socket*")))
