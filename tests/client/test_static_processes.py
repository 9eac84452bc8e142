"""Domains that are there already: a static process is everybody's who names it, and stays (R21)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

import qda
from qda import limits
from qda.client import RemoteModule, Session
from qda.client.legacy import LegacyFile
from qda.client.opening import device_file
from qda.dsp.domains import SENSORS
from qda.errors import BAD_HANDLE, BAD_STATE, PROCESS_DIED, UNABLE_TO_LOAD, DeviceError
from qda.fastrpc.control import ProcessMethod
from qda.fastrpc.handles import Fixed
from qda.uapi import LEGACY
from qda.virtual import Machine
from tests.system import new_machine, open_session


class Counter(qda.Skeleton, name="counter"):
    """Counts its calls, whoever makes them."""

    def __init__(self) -> None:
        self.calls = 0

    @qda.method(2)
    def count(self, calls: memoryview, process: memoryview) -> None:
        self.calls += 1
        calls[:] = self.calls.to_bytes(4, "little")
        process[:] = os.getpid().to_bytes(4, "little")

    @qda.method(3)
    def die(self) -> None:
        os._exit(1)


@pytest.fixture(scope="module")
def system() -> Iterator[Machine]:
    """A system whose static processes are this module's."""
    machine = new_machine(dialect="legacy")
    yield machine
    machine.close()


def static(system: Machine, name: bytes = b"audiopd", heap: int = 1 << 20) -> Session:
    """A session with the static process of a name."""
    file = device_file(system.open("adsp", "legacy"), LEGACY, "adsp")
    assert isinstance(file, LegacyFile)
    try:
        file.create_static(name + b"\0", heap)
    except BaseException:
        file.close()
        raise
    return Session(file)


def counted(module: RemoteModule) -> tuple[int, int]:
    """How many calls it has had, and the process in which it has them."""
    calls, process = module.invoke(2, outs=[4, 4])
    return int.from_bytes(calls, "little"), int.from_bytes(process, "little")


def test_sessions_share_a_static_process(system: Machine) -> None:
    """R21: what one leaves there another finds, and nobody else does; each has handles of its
    own."""
    with (
        static(system, b"shared") as one,
        static(system, b"shared\0more") as two,
        static(system, b"another") as other,
        open_session(system, domain="adsp") as own,
    ):
        one.install(Counter)
        first, second = one.load("counter"), two.load("counter")
        calls, process = counted(first)
        assert counted(second) == (calls + 1, process)
        for stranger in (other, own):
            with pytest.raises(qda.DspError) as refused:
                stranger.load("counter")
            assert refused.value.status == UNABLE_TO_LOAD
        with pytest.raises(qda.DspError) as refused:
            two.invoke(first.handle, 2, outs=[4, 4])
        assert refused.value.status == BAD_HANDLE


def test_a_static_process_outlives_its_sessions(system: Machine) -> None:
    """R21: that of the first one, too; and the DSP has the remote heap until it stops."""
    device = system.devices["adsp"]
    with static(system, b"audiopd") as creator:
        creator.install(Counter)
        calls, process = counted(creator.load("counter"))
    heap = device.remote_heap
    assert heap is not None
    for turn in range(1, 3):
        with static(system, b"audiopd") as later:
            assert counted(later.load("counter")) == (calls + turn, process)
    assert device.remote_heap is heap
    assert not device.census().files


def test_the_sensors_process_is_one_of_them(system: Machine) -> None:
    """R21: INIT_ATTACH_SNS asks for it without its name; it is not the root's."""
    sensors, root = (device_file(system.open("adsp", "legacy"), LEGACY, "adsp") for _ in range(2))
    assert isinstance(sensors, LegacyFile) and isinstance(root, LegacyFile)
    sensors.attach_sensors()
    root.attach()
    with Session(sensors) as one, static(system, SENSORS) as two, Session(root) as other:
        one.install(Counter)
        calls, process = counted(one.load("counter"))
        assert counted(two.load("counter")) == (calls + 1, process)
        with pytest.raises(qda.DspError) as refused:
            other.load("counter")
        assert refused.value.status == UNABLE_TO_LOAD


def test_a_session_that_ends_itself_ends_nobody_elses(system: Machine) -> None:
    """Spec 6.6: exit, and an exception that the client asks for, which in a process of its own
    would end that."""
    with static(system, b"shared") as stays:
        stays.install(Counter)
        module = stays.load("counter")
        _, process = counted(module)
        for method in (ProcessMethod.EXIT, ProcessMethod.EXCEPTION):
            with static(system, b"shared") as leaves, suppress(qda.DspError):
                leaves.invoke(Fixed.CURRENT_PROCESS1, method)
        assert counted(module)[1] == process


def test_a_static_process_that_dies_is_made_anew(system: Machine) -> None:
    """Its sessions are told how it has died, all others and the DSP go on, and the next one that
    names it finds an empty process."""
    processors = system.pids
    with (
        static(system, b"dies") as one,
        static(system, b"dies") as two,
        static(system, b"stays") as other,
    ):
        one.install(Counter)
        other.install(Counter)
        modules = [one.load("counter"), two.load("counter")]
        kept, before = other.load("counter"), counted(modules[0])[1]
        for module, method, status in zip(modules, (3, 2), (PROCESS_DIED, BAD_STATE), strict=True):
            with pytest.raises(qda.DspError, match="exit") as died:
                module.invoke(method, outs=[4, 4] if method == 2 else [])
            assert died.value.status == status
        with static(system, b"dies") as anew:
            with pytest.raises(qda.DspError):
                anew.load("counter")
            anew.install(Counter)
            calls, process = counted(anew.load("counter"))
            assert (calls, process == before) == (1, False)
        assert counted(kept)[0] == 1
    assert system.pids == processors


def test_a_dsp_has_a_number_of_static_processes() -> None:
    """They stay, so programs must not make one with every name that there is."""
    system = new_machine(dialect="legacy")
    try:
        for number in range(limits.STATIC_PROCESSES):
            static(system, b"number %d" % number).close()
        before = system.devices["adsp"].census()
        with pytest.raises(DeviceError) as refused:
            static(system, b"one more")
        assert refused.value.errno == errno.ENOMEM
        static(system, b"number 0").close()
        assert system.devices["adsp"].census() == before
    finally:
        system.close()


def test_threads_have_static_processes_as_well() -> None:
    """A DSP of threads, for debugging, has the same rules."""

    def audio() -> Session:
        return qda.open("adsp", device="virtual", dialect="legacy", process="audio", debug=True)

    with audio() as one, audio() as two:
        one.install(Counter)
        assert counted(one.load("counter"))[0] + 1 == counted(two.load("counter"))[0]
