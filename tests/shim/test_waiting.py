"""Programs wait for a context bank while others have all of them, and leave the queue as they came:
served, refused when the time is over, interrupted, or dead."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qda.driver import Device
from qda.driver.banks import ContextBank
from tests.shim.system import PATIENCE, Programs, System, needs_library, serving
from tests.waiting import BOUND, until

pytestmark = needs_library

INTERRUPTED = """
import fcntl, os, signal, struct, sys
def handle(*_):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    raise TimeoutError
signal.signal(signal.SIGUSR1, handle)
print(flush=True)
try:
    node = os.open(sys.argv[1], os.O_RDWR)
    fcntl.ioctl(node, 0xC0106441, bytearray(struct.pack("=IIQ", 0, 0, 4096)))
except TimeoutError:
    print("interrupted")
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("served")) as system:
        system.machine.devices["cdsp"].wait = BOUND
        yield system


@pytest.fixture
def device(served: System) -> Iterator[Device]:
    """The cdsp, all of whose context banks are taken; nothing is left of it."""
    yield served.machine.devices["cdsp"]
    served.settle()
    assert served.machine.devices["cdsp"].free_banks.waiting == 0


@pytest.fixture
def taken(device: Device) -> Iterator[list[ContextBank]]:
    """What is to be given back, so that others go on."""
    banks = [device.take_bank(0) for _ in device.limits.stream_ids]
    yield banks
    give_back(device, banks)


def give_back(device: Device, banks: list[ContextBank]) -> None:
    while banks:
        device.give_back(banks.pop())


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The status of a program that comes to its end, and what it has printed."""
    out, problems = process.communicate(timeout=PATIENCE)
    return process.returncode, out + problems


def test_many_programs_share_few_banks(
    served: System, programs: Programs, device: Device, taken: list[ContextBank]
) -> None:
    """Of either driver's nodes: all are let in, one after the other."""
    paths = [programs.build("session", dialect) for dialect in ("rfc", "legacy")]
    running = [served.start(path) for path in paths * 3]
    until(lambda: device.free_banks.waiting == len(running))
    for bank in (taken.pop(), taken.pop()):
        device.give_back(bank)
    assert [end(process) for process in running] == [(0, "")] * len(running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("dialect", ["rfc", "legacy"])
def test_who_dies_waiting_leaves_the_queue(
    served: System,
    programs: Programs,
    device: Device,
    taken: list[ContextBank],
    dialect: str,
    number: int,
) -> None:
    """Ctrl-C, for a program that does not handle it; and the next one is let in."""
    path = programs.build("session", dialect)
    process = served.start(path)
    until(lambda: device.free_banks.waiting == 1)
    process.send_signal(number)
    assert end(process) == (-number, "")
    until(lambda: device.free_banks.waiting == 0)
    device.give_back(taken.pop())
    assert served.run(path) == ""


@pytest.mark.parametrize("node", ["/dev/accel/accel1", "/dev/fastrpc-cdsp"])
def test_a_signal_handler_interrupts_the_wait(
    served: System, device: Device, taken: list[ContextBank], node: str
) -> None:
    """EINTR, also of open: a handler that raises ends it, and any other lets it go on."""
    process = served.start(sys.executable, "-c", INTERRUPTED, node)
    assert process.stdout is not None and process.stdout.readline() == "\n"
    until(lambda: device.free_banks.waiting == 1)

    def ends() -> bool:
        """One that comes just before the program sleeps interrupts nothing, the next one does."""
        process.send_signal(signal.SIGUSR1)
        return device.free_banks.waiting == 0

    until(ends)
    assert end(process) == (0, "interrupted\n")


def test_a_wait_has_a_limit(
    served: System,
    programs: Programs,
    device: Device,
    taken: list[ContextBank],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Then it is the errno of a DSP without a free bank, and who served it is told."""
    monkeypatch.setattr(device, "wait", 0.01)
    with caplog.at_level(logging.WARNING):
        assert "Cannot allocate memory" in served.run(programs.build("session"), status=1)
        assert "Device or resource busy" in served.run(
            programs.build("session", "legacy"), status=1
        )
    (told,) = caplog.messages
    assert told.startswith("12 of 12 context banks of profile generic are in use; process ")
    assert "has waited for 0.01 s: close sessions" in told


def test_who_has_all_banks_is_not_made_to_wait(
    served: System, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else would give one back."""
    source = Path(__file__).parents[1] / "cli" / "test_programs.py"
    script = source.read_text().split('TAKE_ALL = """')[1].partition('"""')[0]
    assert served.run(sys.executable, "-c", script).split()[1] == "8"
