"""Whatever ends, and whenever: nothing is left behind, and who survives gets a defined error."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from qda.driver import Client
from qda.profiles.nodes import NodePath
from qda.shim.nodes import OpenNode
from qda.shim.protocol import Request
from tests.cli.command import PROGRAM, environment, processes_with
from tests.shim.system import PATIENCE, SKELETONS, Programs, System, needs_library, serving
from tests.waiting import until

pytestmark = needs_library


@pytest.mark.parametrize(
    "corner",
    [
        "call_from_handler",
        "cancel",
        "close_all",
        "close_during_call",
        "leave",
        "run_out",
        "small_stack",
    ],
)
def test_corner(system: System, programs: Programs, corner: str) -> None:
    """clients.md 11, 13.6; see the program."""
    system.run(programs.build("corners"), corner)


def test_connections_of_a_program_end_with_it_though_a_child_has_copies(
    system: System, programs: Programs
) -> None:
    """The call of a thread that is gone does not stay for a child that cannot come back to it."""
    child = int(system.run_for_line(programs.build("corners"), "leave_child"))
    try:
        system.settle()
    finally:
        os.kill(child, signal.SIGKILL)


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-Urpf", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _may_unshare(), reason="there are no PID namespaces for this user")
@pytest.mark.parametrize("program", ["calculator", "threads", "relatives"])
@pytest.mark.parametrize("options", ["-Urpf", "-Urpfm --mount-proc"])
def test_program_in_a_pid_namespace_of_its_own(
    system: System, programs: Programs, program: str, options: str
) -> None:
    """It and its threads have other numbers than the server knows them by."""
    system.run("unshare", *options.split(), programs.build(program))


class Killer:
    """Kills a program in its nth request: before the driver has it, or after."""

    encloses = False

    def __init__(self) -> None:
        self.nth, self.after, self.count = 0, False, 0

    def opened(self, request: Request, client: Client, result: int) -> None:
        self._request(client, True)

    def mapped(self, request: Request, client: Client, node: OpenNode, result: int) -> None:
        self._request(client, True)

    def released(self, path: NodePath, opener: int) -> None:
        pass

    def ioctl(
        self, request: Request, client: Client, node: OpenNode, carry_out: Callable[[], int]
    ) -> int:
        self._request(client, False)
        result = carry_out()
        self._kill(client, self.after)
        return result

    def _request(self, client: Client, after: bool) -> None:
        self.count += 1
        self._kill(client, after or not self.after)

    def _kill(self, client: Client, now: bool) -> None:
        if now and self.count == self.nth:
            os.kill(client.pid, signal.SIGKILL)


def test_program_may_be_killed_in_every_request(programs: Programs, tmp_path: Path) -> None:
    """A dying client is cleaned up like a close (H31)."""
    killer = Killer()
    program = programs.build("calculator")
    with serving(tmp_path, observer=killer) as system:
        system.run(program)
        requests = killer.count
        assert requests > 15
        for nth in range(1, requests + 1):
            for after in (False, True):
                killer.nth, killer.after, killer.count = nth, after, 0
                system.run(program, status=-signal.SIGKILL)
                system.settle()
        killer.nth = 0
        system.run(program)


def test_program_may_be_killed_in_a_parked_call(system: System, programs: Programs) -> None:
    """What the DSP still works on is kept until the file's end, which is the program's (H16)."""
    process = system.start(programs.build("corners"), "survive")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.kill()
    process.communicate()


def test_death_of_the_dsp_is_enodev_and_the_next_open_works(
    system: System, programs: Programs
) -> None:
    """Spec 2.9: calls under way end, too; U7."""
    program = programs.build("corners")
    process = system.start(program, "survive")
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    until(lambda: system.machine.census()["cdsp"].calls)
    for pid in system.machine.pids:
        os.kill(pid, signal.SIGKILL)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    system.run(programs.build("calculator"))


def test_end_of_the_server_is_enodev(programs: Programs, tmp_path: Path) -> None:
    """For the call under way, for later ones, for mmap and open."""
    with serving(tmp_path) as system:
        process = system.start(programs.build("corners"), "survive_server")
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        until(lambda: system.machine.census()["cdsp"].calls)
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_server_that_is_killed_leaves_nothing_behind(
    programs: Programs, tmp_path: Path, number: signal.Signals
) -> None:
    """No socket, no mirror, no DSP; the program gets ENODEV and goes on."""
    marker = f"QDA_TEST_MARKER={tmp_path}"
    variables = environment(QDA_TEST_MARKER=str(tmp_path))
    folder = tmp_path / "run"
    folder.mkdir()
    options = (f"--socket={folder / 'socket'}", f"--skeletons={SKELETONS}")
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", *options],
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    exported = [server.stdout.readline().removeprefix("export ") for _ in range(3)]
    preload = dict(line.strip().split("=", 1) for line in exported)
    process = subprocess.Popen(
        [programs.build("corners"), "survive_server"],
        env={**os.environ, **preload},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    server.send_signal(number)
    server.communicate()
    assert process.communicate(timeout=PATIENCE)[1] == ""
    assert process.returncode == 0
    # The caretaker and the DSPs end by themselves.
    until(lambda: not list(folder.iterdir()) and not processes_with(marker))


IMPATIENT = """
import signal, sys, qda
session = qda.open("cdsp", device="/dev/accel/accel1")
print("ready", flush=True)
sys.stdin.readline()
try:
    print("asking", flush=True)
    {what}
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("interrupted", flush=True)
session.close()
"""


@pytest.mark.parametrize(
    "what", ["session.alloc(4096)", 'qda.open("cdsp", device="/dev/accel/accel1")']
)
def test_ctrl_c_ends_the_wait_for_a_server_that_is_stopped(
    what: str,
) -> None:
    """A server that runs is waited for, since it decides what a signal ends; one that is stopped
    cannot."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # as paths of sockets have to be
        serve = [sys.executable, "-c", PROGRAM, "serve", "--socket", f"{short}/socket"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                shown = [server.stdout.readline().strip() for _ in range(3)]
                assignments = (line.removeprefix("export ").partition("=") for line in shown)
                variables = {name: value.strip("'") for name, _, value in assignments}
                _interrupt(server.pid, IMPATIENT.format(what=what), variables)
            finally:
                os.kill(server.pid, signal.SIGCONT)
                server.terminate()


def _interrupt(server: int, code: str, variables: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment() | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        try:
            assert program.stdin is not None
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            os.kill(server, signal.SIGSTOP)
            program.stdin.write("\n")
            program.stdin.flush()
            assert program.stdout.readline() == "asking\n"

            def has_ended() -> bool:
                program.send_signal(signal.SIGINT)
                return program.poll() is not None

            until(has_ended)
            assert program.stdout.read() == "interrupted\n"
        finally:
            program.kill()
