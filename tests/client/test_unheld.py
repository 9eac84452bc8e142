"""What nobody holds is released: sessions, modules, mappings, buffers, files of the host."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import qda
from qda import limits
from qda.client.unheld import settle
from qda.virtual import Machine
from qda.virtual import machine as machine_of
from tests.system import census, open_session

OPENINGS = 20
"""More than there are context banks, and more than the older driver has sessions."""

files = qda.idl.load("""
interface files {
    long forget(in string name, in long count, rout long result);
    long first(in string name, rout long result);
    long write(in string name, rout long result);
};
""")


class Files(files.Skeleton):  # type: ignore[name-defined,misc]
    """Forgets to close what it opens."""

    def forget(self, name: str, count: int) -> int:
        held = [self.dsp.host.open_file(name) for _ in range(count)]
        modules = [self.dsp.host.open("apps_std") for _ in range(count // 100)]
        return len(held) + len(modules)

    def first(self, name: str) -> int:
        with self.dsp.host.open_file(name) as file:
            return ord(file.read(1))

    def write(self, name: str) -> int:
        return int(self.dsp.host.open_file(name, "w").write("left"))


class Counted(qda.Skeleton):
    """Knows how many of it are open."""

    opened = 0

    def open(self, uri: str) -> None:
        Counted.opened += 1

    def close(self) -> None:
        Counted.opened -= 1

    @qda.method(2)
    def count(self, result: memoryview) -> None:
        result[0] = Counted.opened

    @qda.method(3)
    def read(self, address: memoryview, result: memoryview) -> None:
        result[:] = self.dsp.memory(int.from_bytes(address, "little"), len(result))


def opened(**options: Any) -> qda.Session:
    return qda.open("cdsp", device="virtual", **options)


@pytest.fixture
def session(machine: Machine) -> Iterator[qda.Session]:
    with open_session(machine) as made:
        yield made


@contextmanager
def warned(of: str, count: int | None = None) -> Iterator[None]:
    """That many warnings of something unclosed, at least one, once all of it is given back."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        settle()
    texts = [str(one.message) for one in caught]
    found = [text for text in texts if text.startswith(f"unclosed <{of} ")]
    assert len(found) == count if count is not None else found, texts


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_a_cell_that_opens_again_works_for_ever(dialect: str) -> None:
    """The name takes the new session, and the old one goes."""
    with warned("Session", OPENINGS):
        session = array = None
        for _ in range(OPENINGS):
            session = opened(dialect=dialect)
            array = session.empty(1000)
        del session, array


def test_sessions_in_cycles_are_found_when_there_is_no_room() -> None:
    """Also those that serve their DSP: their threads do not hold them."""
    gc.collect()
    gc.disable()
    try:
        with warned("Session"):
            cycle: list[object] = []
            for _ in range(OPENINGS):
                cycle = [opened()]
                cycle.append(cycle)
            del cycle
            gc.collect()
    finally:
        gc.enable()


def test_nothing_is_left_of_a_session_that_is_dropped(machine: Machine) -> None:
    """Neither on the device, nor of its process."""
    open_session(machine).close()
    before = census(machine)
    with warned("Session", 1):
        session = open_session(machine)
        session.serve_host()
        module = session.load(Counted)
        mapping = session.map(session.alloc(4096))
        del session, module
    del mapping
    after = census(machine)
    assert (after.device, after.processes) == (before.device, before.processes)


def test_a_module_holds_its_session() -> None:
    """As long as it is open; in whatever way it is called."""
    module = opened().load(Counted)
    gc.collect()
    settle()
    assert module.invoke(2, [], [1])[0][0] == 1
    with warned("RemoteModule", 1):
        del module


def test_a_module_that_is_dropped_is_closed(session: qda.Session) -> None:
    """Its `close` runs on the DSP, once."""
    kept = session.load(Counted)
    with warned("RemoteModule", 5):
        for _ in range(5):
            session.load(Counted).invoke(2, [], [1])
    assert kept.invoke(2, [], [1])[0][0] == 1
    with session.load(Counted):
        assert kept.invoke(2, [], [1])[0][0] == 2
    assert kept.invoke(2, [], [1])[0][0] == 1


def test_a_mapping_that_is_dropped_is_unmapped(session: qda.Session) -> None:
    """And its buffer is a buffer as before."""
    module, buffer = session.load(Counted), session.alloc(4096)
    with warned("Mapping", 1):
        address = session.map(buffer).address
    with pytest.raises(qda.DspError, match="EBADVA"):
        module.invoke(3, [address.to_bytes(8, "little")], [1])
    session.map(buffer).close()


def test_a_buffer_that_is_dropped_is_closed(session: qda.Session, machine: Machine) -> None:
    """At once, also if nothing is allocated after it; an array goes without a warning."""
    before = census(machine).device
    with warned("Buffer", 1):
        session.alloc(4096)
        session.empty(4096)
    session.alloc(4096).close()
    assert census(machine).device == before


def test_what_only_the_collector_finds_is_found_when_its_room_is_needed(
    session: qda.Session,
) -> None:
    """A cycle, as an exception and its frames are, is collected by chance: addresses of the DSP and
    memory of the machine are looked for there before they are refused."""
    gc.disable()
    try:
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            for make in (
                lambda: session.map(session.alloc(limits.WINDOW // 4)),
                lambda: session.alloc(limits.WINDOW),
            ):
                for _ in range(9):
                    cycle: list[object] = [make()]
                    cycle.append(cycle)
                    del cycle
                gc.collect()
    finally:
        gc.enable()


def test_the_thirteenth_session_is_told_who_has_the_others() -> None:
    """How many context banks there are, of what, and who uses them; and what to do."""
    banks = len(machine_of().devices["cdsp"].limits.stream_ids)
    held = [opened() for _ in range(banks)]
    with pytest.raises(qda.DeviceError, match="ENOMEM") as refused:
        opened()
    words = str(refused.value).splitlines()[0]
    assert f"{banks} of {banks} context banks of profile generic are in use" in words
    assert f"by process {os.getpid()}: close a session" in words
    held.pop().close()
    opened().close()
    for session in held:
        session.close()


def test_a_session_may_wait_for_its_turn() -> None:
    """Until another thread has closed one; or until the time is over."""
    banks = len(machine_of().devices["cdsp"].limits.stream_ids)
    held = [opened() for _ in range(banks)]
    with pytest.raises(qda.DeviceError, match="ENOMEM"):
        qda.open("cdsp", device="virtual", wait=0.001)
    threading.Timer(0.05, held.pop().close).start()
    qda.open("cdsp", device="virtual", wait=60).close()
    for session in held:
        session.close()


@pytest.mark.parametrize("wait", [-1, float("inf"), float("nan"), "soon"])
def test_a_wait_is_a_number_of_seconds(wait: float) -> None:
    with pytest.raises((qda.UsageError, qda.UsageTypeError), match=f"wait {wait!r}"):
        qda.open("cdsp", device="virtual", wait=wait)


def test_files_that_a_skeleton_has_forgotten_are_closed(
    session: qda.Session, tmp_path: Path
) -> None:
    """When the next one is opened: the collector itself calls nobody."""
    name = tmp_path / "f"
    name.write_text("x")
    session.serve_host()
    remote = session.load(Files)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        assert remote.forget(str(name), 200) == 202
        assert remote.first(str(name)) == ord("x")
        assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert remote.write(str(name)) == 4
    assert remote.first(str(name)) == ord("l")
    assert name.read_text() == "left"
