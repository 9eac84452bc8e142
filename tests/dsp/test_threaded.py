"""The DSP for debugging: the same rules, in this process."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

import qda
from qda.dsp.native import NativeSkeleton, native_skeleton
from qda.errors import BAD_ADDRESS, SKELETON_RAISED
from qda.fastrpc.scalars import Scalars
from qda.virtual import machine
from tests.idl.native.compiler import find_compiler
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


SOURCE = r"""
#include <stdint.h>

void (*qda_HAP_debug)(int level, const char *file, int line, const char *text);

int saying_skel_invoke(uint32_t scalars, void **arguments)
{
    (void)scalars;
    qda_HAP_debug(3, "saying.c", 1, arguments[0]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def saying(tmp_path_factory: pytest.TempPathFactory) -> type[NativeSkeleton]:
    """C that writes a text into the log."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = tmp_path_factory.mktemp("threaded") / "saying.c"
    source.write_text(SOURCE)
    library = source.with_name("libsaying_skel.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return native_skeleton(library, "saying", handle64=False)


def test_c_speaks_to_the_session_that_calls_it(saying: type[NativeSkeleton]) -> None:
    """Also where the library serves several protection domains of one process."""
    with (
        qda.open(device="virtual", debug=True) as one,
        qda.open(device="virtual", debug=True) as two,
        one.load(saying) as here,
        two.load(saying) as there,
    ):
        for module, words in ((here, b"one\0"), (there, b"two\0"), (here, b"three\0")):
            module.invoke(2, [words])
        assert one.read_log() == ["ERROR one", "ERROR three"]
        assert two.read_log() == ["ERROR two"]


def test_python_before_c_is_asked_for_each_call(saying: type[NativeSkeleton]) -> None:
    """A class of C is called without the interpreter, one that adds something is not."""
    calls = []

    class Adding(saying):  # type: ignore[misc, valid-type]
        name = saying.name

        def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
            calls.append(scalars.method)
            status: int = super().invoke(scalars, arguments)
            return status

    with qda.open(device="virtual", debug=True) as session, session.load(Adding) as module:
        for method in (2, 3):
            module.invoke(method, [b"me\0"])
        assert calls == [2, 3]
        assert session.read_log() == ["ERROR me"] * 2


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
