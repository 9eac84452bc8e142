"""C programs, written against the printed headers, run unmodified on the virtual device (U1)."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from qda.shim.trace import Tracer
from qda.tracing.stream import Stream
from qda.tracing.text import TextPrinter
from tests.shim.conftest import Systems
from tests.shim.system import (
    SKELETONS,
    Programs,
    System,
    needs_gcc_library,
    needs_library,
    needs_tool,
    serving,
)

pytestmark = needs_library

DIALECTS = ("rfc", "v1", "legacy")
COMPILERS = ("gcc", pytest.param("musl-gcc", marks=needs_tool("musl-gcc")))


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("program", ["calculator", "threads", "storm", "relatives"])
def test_program_works_on_each_interface_and_libc(
    systems: Systems, programs: Programs, program: str, dialect: str, compiler: str
) -> None:
    """R1, R24: sessions, buffers, errors; threads; signals; fork, exec, passed descriptors."""
    system = systems.of(dialect)
    system.run(programs.build(program, dialect, compiler))
    system.settle()


@pytest.mark.parametrize("program", ["calculator", "scratch", "spare"])
def test_program_works_where_buffers_are_handles(
    systems: Systems, programs: Programs, program: str
) -> None:
    """R5: handles alone; the requests of today's C library, in its order; a closed object is the
    next one only where nobody can tell."""
    system = systems.of("handle")
    system.run(programs.build(program, "handle"))
    system.settle()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_handlers_with_sa_restart_are_not_noticed(
    systems: Systems, programs: Programs, dialect: str
) -> None:
    """R24, spec 2.9: the call goes on waiting."""
    systems.of(dialect).run(programs.build("storm", dialect), "with SA_RESTART")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_heap_memory_is_shared_with_a_device(
    system: System, programs: Programs, compiler: str
) -> None:
    """Spec 5.4; R2: a descriptor that the client has is imported by the device."""
    system.run(programs.build("heap", compiler=compiler))


@pytest.mark.parametrize("traced", ["", "traced", "traced and fetched"])
def test_structures_are_copied_as_by_a_kernel(
    programs: Programs, tmp_path: Path, traced: str
) -> None:
    """Spec 4.1, R3: from and to memory of every kind, of every length, with the same errors
    whether the structure travels with the request or the server fetches it."""
    out = io.StringIO()
    stream = Stream([TextPrinter(out)])
    tracer = Tracer(stream, "rfc")
    tracer.encloses = traced != "traced and fetched"
    with serving(tmp_path, observer=tracer if traced else None) as system:
        system.run(programs.build("structures"))
        system.settle()
    stream.close()
    shown = "DRM_IOCTL_QDA_GEM_MMAP_OFFSET, {handle=1, pad=0, offset=" in out.getvalue()
    assert shown == bool(traced)


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_spelling_of_functions_and_paths(
    system: System, programs: Programs, compiler: str
) -> None:
    """clients.md 2, 13.2: 64-bit files, fortified programs, older glibc."""
    system.run(programs.build("paths", compiler=compiler))


@pytest.mark.parametrize("compiler", COMPILERS)
def test_nodes_and_buffers_are_files_as_in_a_kernel(
    system: System, programs: Programs, compiler: str
) -> None:
    """kernel.md: read, write, seek, poll, modes, names, links, new programs; DMA_BUF_IOCTL_*."""
    system.run(programs.build("files", compiler=compiler))


@pytest.mark.parametrize("compiler", COMPILERS)
def test_libraries_use_nodes_before_main_and_after_our_destructor(
    system: System, programs: Programs, compiler: str
) -> None:
    """clients.md 4, 5, 11, 13.1: constructors, thread-exit hooks, destructors."""
    library = programs.build("early", compiler=compiler, suffix=".so")
    here = f"-Wl,-rpath,{library.parent}"
    program = programs.build("late", compiler=compiler, more=[library, here])
    assert "ended" in system.run(program)


def test_library_is_unloaded_though_a_thread_of_it_has_asked_the_server(
    programs: Programs, system: System
) -> None:
    """The thread ends while the loader waits for it: it may not look for functions of libc."""
    library = programs.build("early", suffix=".so")
    assert "unloaded" in system.run(programs.build("unload"), library)


@pytest.mark.parametrize("flags", [["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]])
def test_fortified_64_bit_file_program(
    system: System, programs: Programs, flags: list[str]
) -> None:
    """clients.md 2: as distributions build."""
    more = [*flags, "-D_FILE_OFFSET_BITS=64", "-D_LARGEFILE64_SOURCE"]
    system.run(Programs(_fresh(programs.folder, "fortified")).build("calculator", more=more))


@needs_gcc_library("libasan.so")
@pytest.mark.parametrize("program", ["calculator", "threads"])
def test_program_with_address_sanitizer(system: System, programs: Programs, program: str) -> None:
    """It ends a program before which another library than its own is loaded, unless told not to."""
    folder = _fresh(programs.folder, "sanitized")
    system.run(Programs(folder).build(program, more=["-fsanitize=address"]))


def _fresh(folder: Path, name: str) -> Path:
    made = folder / name
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    return made


@needs_tool("valgrind")
@pytest.mark.parametrize("program", ["calculator", "threads", "storm"])
def test_valgrind_has_no_complaint(system: System, programs: Programs, program: str) -> None:
    """U12: what the device writes to the program's memory counts as written."""
    checked = ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"]
    system.run(*checked, programs.build(program))


@needs_tool("gdb")
def test_debugger_stops_between_calls(system: System, programs: Programs) -> None:
    """A program that is traced by another process can still be read by the server."""
    commands = ["-ex", "break max", "-ex", "run", "-ex", "finish", "-ex", "delete", "-ex", "cont"]
    printed = system.run("gdb", "-q", "-batch", *commands, programs.build("calculator"))
    assert "Value returned is $1 = 9" in printed
    assert "exited normally" in printed


def test_native_skeleton_answers_a_native_program(tmp_path: Path, programs: Programs) -> None:
    """Both sides in C: a program on the header, a skeleton with the entry of generated code."""
    include = Path(__file__).parents[2] / "src/qda/idl/c/include"
    library = tmp_path / "libcalculator_skel.so"
    source = SKELETONS / "calculator_skel.c"
    subprocess.run(
        ["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-I", include, source, "-o", library],
        check=True,
    )
    with serving(tmp_path, skeletons=tmp_path) as system:
        system.run(programs.build("calculator"))
        system.settle()
