"""Skeletons in C: arguments without copies, statuses, the life of a handle, and crashes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import qda
from qda.client import RemoteModule, Session
from qda.dsp.native import NativeModule, native_skeleton
from qda.dsp.skeleton import HandleArgument
from qda.errors import (
    BAD_HANDLE,
    BAD_PARAMETER,
    BAD_STATE,
    PROCESS_DIED,
    UNABLE_TO_LOAD,
    UNSUPPORTED,
    StatusError,
)
from qda.fastrpc.scalars import Scalars
from qda.virtual import Machine, load_profile
from tests.system import open_session

SOURCE = r"""
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef union {
    struct { void *pv; size_t length; } buffer;
    uint64_t handle;
    struct { int32_t fd; uint32_t offset; } dma;
} remote_arg;

int32_t (*qda_adsp_mmap_fd_getinfo)(int32_t fd, uint32_t *length);

static int inside;

int first_skel_handle_invoke(uint64_t handle, uint32_t scalars, remote_arg *a)
{
    struct timespec pause = {0, 1000000};

    switch (scalars >> 24) {
    case 0: /* open: the handle is the length of the URI; an empty one is refused */
        a[2].handle = 0x1122334400000000 + *(uint32_t *)a[0].buffer.pv;
        return strlen(a[1].buffer.pv) ? 0 : 7;
    case 1: /* close */
        return handle == a[0].handle ? 0 : 8;
    case 2: /* in-buffer to out-buffer, with the addresses of both */
        memcpy(a[2].buffer.pv, a[0].buffer.pv, a[0].buffer.length);
        ((uint64_t *)a[3].buffer.pv)[0] = (uintptr_t)a[0].buffer.pv;
        ((uint64_t *)a[3].buffer.pv)[1] = (uintptr_t)a[2].buffer.pv;
        ((uint64_t *)a[3].buffer.pv)[2] = a[1].buffer.pv == NULL && !a[1].buffer.length;
        ((uint64_t *)a[3].buffer.pv)[3] = handle;
        return 0;
    case 3: /* a status of the DSP */
        return (int)0x80000414;
    case 4: /* crash */
        return raise(SIGSEGV);
    case 5: { /* wait until two threads are here */
        __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        for (int i = 0; i < 10000 && __atomic_load_n(&inside, __ATOMIC_SEQ_CST) < 2; i++)
            nanosleep(&pause, NULL);
        return inside < 2;
    }
    case 6: { /* fd, offset, and length of a dmahandle */
        uint32_t *out = a[0].buffer.pv;
        out[0] = a[1].dma.fd;
        out[1] = a[1].dma.offset;
        return qda_adsp_mmap_fd_getinfo(a[1].dma.fd, &out[2]);
    }
    case 7: { /* length of any fd */
        uint32_t length;
        return qda_adsp_mmap_fd_getinfo(*(int32_t *)a[0].buffer.pv, &length);
    }
    case 8: /* print */
        return puts("printed in C") < 0;
    }
    return 20;
}

int second_skel_invoke(uint32_t scalars, remote_arg *a)
{
    (void)a;
    return scalars >> 24;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("native")
    source, path = folder / "first.c", folder / "libfirst_skel.so"
    source.write_text(SOURCE)
    flags = ["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", str(path), str(source)], check=True)
    return path


@pytest.fixture
def first(library: Path, session: Session) -> Iterator[RemoteModule]:
    """The skeleton in a session."""
    with session.load(native_skeleton(library, "first")) as found:
        yield found


def echo(module: NativeModule, data: bytes = b"1") -> list[int]:
    """Call method 2: addresses of both buffers, whether an empty one has none, the handle."""
    places = np.zeros(4, np.uint64)
    room = memoryview(bytearray(len(data)))
    views = [memoryview(data), memoryview(b""), room, memoryview(places.data)]
    module.invoke(Scalars(2, 2, 2), views)
    return [int(place) for place in places]


@pytest.fixture
def module(library: Path) -> Iterator[NativeModule]:
    found = NativeModule(library, "first")
    found.open("u")
    yield found
    found.close()


def test_arguments_are_the_callers_own_memory(module: NativeModule) -> None:
    """C gets the addresses of the views, of read-only ones too; nothing is copied."""
    given, result = np.arange(64, dtype=np.uint8), np.zeros(64, np.uint8)
    places = np.zeros(4, np.uint64)
    views = [memoryview(given.data).toreadonly(), memoryview(b""), memoryview(result.data)]
    assert module.invoke(Scalars(2, 2, 2), [*views, memoryview(places.data).cast("B")]) == 0
    assert (result == given).all()
    assert places[0] == given.ctypes.data
    assert places[1] == result.ctypes.data


def test_an_empty_buffer_has_no_address(module: NativeModule) -> None:
    """An argument of length 0 is NULL in C."""
    assert echo(module)[2] == 1


def test_the_handle_that_open_returns_is_passed_to_calls_and_close(library: Path) -> None:
    """Open goes through the skeleton as method 0, close as method 1 (idl.md 7)."""
    module = NativeModule(library, "first")
    module.open("file:///x")
    assert echo(module)[3] == 0x1122334400000000 + len("file:///x") + 1
    module.close()  # C compares the handle
    module.close()
    with pytest.raises(StatusError) as caught:
        module.invoke(Scalars(3), [])
    assert caught.value.status == BAD_HANDLE


def test_a_skeleton_can_refuse_to_be_opened(library: Path) -> None:
    """The status of method 0 is the error of the open."""
    module = NativeModule(library, "first")
    with pytest.raises(StatusError) as caught:
        module.open("")
    assert caught.value.status == 7


def test_an_interface_without_handles_is_called_at_once(library: Path) -> None:
    """`X_skel_invoke` gets scalars and arguments only."""
    module = NativeModule(library, "second", handle64=False)
    module.open("second")
    assert module.invoke(Scalars(6), []) == 6
    module.close()


def test_what_cannot_be_loaded_is_a_status(library: Path) -> None:
    """A missing file and a missing entry: UNABLE_TO_LOAD, and a text that says what is missing."""
    for path, name, words in (
        (library.with_name("none.so"), "first", "none.so"),
        (library, "other", "other_skel_handle_invoke"),
        (library, "second", "second_skel_handle_invoke"),
    ):
        with pytest.raises(StatusError) as caught:
            NativeModule(path, name)
        assert caught.value.status == UNABLE_TO_LOAD
        assert words in caught.value.text


def test_a_skeleton_asks_for_the_length_behind_a_dmahandle(library: Path) -> None:
    """`adsp_mmap_fd_getinfo` knows the running call's handles, then mappings; else it fails."""

    def length_of(fd: int) -> int:
        if fd != 9:
            raise StatusError(BAD_PARAMETER, "no such fd")
        return 512

    module = NativeModule(library, "first", length_of=length_of)
    module.open("u")
    handle = HandleArgument(5, 64, 4096, 5 | 64 << 32, None)
    out = np.zeros(3, np.uint32)
    assert module.invoke(Scalars(6, 0, 1, 1), [memoryview(out.data), handle]) == 0
    assert out.tolist() == [5, 64, 4096]
    for fd, failed in ((9, False), (5, True)):
        status = module.invoke(Scalars(7, 1), [memoryview(fd.to_bytes(4, "little"))])
        assert bool(status) == failed
    module.close()


def test_a_c_skeleton_is_loaded_like_a_class(first: RemoteModule) -> None:
    """In a session: bytes go there and back, and a status in C is the status of the call."""
    result, _ = first.invoke(2, [b"abc", b""], [3, 32])
    assert result == b"abc"
    with pytest.raises(qda.DspError) as caught:
        first.invoke(3)
    assert caught.value.status == UNSUPPORTED


def test_a_dmahandle_of_a_session_reaches_c(first: RemoteModule, session: Session) -> None:
    """Offset and length of a buffer object, as the skeleton sees them."""
    array = session.empty(5000, np.uint8)
    out = np.frombuffer(first.invoke(6, [], [12], [array[100:300]])[0], np.uint32)
    assert out[1:].tolist() == [100, 200]


def test_calls_run_in_c_at_the_same_time(first: RemoteModule) -> None:
    """While one call is in C, another one enters: each waits there for the other."""
    other = qda.start(first.invoke, 5)
    first.invoke(5, timeout=30)
    other.result(30)


def test_a_crash_in_c_ends_its_protection_domain_only(library: Path, machine: Machine) -> None:
    """The call ends with 39, later ones with 0x8000040D; a neighbour goes on (U7)."""
    with open_session(machine) as victim, open_session(machine) as neighbour:
        broken = victim.load(native_skeleton(library, "first"))
        healthy = neighbour.load(native_skeleton(library, "first"))
        for status, method in ((PROCESS_DIED, 4), (BAD_STATE, 3)):
            with pytest.raises(qda.DspError) as caught:
                broken.invoke(method)
            assert caught.value.status == status
        assert healthy.invoke(2, [b"a", b""], [1, 32])[0] == b"a"


def test_a_missing_library_is_the_error_of_the_open(session: Session, tmp_path: Path) -> None:
    """The client reads which file could not be loaded."""
    with pytest.raises(qda.DspError) as caught:
        session.load(native_skeleton(tmp_path / "libnone.so", "none"))
    assert caught.value.status == UNABLE_TO_LOAD
    assert "libnone.so" in str(caught.value)


class Prints(qda.Skeleton):
    """Prints in Python."""

    @qda.method(2)
    def print(self) -> None:
        print("printed in Python")
        print("and an error", file=sys.stderr)


def test_what_skeletons_print_is_written_when_they_return(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to a file, which is no terminal; their process ends without a word."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        system = Machine(load_profile("generic"), output=(out.fileno(), err.fileno()))
        with open_session(system) as session:
            with session.load(native_skeleton(library, "first")) as first:
                first.invoke(8)
            assert os.pread(out.fileno(), 100, 0) == b"printed in C\n"
            with session.load(Prints) as prints:
                prints.invoke(2)
            assert os.pread(out.fileno(), 100, 0) == b"printed in C\nprinted in Python\n"
            assert os.pread(err.fileno(), 100, 0) == b"and an error\n"
        system.close()
