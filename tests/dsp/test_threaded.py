"""The DSP for debugging: the same rules, in this process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import qda
from qda.errors import BAD_ADDRESS, SKELETON_RAISED
from qda.virtual import machine
from tests.waiting import until


class Here(qda.Skeleton):
    """Says where it runs."""

    @qda.method(2)
    def pid(self, result: memoryview) -> None:
        result[:4] = os.getpid().to_bytes(4, "little")

    @qda.method(3)
    def raises(self) -> None:
        raise RuntimeError("here")

    @qda.method(4)
    def reads(self, address: memoryview, result: memoryview) -> None:
        result[:] = self.dsp.memory(int.from_bytes(address, "little"), len(result))


def test_skeletons_run_in_this_process() -> None:
    """So breakpoint() in one stops where the programmer sits."""
    with qda.open(device="virtual", debug=True) as session, session.load(Here) as here:
        assert int.from_bytes(here.invoke(2, outs=[4])[0], "little") == os.getpid()
        with pytest.raises(qda.DspError, match="here") as caught:
            here.invoke(3)
        assert caught.value.status == SKELETON_RAISED


def test_memory_has_the_same_rules() -> None:
    """Shared pages, mappings, faults; several sessions have their own."""
    with (
        qda.open(device="virtual", debug=True) as one,
        qda.open(device="virtual", debug=True) as two,
        one.load(Here) as here,
        two.load(Here) as there,
    ):
        buffer = one.alloc(4096)
        buffer[:3] = b"abc"
        with one.map(buffer) as mapping:
            place = mapping.address.to_bytes(8, "little")
            assert here.invoke(4, [place], [3]) == [b"abc"]
            with pytest.raises(qda.DspError) as caught:
                there.invoke(4, [place], [3])
            assert caught.value.status == BAD_ADDRESS


def windows() -> int:
    """Bytes of addresses that protection domains of this process have reserved."""
    found = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, _, end = line.split()[0].partition("-")
        if line.split()[1] == "---p" and int(end, 16) <= 1 << 32:
            found += int(end, 16) - int(start, 16)
    return found


def test_nothing_is_left_when_the_system_closes() -> None:
    """Threads and memory windows go."""
    with qda.open(device="virtual", debug=True):
        assert windows()
    machine(threads=True).close()
    for thread in threading.enumerate():
        if thread.name.startswith("cdsp"):
            thread.join(30)
            assert not thread.is_alive()
    until(lambda: not windows())
