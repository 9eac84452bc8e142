"""A protection domain that dies is explained: by what, where, in C and in Python.

The error of the call says so in its first line, the session's log once; after that nothing that
ends says anything.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qda
from qda.dsp.black_box import KeptLog, handler
from qda.dsp.ending import obituary
from qda.dsp.native import native_skeleton
from qda.errors import BAD_STATE, PROCESS_DIED
from qda.fastrpc.obituary import Obituary
from qda.idl.c import INCLUDE, write_files
from qda.limits import KEPT_LOG
from tests.idl.native.compiler import find_compiler
from tests.shim.system import needs_gcc_library

needs_handler = pytest.mark.skipif(handler() is None, reason="the handler's library was not built")

INTERFACE = """
#include "remote.idl"
interface victim : remote_handle64 {
    long die(in string how, in long where, rout long lived);
};
"""
victim: Any = qda.idl.load(INTERFACE, name="victim.idl")

WAYS: dict[str, Callable[[], object]] = {
    "null": lambda: ctypes.string_at(0),
    "wild": lambda: ctypes.string_at(0x1234_5678_9000),
    "abort": os.abort,
    "_exit": lambda: os._exit(3),
    "exit": lambda: ctypes.CDLL(None).exit(5),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "term": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "int": lambda: os.kill(os.getpid(), signal.SIGINT),
    "stack": lambda: deeper([0]),
    "deaf": lambda: os.closerange(0, 4096),
    "nothing": lambda: None,
}


def deeper(given: list[int]) -> list[Any]:
    """Call itself through C until the stack is full."""
    sys.setrecursionlimit(1 << 30)
    return [*map(deeper, [given])]


class Victim(victim.Skeleton):  # type: ignore[misc]
    """Dies in many ways, in a call or in a thread of its own."""

    def die(self, how: str, where: int) -> int:
        self.dsp.log.warning("going to die: %s", how)
        if how == "host":
            self.dsp.environment.get("VICTIM", "")
            os._exit(6)
        if not where:
            WAYS[how]()
        else:
            thread = threading.Thread(target=WAYS[how])
            thread.start()
            if where == 1:
                thread.join()
        return 1


class Doorstep(Victim):
    """Dies when it is opened or closed, as the host says."""

    def open(self, uri: str) -> None:
        if self.dsp.environment["VICTIM"] == "opening":
            ctypes.string_at(0)

    def close(self) -> None:
        if self.dsp.environment["VICTIM"] == "closing":
            ctypes.string_at(0)


@pytest.fixture
def session() -> Iterator[qda.Session]:
    with qda.open("cdsp", device="virtual") as found:
        yield found


PYTHON = {
    "null": r"died of SIGSEGV at address 0x0, a null pointer, .*called by <lambda> at test_deaths",
    "wild": r"died of SIGSEGV at address 0x123456789000, where nothing is mapped, .*<lambda>",
    "abort": r"died of SIGABRT, in die at test_deaths",
    "_exit": r"has ended itself: exit status 3, in <lambda> at test_deaths",
    "exit": r"has ended itself: exit status 5",
    "kill": r"was killed by SIGKILL: by somebody, or by the system for want of memory",
    "term": r"was ended by SIGTERM",
    "int": r"was ended by SIGINT",
    "stack": r"died of SIGSEGV at address 0x\w+: the stack is full, in deeper at test_deaths",
}


def check(error: qda.DspError, words: str, status: int = PROCESS_DIED) -> None:
    """An error explains a death: in its first line, with where it was in a note."""
    first = str(error).splitlines()[0]
    assert error.status == status
    assert re.search(f": the protection domain {words}", first), first
    assert first.endswith(error.detail)
    assert "\n".join(error.backtrace) == "\n".join(getattr(error, "__notes__", []))


@needs_handler
@pytest.mark.parametrize("how", PYTHON)
def test_a_death_in_python_is_explained(session: qda.Session, how: str) -> None:
    """By signal or exit status, address, and the lines of Python that ran; the log that it has left
    goes with the error, and how it died stands in the session's log, once."""
    with session.load(Victim) as remote:
        with pytest.raises(qda.DspError) as caught:
            remote.die(how, 0)
        check(caught.value, PYTHON[how])
        assert caught.value.log == (f"WARNING going to die: {how}",)
        if how not in ("kill", "term", "int", "exit"):
            assert "in die" in str(caught.value.backtrace) or how == "stack"
            assert "serving.py" not in str(caught.value.backtrace)
        with pytest.raises(qda.DspError) as caught:
            remote.die("null", 0)
        check(caught.value, PYTHON[how], BAD_STATE)
    told = session.read_log()
    assert re.fullmatch(f"the protection domain {PYTHON[how]}.*", told[0])
    assert told[1:] == list(caught.value.backtrace)
    assert session.read_log() == []


def call_until_it_dies(remote: Any, how: str = "nothing", where: int = 0) -> None:
    """Call, and go on with calls that do nothing until one of them finds nobody."""
    remote.die(how, where)
    while True:
        remote.die("nothing", 0)


@needs_handler
@pytest.mark.parametrize("where", [1, 2])
def test_a_death_in_a_thread_of_its_own_is_explained(session: qda.Session, where: int) -> None:
    """The thread's lines, whether a call waits for it or the next one finds nobody."""
    with session.load(Victim) as remote:
        with pytest.raises(qda.DspError) as caught:
            call_until_it_dies(remote, "null", where)
        assert "<lambda>" in str(caught.value.backtrace)
        check(caught.value, PYTHON["null"], caught.value.status)


def test_a_process_whose_descriptors_a_skeleton_has_closed_ends(session: qda.Session) -> None:
    """It hears of no call any more, nor of its end: who called would wait for ever."""
    with session.load(Victim) as remote, pytest.raises(qda.DspError, match="exit status 1") as it:
        call_until_it_dies(remote, "deaf")
    assert it.value.status in (PROCESS_DIED, BAD_STATE)


@needs_handler
@pytest.mark.parametrize("when", ["opening", "closing"])
def test_a_death_when_a_module_begins_or_ends_is_explained(
    session: qda.Session, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the open, or of the close, which is the first to know."""
    monkeypatch.setenv("VICTIM", when)
    session.serve_host()
    with pytest.raises(qda.DspError) as caught, session.load(Doorstep):
        assert when == "closing"
    check(caught.value, "died of SIGSEGV at address 0x0")
    assert f"in {when.removesuffix('ing').replace('clos', 'close')}" in str(caught.value.backtrace)


def test_a_death_beside_a_reverse_call_is_explained(session: qda.Session) -> None:
    """With threads of the host parked at the process."""
    session.serve_host()
    with session.load(Victim) as remote, pytest.raises(qda.DspError) as caught:
        remote.die("host", 0)
    check(caught.value, "has ended itself: exit status 6, in die at test_deaths")


def test_the_end_of_the_root_protection_domain_is_explained() -> None:
    """It takes the DSP along; whoever else had a session there is told, too."""
    with (
        qda.open("cdsp", device="virtual", process="root") as session,
        qda.open("cdsp", device="virtual") as other,
        session.load(Victim) as remote,
        other.load(Victim) as bystander,
    ):
        words = r"the DSP is gone: .* exit status 3, in <lambda>"
        with pytest.raises(qda.DeviceError, match=words):
            remote.die("_exit", 0)
        with pytest.raises(qda.DeviceError, match=words):
            call_until_it_dies(bystander)


SILENT = """
import ctypes, signal, sys, os
import qda
class Victim(qda.Skeleton):
    @qda.method(2)
    def die(self):
        import ctypes
        ctypes.string_at(0)
try:
    with qda.open("cdsp", device="virtual") as session:
        {serve}
        with session.alloc(4096) as buffer, session.map(buffer), session.load(Victim) as module:
            module.invoke(2)
except {caught} as error:
    print(type(error).__name__, error.__context__)
"""


@pytest.mark.parametrize("serve", ["pass", "session.serve_host()"])
def test_what_ends_after_a_death_is_silent(serve: str) -> None:
    """Modules, mappings and sessions: the first error is what leaves the blocks, and nothing goes
    to standard error."""
    program = SILENT.format(serve=serve, caught="qda.DspError")
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("DspError None\n", "")


INTERRUPTED = """
import os, signal
import qda
class Victim(qda.Skeleton):
    @qda.method(2)
    def die(self):
        import os
        os._exit(1)
with qda.open("cdsp", device="virtual") as session, session.load(Victim) as module:
    try:
        module.invoke(2)
    except qda.DspError:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
"""


def test_ctrl_c_after_a_death_is_nothing_but_ctrl_c() -> None:
    """KeyboardInterrupt, and no error of the sessions that it ends."""
    ran = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert ran.returncode == -signal.SIGINT
    assert ran.stderr.splitlines()[-1].startswith("KeyboardInterrupt")
    assert ran.stderr.count("KeyboardInterrupt") == 1
    assert ran.stderr.count("Traceback") == 2  # the error that was being handled, and it


IN_C = r"""
#define _GNU_SOURCE
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "victim.h"

static int deeper(volatile char* given) {
    volatile char room[4096];
    room[0] = *given;
    return deeper(room) + room[1];
}
static void die(const char* how) {
    int* volatile null = 0;
    void (*volatile nothing)(void) = 0;
    char byte = 0;
    if (!strcmp(how, "null")) *null = 1;
    if (!strcmp(how, "jump")) nothing();
    if (!strcmp(how, "library")) memset((void*)8, 0, 100);
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "assert")) assert(!"so it is");
    if (!strcmp(how, "free")) free(&byte + 8);
    if (!strcmp(how, "exit")) exit(5);
    if (!strcmp(how, "_exit")) _exit(6);
    if (!strcmp(how, "raise")) raise(SIGSEGV);
    if (!strcmp(how, "trap")) __builtin_trap();
    if (!strcmp(how, "divide")) byte = 100 / byte;
    if (!strcmp(how, "file")) *(int*)mmap(0, 1, 3, MAP_SHARED, memfd_create("", 0), 0) = 1;
    if (!strcmp(how, "stack")) deeper(&byte);
}
static void* begin(void* how) {
    die(how);
    return 0;
}
int victim_open(const char* uri, remote_handle64* handle) {
    (void)uri;
    *handle = 1;
    return 0;
}
int victim_close(remote_handle64 h) {
    (void)h;
    return 0;
}
int victim_die(remote_handle64 h, const char* how, int where, int* lived) {
    pthread_t thread;
    (void)h;
    *lived = 1;
    if (!where)
        die(how);
    else if (!pthread_create(&thread, 0, begin, (void*)how))
        pthread_join(thread, 0);
    return 0;
}
"""

NATIVE = {
    "null": r"died of SIGSEGV at address 0x0, a null pointer, in die",
    "jump": r"died of SIGSEGV at address 0x0, where there is no code to run, in die",
    "library": r"died of SIGSEGV at address 0x8, close to a null pointer, in .*called by die",
    "abort": r"died of SIGABRT, in die",
    "assert": r"died of SIGABRT: .*impl\.c:\d+: die: Assertion .*so it is.* in die",
    "free": r"died of SIGABRT: (free|munmap_chunk)\(\): invalid pointer, in die",
    "exit": r"has ended itself: exit status 5, in die",
    "_exit": r"has ended itself: exit status 6",
    "raise": r"died of SIGSEGV, which was sent to it, in die",
    "trap": r"died of SIG(ILL|TRAP), in die",
    "divide": r"died of SIGFPE: an integer was divided by zero, in die",
    "file": r"died of SIGBUS: memory of a file that has become shorter, in die",
    "stack": r"died of SIGSEGV at address 0x\w+: the stack is full, in deeper",
}
GLIBC_ONLY = "assert", "free"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the victim in C, and with one in C++."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("victims")
    write_files(qda.idl.parse(INTERFACE, name="victim.idl"), folder)
    (folder / "impl.c").write_text(IN_C)
    flags = ["-g", "-O0", "-w", "-shared", "-fPIC", "-pthread", f"-I{folder}", f"-I{INCLUDE}"]
    sources = ["victim_skel.c", "impl.c"]
    command = [compiler, *flags, *sources, "-o", "libvictim_skel.so"]
    subprocess.run(command, check=True, cwd=folder)
    return folder


@needs_handler
@pytest.mark.parametrize("where", [0, 1])
@pytest.mark.parametrize("how", NATIVE)
def test_a_death_in_c_is_explained(
    session: qda.Session, built: Path, monkeypatch: pytest.MonkeyPatch, how: str, where: int
) -> None:
    """By signal or exit status, address, and the functions that were called, in a call as in a
    thread of C's own.  Lines of source are there where somebody can look them up."""
    if how in GLIBC_ONLY and not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("only glibc keeps why it aborts")
    if how == "divide" and platform.machine() != "x86_64":
        pytest.skip("this processor divides by zero")
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(built))
    with session.load(victim) as remote, pytest.raises(qda.DspError) as caught:
        remote.die(how, where)
    if how == "stack" and where:  # there the handler has no stack of its own
        check(caught.value, "was ended by SIGSEGV: perhaps a thread's stack was full")
        return
    check(caught.value, NATIVE[how])
    if how not in ("_exit", "stack"):
        trace = str(caught.value.backtrace)
        assert how == "jump" or ("begin" if where else "victim_die") in trace
        assert "Py" not in trace
    if how == "stack":
        assert re.search(r"deeper.* \(\d+ times\)", str(caught.value.backtrace))


THROWS = r"""
#include <stdexcept>
namespace of { struct one : std::runtime_error { using std::runtime_error::runtime_error; }; }
extern "C" int thrower_skel_invoke(unsigned scalars, void*) {
    if (scalars >> 24 == 2) throw std::runtime_error("boom");
    throw of::one("boom");
}
"""


@needs_handler
def test_an_exception_of_cpp_is_named(session: qda.Session, tmp_path: Path) -> None:
    """Its type, if nobody has caught it."""
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    source, library = tmp_path / "thrower.cpp", tmp_path / "libthrower_skel.so"
    source.write_text(THROWS)
    flags = ["-g", "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run([compiler, *flags], check=True)
    made = native_skeleton(library, "thrower", handle64=False)
    with session.load(made) as module, pytest.raises(qda.DspError) as caught:
        module.invoke(2)
    check(caught.value, "died of SIGABRT: a C.. exception that nobody caught, std::runtime_error")
    with (
        qda.open("cdsp", device="virtual") as other,
        other.load(made) as module,
        pytest.raises(qda.DspError, match="nobody caught, of::one"),
    ):
        module.invoke(3)


# What the words are made of.


@given(st.lists(st.text() | st.sampled_from(["frame 12", "maps", "signal b code 1", "end"])))
def test_a_process_may_leave_anything_behind(said: list[str]) -> None:
    """What is not understood is left out; there are always words."""
    for status in (signal.SIGSEGV, signal.SIGKILL, 3 << 8, 99):
        words = obituary(status, [(7, "a line")], said)
        assert words.sentence.startswith("the protection domain ")
        assert Obituary.unpack(words.pack()) is not None


@given(st.lists(st.binary(max_size=5000), max_size=60), st.integers(0, 60))
def test_the_log_that_is_kept_is_what_was_not_fetched(lines: list[bytes], fetched: int) -> None:
    """The last of it, if it is too long."""
    memory = bytearray(KEPT_LOG + 16)
    kept = KeptLog(memoryview(memory))
    ended = [line.replace(b"\n", b" ") + b"\n" for line in lines]
    entries = [b"7 " + line for line in ended]
    for entry in entries:
        kept.put(entry)
    kept.keep(entries[fetched:])
    rest = b"".join(entries[fetched:])[-KEPT_LOG:].decode("utf-8", "replace")
    found = KeptLog.lines(bytes(memory))
    assert [line for _, line in found[1:]] == [
        line.removeprefix("7 ") for line in rest.split("\n")[1:-1]
    ]


def test_the_log_that_is_kept_says_which_call_was_not_over() -> None:
    """Of each line: a thread whose call is over may have begun another one."""
    memory = bytearray(KEPT_LOG + 16)
    kept = KeptLog(memoryview(memory))
    for line in (b"7 INFO first\n", b"8 INFO other\n"):
        kept.put(line)
    kept.over(7)
    kept.put(b"7 INFO second\n")
    found = KeptLog.lines(bytes(memory))
    assert found == [(0, "INFO first"), (8, "INFO other"), (7, "INFO second")]


OVERRUN = r"""
#include <stdlib.h>
int over_skel_invoke(unsigned scalars, void* arguments) {
    char* volatile room = malloc(16);
    (void)arguments;
    room[(scalars >> 24 & 31) * 8] = 1;
    free(room);
    return 0;
}
"""

UNDER_SANITIZER = """
import qda
from qda.dsp.native import native_skeleton
with qda.open("cdsp", device="virtual") as session:
    module = session.load(native_skeleton("libover_skel.so", "over", handle64=False))
    module.invoke(0)
    try:
        module.invoke(2)
    except qda.DspError as error:
        print(error.detail)
        print(*error.backtrace, sep=chr(10))
"""


@needs_handler
@needs_gcc_library("libasan.so")
def test_a_report_of_address_sanitizer_is_the_explanation(tmp_path: Path) -> None:
    """The recipe of docs/when-it-goes-wrong.md."""
    (tmp_path / "over.c").write_text(OVERRUN)
    flags = ["-g", "-fsanitize=address", "-shared", "-fPIC"]
    command = ["gcc", *flags, "over.c", "-o", "libover_skel.so"]
    subprocess.run(command, check=True, cwd=tmp_path)
    asked = ["gcc", "-print-file-name=libasan.so"]
    library = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    ran = subprocess.run(
        [sys.executable, "-c", UNDER_SANITIZER],
        env={**os.environ, "LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "has ended itself: AddressSanitizer: heap-buffer-overflow" in ran.stdout, ran.stderr
    assert re.search(r"#0 .* in over_skel_invoke .*over\.c:6", ran.stdout)
