"""A lane calls a module in C without the method in Python, and does what that would do."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qda.core import IS_COMPILED, Woken
from qda.dsp.process import Process
from qda.dsp.session import LifeEvent
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import FIRST_OPENED
from qda.fastrpc.message import InvokeMessage
from qda.rpmsg import Endpoint
from tests.core.ends import CLIENT, CORES, Ends, compiled, connect, needs_compiled
from tests.core.test_arguments import NEAR, SLOT, messages
from tests.idl.native.compiler import find_compiler
from tests.waiting import until

SOURCE = r"""
#include <stddef.h>
#include <stdint.h>

typedef union {
    struct { unsigned char *pv; size_t length; } buffer;
    uint64_t handle;
} remote_arg;

static uint64_t mix(uint64_t seen, uint64_t more) { return (seen ^ more) * 0x100000001b3; }

/* Writes into all outputs what it has seen of everything; the result has it, too. */
int mixing_skel_handle_invoke(uint64_t handle, uint32_t scalars, remote_arg *a)
{
    uint32_t ins = scalars >> 16 & 255, buffers = ins + (scalars >> 8 & 255);
    uint32_t count = buffers + (scalars >> 4 & 15) + (scalars & 15);
    uint64_t seen = mix(handle, scalars);

    if (scalars >> 24 == 0) {
        a[2].handle = 0x1122334455667788;
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i >= buffers) {
            seen = mix(seen, a[i].handle);
            continue;
        }
        seen = mix(mix(seen, a[i].buffer.length), a[i].buffer.pv != NULL);
        for (size_t j = 0; i < ins && j < a[i].buffer.length && j < 300; j++)
            seen = mix(seen, a[i].buffer.pv[j]);
    }
    for (uint32_t i = ins; i < buffers; i++)
        for (size_t j = 0; j < a[i].buffer.length && j < 300; j++)
            a[i].buffer.pv[j] = (unsigned char)(seen >> j % 56);
    return scalars >> 24 == 1 ? 0 : (int)seen;
}

int plain_skel_invoke(uint32_t scalars, remote_arg *a)
{
    (void)a;
    return scalars >> 24;
}

static int entered, go;

int parked(uint64_t handle, uint32_t scalars, remote_arg *a)
{
    (void)scalars, (void)a;
    __atomic_store_n(&entered, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST))
        ;
    return (int)handle;
}

int has_entered(void) { return __atomic_load_n(&entered, __ATOMIC_SEQ_CST); }
void let_go(int whether) { go = whether, entered = 0; }
"""

HANDLE = 0x30


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("modules")
    source, path = folder / "mixing.c", folder / "libmixing_skel.so"
    source.write_text(SOURCE)
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(path), str(source)], check=True)
    shutil.copy(path, folder / "libplain_skel.so")
    return path


def address_of(library: Path, symbol: str) -> int:
    return ctypes.cast(ctypes.CDLL(str(library))[symbol], ctypes.c_void_p).value or 0


class Owner:
    """What keeps a module's code, in these tests."""


# One lane, and a method that says that it was asked.

ASKED = -99


def asked(*_: object) -> int:
    return ASKED


@needs_compiled
def test_a_call_of_a_module_in_c_is_not_for_the_method(library: Path) -> None:
    """With a handle of the library's own, and without; of the client that has opened it only."""
    with connect(compiled, compiled, asked) as ends:
        plain = address_of(library, "plain_skel_invoke")
        for handle, client in ((HANDLE, CLIENT), (HANDLE + 2, CLIENT + 1), (HANDLE + 1, CLIENT)):
            ends.space.open(handle, client, plain, None, Owner())
        assert ends.call(HANDLE, 6 << 24) == 6
        assert ends.call(HANDLE + 1, 7 << 24) == 7
        assert ends.call(HANDLE + 2, 6 << 24) == ASKED
        assert ends.call(HANDLE + 3, 6 << 24) == ASKED
        mixing = address_of(library, "mixing_skel_handle_invoke")
        ends.space.open(HANDLE + 3, CLIENT, mixing, 5, Owner())
        assert ends.call(HANDLE + 3, 2 << 24) == ctypes.c_int32((5 ^ 2 << 24) * 0x100000001B3).value
        ends.space.close(HANDLE)
        ends.space.close(HANDLE)
        assert ends.call(HANDLE, 6 << 24) == ASKED
        assert ends.call(HANDLE + 1, 7 << 24) == 7


@pytest.mark.parametrize("dsp", CORES)
def test_a_watched_lane_asks_the_method_and_tells_the_end(library: Path, dsp: Any) -> None:
    """Of every call, when the call runs no more; the twin always asks."""
    seen: list[str] = []

    def method(*_: object) -> int:
        seen.append("asked")
        return ASKED

    def ended() -> None:
        seen.append("runs" if ends.server.runs() else "ended")

    with connect(dsp, dsp, method, ended=ended) as ends:
        ends.space.open(HANDLE, CLIENT, address_of(library, "plain_skel_invoke"), None, Owner())
        assert ends.call(HANDLE, 6 << 24) == (6 if dsp is compiled else ASKED)
        assert "ended" not in seen
        ends.server.watch()  # the end of the call before may be told, too: it is after its answer
        for _ in range(2):
            assert ends.call(HANDLE, 6 << 24) == ASKED
        until(lambda: seen[-4:] == ["asked", "ended"] * 2)


@pytest.mark.parametrize("dsp", CORES)
def test_the_end_of_a_call_that_failed_or_is_noted_is_told(library: Path, dsp: Any) -> None:
    """Before its answer, with the thread of the caller; of others nothing is told."""
    told: list[tuple[int, int]] = []
    notes = False

    def method(handle: int, word: int, tid: int, found: object) -> int:
        if notes:
            assert ends.server.note() == tid
        return word >> 24

    def over(tid: int, result: int) -> None:
        told.append((tid, result))

    with connect(dsp, dsp, method, over=over) as ends:
        ends.space.open(HANDLE, CLIENT, address_of(library, "plain_skel_invoke"), None, Owner())
        for handle in (HANDLE, HANDLE + 1):
            assert ends.call(handle, 6 << 24) == 6
            assert ends.call(handle) == 0
        assert told == [(os.getpid(), 6)] * 2
        notes = True
        assert ends.call(HANDLE + 1) == 0
        assert told[2:] == [(os.getpid(), 0)]
        notes = False
        assert ends.call(HANDLE + 1) == 0
        assert len(told) == 3


@pytest.fixture
def parked(library: Path) -> Iterator[Any]:
    """The library whose function `parked` runs until it is let go."""
    functions = ctypes.CDLL(str(library))
    functions.let_go(0)
    yield functions
    functions.let_go(1)


def park(ends: Ends, functions: Any) -> None:
    ends.pool.send(1, InvokeMessage(client_id=CLIENT, context=1 << 4, handle=HANDLE).pack())
    until(functions.has_entered)


def result_of(ends: Ends) -> int:
    assert ends.pool.wait(1) == Woken.RUNG
    return int.from_bytes(ends.pool.answer(1)[8:12], "little", signed=True)


@needs_compiled
def test_code_is_kept_while_a_call_is_in_it(library: Path, parked: Any) -> None:
    """The owner goes when the last call in a closed module has ended, before its answer."""
    gone = threading.Event()

    class Library(Owner):
        def __del__(self) -> None:
            gone.set()

    with connect(compiled, compiled, asked) as ends:
        ends.space.open(HANDLE, CLIENT, address_of(library, "parked"), 5, Library())
        park(ends, parked)
        ends.space.close(HANDLE)
        assert ends.server.runs() and not gone.is_set()
        parked.let_go(1)
        assert result_of(ends) == 5
        assert gone.is_set()
        assert ends.call(HANDLE) == ASKED
        ends.space.open(HANDLE, CLIENT, address_of(library, "parked"), 5, Library())
        gone.clear()
        ends.space.close(HANDLE)
        assert gone.is_set()


@needs_compiled
def test_a_call_in_c_may_be_answered_before_it_ends(library: Path, parked: Any) -> None:
    """Once, by whoever comes first; a lane that is watched meanwhile tells the end."""
    ended = threading.Event()
    with connect(compiled, compiled, asked, ended=ended.set) as ends:
        ends.space.open(HANDLE, CLIENT, address_of(library, "parked"), 5, Owner())
        park(ends, parked)
        ends.server.watch()
        ends.server.answer(-3)
        ends.server.answer(-4)
        assert result_of(ends) == -3
        assert ends.server.runs() and not ended.is_set()
        parked.let_go(1)
        assert ended.wait(30)
        assert not ends.server.runs()
        assert int.from_bytes(ends.pool.answer(1)[8:12], "little", signed=True) == -3
        assert ends.call(HANDLE) == ASKED


# A process, asked by a lane that goes straight to C and by one whose every call goes the long way.


MIXING, PLAIN, NOBODY = range(FIRST_OPENED, FIRST_OPENED + 3)


class Domain:
    """A protection domain with the module opened."""

    def __init__(self, folder: Path) -> None:
        self.control, self.far = Endpoint.pair()
        self.process = Process(ProtectionDomain.USER, "cdsp", {}, 1 << 20)
        self.process.log.disabled = True
        self.session = self.process.open(CLIENT, self.control)
        self.session.step(LifeEvent.CREATE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(FOLDERS_VARIABLE, str(folder))
            assert self._open("mixing_skel_handle_invoke&_modver=1.0", "mixing") == MIXING
            assert self._open("plain_skel_invoke", "plain") == PLAIN

    def _open(self, rest: str, name: str) -> int:
        return self.process.modules.open(CLIENT, f"file:///lib{name}_skel.so?{rest}")

    def close(self) -> None:
        self.process.end()
        self.process.go(self.session)
        for endpoint in (self.control, self.far):
            endpoint.close()

    def results(self, calls: list[tuple[InvokeMessage, bytes]], watched: bool) -> list[Any]:
        """Results with the message memory after each call, and a checksum of the rest."""
        handles: list[int] = []

        def method(handle: int, word: int, tid: int, found: Any) -> int:
            if not isinstance(found, int):
                handles.append(handle)
            return self.process.run(self.session, handle, word, found)

        seen: list[Any] = []
        with connect(compiled, compiled, method, 0, space=self.process.space.bus) as ends:
            if watched:
                ends.server.watch()
            for message, metadata in calls:
                ends.memory[SLOT : 2 * SLOT] = bytes(range(256)) * (SLOT // 256)
                ends.memory[SLOT : SLOT + len(metadata)] = metadata
                ends.pool.send(1, message.pack())
                assert ends.pool.wait(1) == Woken.RUNG
                seen.append((ends.pool.answer(1), ends.memory[SLOT : 2 * SLOT]))
            with memoryview(ends.memory) as memory:  # 16 MB
                seen.append(zlib.crc32(memory[2 * SLOT :]))
        assert watched or not {MIXING, PLAIN} & set(handles)
        return seen


@pytest.fixture(scope="module")
def domain(library: Path) -> Iterator[Domain]:
    made = Domain(library.parent)
    yield made
    made.close()


@pytest.mark.skipif(not IS_COMPILED, reason="the core has not been compiled, or is not chosen")
@given(st.lists(messages((MIXING, MIXING, MIXING, PLAIN, NOBODY), NEAR), min_size=1, max_size=4))
@settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_both_ways_into_c_do_the_same(
    domain: Domain, calls: list[tuple[InvokeMessage, bytes]]
) -> None:
    """Good calls and nonsense: the same statuses, the same bytes, and C that sees the same."""
    assert domain.results(calls, watched=False) == domain.results(calls, watched=True)
