"""A dialect that nobody has seen yet is a table: driver, client and DSP need no line of code (R4).

It stands for that of November 2026, as far as its meaning is known (spec/versions.md 5.2): attach
has another number, MAP another name, and switches stand otherwise.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

import qda
from qda.client import Session
from qda.client.opening import device_file
from qda.driver.accel import open_front
from qda.driver.node import LocalNode
from qda.errors import DeviceError
from qda.uapi import HANDLE
from qda.uapi.interface import altered
from qda.virtual import Machine
from tests.system import new_machine
from tests.waiting import until

NEXT = replace(
    HANDLE,
    name="next",
    commands=altered(
        HANDLE.commands,
        replace(HANDLE.command("INIT_ATTACH"), spelling="REMOTE_ATTACH", number=0x48),
        replace(HANDLE.command("MAP"), spelling="REMOTE_MMAP"),
    ),
    semantics=HANDLE.semantics.changed(
        {
            "without_bank": errno.EBUSY,
            "import_without_bank": errno.EBUSY,
            "removed": errno.EPIPE,
            "attaches": True,
            "privileged": True,
            "caches_capabilities": True,
        }
    ),
)


class Echo(qda.Skeleton, name="echo_of_next"):
    @qda.method(2)
    def echo(self, source: memoryview, target: memoryview) -> None:
        target[:] = source


@pytest.fixture(scope="module")
def system() -> Iterator[Machine]:
    machine = new_machine()
    yield machine
    machine.close()


def opened(system: Machine, process: str = "user", attributes: int = 8) -> Session:
    """A session of a program that speaks it."""
    device = system.devices["cdsp"]
    node = LocalNode("virtual cdsp", "/dev/accel/accel1", lambda path: open_front(device, NEXT))
    file = device_file(node, NEXT, "cdsp")
    try:
        file.attach() if process == "root" else file.create(b"", attributes)
    except BaseException:
        file.close()
        raise
    return Session(file)


def test_calls_buffers_and_mappings_go_by_the_table(system: Machine) -> None:
    """Small arguments in an arena, buffers by their handles, a mapping that is undone."""
    with opened(system) as session:
        session.install(Echo)
        module = session.load("echo_of_next")
        assert module.invoke(2, [b"small"], [5]) == [b"small"]
        buffer = session.alloc(8192)
        buffer[:4] = b"next"
        with session.map(buffer):
            assert module.invoke(2, [buffer[:4]], [4]) == [b"next"]


def test_meanings_go_by_the_switches(system: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may do what, the errno without a context bank, and that of a DSP that is gone."""
    device = system.devices["cdsp"]
    monkeypatch.setattr("qda.driver.memory.is_admin", lambda pid, tid: False)
    for process, attributes in (("root", 0), ("user", 0)):
        with pytest.raises(DeviceError) as refused:
            opened(system, process, attributes)
        assert refused.value.errno == errno.EPERM
    monkeypatch.setattr("qda.driver.memory.is_admin", lambda pid, tid: True)
    opened(system, "root").close()
    banks = [device.take_bank(errno.EIO) for _ in device.limits.stream_ids]
    with pytest.raises(DeviceError) as refused:
        opened(system)
    assert refused.value.errno == errno.EBUSY
    for bank in banks:
        device.give_back(bank)
    with opened(system) as session:
        os.kill(system.pids[0], signal.SIGKILL)

        def gone() -> bool:
            try:
                session.invoke(0x300, 2)
            except DeviceError as error:
                return error.errno == errno.EPIPE
            except qda.DspError:
                return False
            return False

        until(gone)
