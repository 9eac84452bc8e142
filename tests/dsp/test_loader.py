"""Modules from files: found along the host's search path, loaded into the process of the DSP."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda import limits
from qda.client import Session
from qda.dsp.library_file import check_library
from qda.dsp.native import NativeLibrary, NativeModule
from qda.errors import BAD_STATE, PROCESS_DIED, UNABLE_TO_LOAD, UNSUPPORTED, StatusError
from qda.fastrpc.control import ProcessMethod
from qda.fastrpc.handles import Fixed
from qda.fastrpc.remotectl import OpenAnswer, OpenRequest
from qda.idl.c import INCLUDE, write_files
from qda.virtual import Machine
from tests.idl.native.compiler import find_compiler
from tests.system import new_machine, open_session

HERE = Path(__file__).parent
RUNTIME = sorted(map(str, (HERE.parents[1] / "native" / "runtime").glob("*.c")))

CALCULATOR = """
#include "remote.idl"
interface calculator : remote_handle64 {
    long sum(in sequence<long> numbers, rout long long total);
    long crash();
    long whisper(in string words);
    long first_byte(in long fd, rout octet value);
    long ask(in long number, rout long answer);
    long opened(rout long count);
};
"""

ORACLE = "interface oracle { long ask(in long number, rout long answer); };"

IMPLEMENTATION = r"""
#include <signal.h>
#include <stdlib.h>
#include "HAP_farf.h"
#include "HAP_mem.h"
#include "HAP_perf.h"
#include "calculator.h"
#include "oracle.h"

static int count;

int calculator_open(const char* uri, remote_handle64* handle) {
    (void)uri;
    *handle = (remote_handle64)++count;
    return 0;
}
int calculator_close(remote_handle64 h) {
    (void)h;
    return 0;
}
int calculator_sum(remote_handle64 h, const int* numbers, int length, int64* total) {
    (void)h;
    *total = 0;
    for (int i = 0; i < length; i++) *total += numbers[i];
    return 0;
}
int calculator_crash(remote_handle64 h) {
    (void)h;
    return raise(SIGSEGV);
}
int calculator_whisper(remote_handle64 h, const char* words) {
    (void)h;
    FARF(ERROR, "someone says %s", words);
    FARF(RUNTIME_LOW, "%d at %d", 1, HAP_perf_get_time_us() > 0);
    return 0;
}
int calculator_first_byte(remote_handle64 h, int fd, uint8* value) {
    void* address;
    uint64_t physical;
    int status = HAP_mmap_get(fd, &address, &physical);
    (void)h;
    if (status) return status;
    *value = *(uint8*)HAP_mmap(0, 1, HAP_PROT_READ, 0, fd, 0);
    if (address == 0 || HAP_mmap(0, 1 << 30, HAP_PROT_READ, 0, fd, 0) != HAP_MEM_FAILED) return 1;
    return HAP_mmap_put(fd);
}
int calculator_ask(remote_handle64 h, int number, int* answer) {
    (void)h;
#ifdef WITH_HOST
    return oracle_ask(number, answer);
#else
    *answer = number;
    return 0;
#endif
}
int calculator_opened(remote_handle64 h, int* opened) {
    (void)h;
    *opened = count;
    return 0;
}
"""

calculator: Any = qda.idl.load(CALCULATOR, name="calculator.idl")
oracle: Any = qda.idl.load(ORACLE, name="oracle.idl")


def compile_c(folder: Path, output: Path, sources: list[str], *flags: str) -> None:
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    output.parent.mkdir(parents=True, exist_ok=True)
    warnings = ("-Wall", "-Wextra", "-Werror", "-shared", "-fPIC")
    folders = f"-I{folder}", f"-I{INCLUDE}"
    command = [compiler, *warnings, *folders, *flags, *sources, "-o", str(output)]
    subprocess.run(command, check=True, cwd=folder)


def runtime_library(folder: Path) -> Path:
    """The runtime: the package's own if it is of these sources, else one that is compiled."""
    own = Path(qda.__file__).parent / "dsp" / "libqda_runtime.so"
    sources = [*map(Path, RUNTIME), *INCLUDE.glob("*.h")]
    newest = max(source.stat().st_mtime for source in sources)
    if own.exists() and own.stat().st_mtime > newest:
        return own
    compile_c(folder, folder / own.name, RUNTIME, "-D_GNU_SOURCE", "-pthread")
    return folder / own.name


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the calculator, plain and with calls to the host, and the runtime."""
    folder = tmp_path_factory.mktemp("built")
    for text, name in ((CALCULATOR, "calculator"), (ORACLE, "oracle")):
        document = qda.idl.parse(text, name=f"{name}.idl")
        write_files(document, folder)
    (folder / "impl.c").write_text(IMPLEMENTATION)
    skeleton = ["calculator_skel.c", "impl.c"]
    compile_c(folder, folder / "plain" / "libcalculator_skel.so", skeleton)
    asking = [*skeleton, "oracle_stub.c"]
    compile_c(folder, folder / "asking" / "libcalculator_skel.so", asking, "-DWITH_HOST")
    shutil.copy(runtime_library(folder), folder / "runtime.so")
    return folder


@pytest.fixture(scope="module")
def machine(built: Path) -> Iterator[Machine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QDA_RUNTIME", str(built / "runtime.so"))
        system = new_machine()
        yield system
        system.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path of this program."""
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    monkeypatch.delenv("ADSP_LIBRARY_PATH", raising=False)
    return tmp_path


def refusal(session: Session, uri: str) -> str:
    """What the DSP says to a module that it cannot load."""
    with pytest.raises(qda.DspError) as caught:
        session.load(uri)
    assert caught.value.status == UNABLE_TO_LOAD
    return str(caught.value)


def uri_of(name: str) -> str:
    return f"file:///lib{name}_skel.so?{name}_skel_handle_invoke&_modver=1.0"


# Shared objects.


def test_a_generated_c_skeleton_is_found_and_called(
    built: Path, folder: Path, session: Session
) -> None:
    """From IDL to a call with nothing but a compiler: no path is given to the DSP."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with session.load(calculator) as remote:
        assert remote.sum(np.arange(1000, dtype=np.int32)) == 499500


def test_the_folder_of_the_dsp_comes_first(built: Path, folder: Path, session: Session) -> None:
    """DIR/SUBSYSTEM/NAME, then DIR/NAME (7.5)."""
    (folder / "libcalculator_skel.so").write_bytes(b"broken")
    (folder / "cdsp").mkdir()
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder / "cdsp")
    with session.load(calculator) as remote:
        assert remote.sum([1, 2]) == 3


def test_a_library_is_loaded_once_and_unloaded_with_its_last_handle(
    built: Path, folder: Path, session: Session
) -> None:
    """Two handles share its variables; the next one starts afresh, from the file as it is then."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with session.load(calculator), session.load(calculator) as second:
        assert second.opened() == 2
    with session.load(calculator) as third:
        assert third.opened() == 1
    (folder / "libcalculator_skel.so").unlink()
    refusal(session, calculator.interface.uri)


def test_a_library_is_loaded_from_its_own_file(built: Path, folder: Path, session: Session) -> None:
    """So debuggers find it: the host is asked where its files are, and what lies there is compared
    with what it has sent.  A file that has become another one meanwhile is not taken."""
    library = folder / "libcalculator_skel.so"
    shutil.copy(built / "plain" / library.name, library)
    process = session.invoke(Fixed.CURRENT_PROCESS1, ProcessMethod.ADDRESS_SPACE, outs=[4])[0]
    maps = Path(f"/proc/{int.from_bytes(process, 'little')}/maps")
    with session.load(calculator) as remote:
        assert f" {library}\n" in maps.read_text()
        assert remote.sum([1, 2]) == 3
    assert str(library) not in maps.read_text()
    with library.open("ab") as file:  # the same file with other bytes
        file.write(b"more")
    with session.load(calculator) as remote:
        assert str(library) not in maps.read_text()
        assert remote.sum([1, 2]) == 3


def test_a_crash_in_c_ends_its_protection_domain_only(
    built: Path, folder: Path, machine: Machine
) -> None:
    """The call ends with 39, later ones with 0x8000040D; a neighbour goes on (U7)."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with open_session(machine) as victim, open_session(machine) as neighbour:
        broken, healthy = victim.load(calculator), neighbour.load(calculator)
        for status in (PROCESS_DIED, BAD_STATE):
            with pytest.raises(qda.DspError) as caught:
                broken.crash()
            assert caught.value.status == status
        assert healthy.sum([1, 2]) == 3


def test_messages_of_c_are_in_the_sessions_log(built: Path, folder: Path, session: Session) -> None:
    """FARF, of levels that are on (U5)."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with session.load(calculator) as remote:
        remote.whisper("boo")
    assert session.read_log() == ["ERROR someone says boo", "DEBUG 1 at 1"]


def test_c_finds_mapped_memory_by_its_fd(built: Path, folder: Path, session: Session) -> None:
    """HAP_mmap_get and HAP_mmap: the address in the process of the DSP (2.4)."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with session.load(calculator) as remote, session.alloc(4096) as buffer:
        buffer[0] = 77
        with session.map(buffer):
            assert remote.first_byte(session.fd_of(buffer)) == 77
        with pytest.raises(qda.DspError):
            remote.first_byte(session.fd_of(buffer))


class Oracle(oracle.Skeleton):  # type: ignore[misc]
    """A module of the host that C on the DSP calls."""

    def ask(self, number: int) -> int:
        if number < 0:
            raise OSError(5, "bad mood")
        return 2 * number


def test_c_calls_the_host_through_a_generated_stub(
    built: Path, folder: Path, session: Session
) -> None:
    """The stub's `remote_handle_*` are those of the runtime library."""
    shutil.copy(built / "asking" / "libcalculator_skel.so", folder)
    remote = session.load(calculator)
    with pytest.raises(qda.DspError):
        remote.ask(21)
    session.provide(Oracle)
    assert remote.ask(21) == 42
    with pytest.raises(qda.DspError) as caught:
        remote.ask(-1)
    assert caught.value.status == 5


def test_stub_and_skeleton_in_one_process_do_not_mix(
    built: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both define `calculator_sum`: a library's own symbols come first (clients.md 13.10)."""
    source = folder / "stub.c"
    source.write_text("int calculator_sum(void) { return 99; }\n")
    compile_c(folder, folder / "libstub.so", [str(source)])
    import ctypes

    ctypes.CDLL(str(folder / "libstub.so"), ctypes.RTLD_GLOBAL)
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    with (
        qda.open(device="virtual", debug=True) as session,
        session.load(calculator) as remote,
    ):
        assert remote.sum([1, 2]) == 3


# Errors.


def test_the_error_names_every_place_in_order(folder: Path, session: Session) -> None:
    """The search that was done, as it was done (U9)."""
    said = refusal(session, uri_of("nothing"))
    built_in = ["/usr/lib/rfsa/adsp", "/usr/lib/dsp"]
    places = ["installed skeletons"]
    for name in ("libnothing_skel.so", "nothing_skel.py"):
        for place in (str(folder), *built_in):
            places += [f"{place}/cdsp/{name}", f"{place}/{name}"]
    found = [said.find(place) for place in places]
    assert found == sorted(found)
    assert found[0] > 0


def test_a_client_with_little_room_for_the_error_finds_it_in_the_log(session: Session) -> None:
    """As the C library, which asks for 255 bytes and shows them to nobody (U9)."""
    name = b"file:///libx.so?x&_modver=1.0\0"
    for room in (limits.C_ERROR_TEXT, 4096):
        request = OpenRequest(name_length=len(name), text_capacity=room).pack()
        answer, said = bytearray(OpenAnswer.byte_size), bytearray(room)
        assert session.calls.status_of(0, 0, (request, name), (answer, said)) == 0
        assert OpenAnswer.unpack(answer).error
        assert said.startswith(b"libx.so not found")
        logged = any("libx.so not found" in line for line in session.read_log())
        assert logged == (room == limits.C_ERROR_TEXT)


def test_hexagon_code_is_called_by_its_name(folder: Path, session: Session) -> None:
    """What is installed for a real DSP is found first here too: the error says what it is."""
    header = bytearray(Path("/proc/self/exe").read_bytes()[:4096])
    header[18:20] = (164).to_bytes(2, "little")
    (folder / "libcalculator_skel.so").write_bytes(header)
    assert "Hexagon machine code" in refusal(session, uri_of("calculator"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no shared object"),
        (b"not a library", "no shared object"),
        (b"\x7fELF" + bytes(20), "no shared object"),
        (b"\x7fELF" + bytes(100), "machine 0 with 0 bits"),
    ],
)
def test_what_is_no_library_of_this_machine_is_refused(data: bytes, words: str) -> None:
    """Before anything is loaded."""
    with pytest.raises(StatusError, match=words) as caught:
        check_library(data, "libx_skel.so")
    assert caught.value.status == UNABLE_TO_LOAD


def test_a_missing_symbol_is_named(built: Path, folder: Path, session: Session) -> None:
    """The file is there, the entry is not; nothing stays loaded."""
    shutil.copy(built / "plain" / "libcalculator_skel.so", folder)
    uri = "file:///libcalculator_skel.so?other_skel_handle_invoke&_modver=1.0"
    assert "other_skel_handle_invoke" in refusal(session, uri)
    with session.load(calculator) as remote:
        assert remote.sum([1]) == 1


def test_a_library_that_needs_what_nobody_defines_says_so(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The symbol, and whether the runtime library is there that might define it."""
    here, nowhere = str(built / "runtime.so"), "/nowhere/libqda_runtime.so"
    source, library = tmp_path / "open.c", tmp_path / "libopen_skel.so"
    for symbol, runtime, words in (
        ("missing_one", nowhere, r"missing_one.*/nowhere/libqda_runtime\.so.*QDA_RUNTIME"),
        ("missing_one", here, r"undefined symbol: missing_one$"),
        ("Q6_V_vzero", here, r"Q6_V_vzero; it is an instruction of Hexagon's"),
        ("qurt_mailbox_send", here, r"qurt_mailbox_send; the DSP's runtime .* docs/runtime\.md"),
    ):
        source.write_text(f"int {symbol}(void);\nint f(void) {{ return {symbol}(); }}\n")
        compile_c(tmp_path, library, [str(source)], "-Wno-missing-prototypes")
        monkeypatch.setenv("QDA_RUNTIME", runtime)
        with pytest.raises(StatusError, match=words):
            NativeLibrary(library)


def test_a_library_stays_while_its_code_runs(built: Path) -> None:
    """Whoever closes the last handle does not pull the code from under a call."""
    library = NativeLibrary(built / "plain" / "libcalculator_skel.so")
    module = NativeModule(library, "calculator")
    with library.running():
        library.close()
        module.open(calculator.interface.uri)
        module.close()
    with pytest.raises(AssertionError):
        library.entry("calculator_sum")


def test_a_file_that_cannot_be_read_is_an_error_and_not_missing(
    folder: Path, session: Session
) -> None:
    """A directory of that name: the search goes on, and nothing is found."""
    (folder / "libcalculator_skel.so").mkdir()
    assert "not found" in refusal(session, uri_of("calculator"))


# Python.


PYTHON = '''
import os
import qda

speaker = qda.idl.load("""
#include "remote.idl"
interface speaker : remote_handle64 {
    long speak(in string words, rout string said);
    long fail();
};
""", name="speaker.idl")

class Speaker(speaker.Skeleton):
    def open(self, uri):
        self.uri = uri

    def speak(self, words, said):
        return f"{words} from {os.getpid()}"

    def fail(self):
        raise ValueError("no words")

class Older(qda.Skeleton, name="older"):
    @qda.method(0)
    def zero(self, result: memoryview) -> None:
        result[:1] = b"0"
'''

speaker: Any = qda.idl.load(
    """
#include "remote.idl"
interface speaker : remote_handle64 {
    long speak(in string words, rout string said);
    long fail();
};
""",
    name="speaker.idl",
)


def test_a_python_file_stands_for_a_library(folder: Path, session: Session) -> None:
    """`NAME_skel.py`; the class is found by the name of its interface, and runs on the DSP."""
    (folder / "speaker_skel.py").write_text(PYTHON)
    with session.load(speaker) as remote:
        words, _, pid = remote.speak("hello", 100).partition(" from ")
        assert words == "hello"
        assert int(pid) != os.getpid()
        with pytest.raises(qda.DspError, match=r"speaker_skel\.py.*, line .*, in fail"):
            remote.fail()


def test_one_file_may_have_several_skeletons(folder: Path, session: Session) -> None:
    """A name opens a plain one."""
    (folder / "older_skel.py").write_text(PYTHON)
    with session.load("older") as older:
        assert older.invoke(0, outs=[1]) == [b"0"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (", "SyntaxError"),
        ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
        ("x = 1\nraise SystemExit(3)", "line 2"),
        ("x = 1", "no skeleton of interface speaker; it has none"),
        (PYTHON.replace("speaker", "talker"), "it has Speaker|Talker|older"),
    ],
)
def test_a_python_file_that_is_no_use_says_why(
    folder: Path, session: Session, text: str, words: str
) -> None:
    """With the traceback, where there is one."""
    (folder / "speaker_skel.py").write_text(text)
    with pytest.raises(qda.DspError, match=words) as caught:
        session.load(speaker)
    assert caught.value.status == UNABLE_TO_LOAD


def test_an_installed_class_comes_before_files(folder: Path, session: Session) -> None:
    """And the host is not asked."""

    class Here(speaker.Skeleton):  # type: ignore[misc]
        def speak(self, words: str, said: int) -> str:
            return "installed"

        fail = speaker.Skeleton.fail  # on purpose

    (folder / "speaker_skel.py").write_text(PYTHON)
    with session.load(Here) as here:
        assert here.speak("", 20) == "installed"
    with session.load(speaker) as remote, pytest.raises(qda.DspError) as caught:
        remote.fail()
    assert caught.value.status == UNSUPPORTED
