"""A device server for tests, and C programs that use it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import UsageError
from qda.shim.launch import environment
from qda.shim.library import find_library
from qda.shim.protocol import NAME_PREFIX
from qda.shim.requests import Observer
from qda.shim.server import DeviceServer
from qda.uapi import DIALECTS
from qda.uapi.header import header
from qda.virtual import Machine
from tests.system import new_machine
from tests.waiting import until

__all__ = [
    "PROGRAMS",
    "SKELETONS",
    "Programs",
    "System",
    "needs_gcc_library",
    "needs_library",
    "needs_tool",
    "serving",
]

PROGRAMS = Path(__file__).with_name("programs")
SKELETONS = PROGRAMS / "skeletons"
PATIENCE = 50.0
"""Seconds that a program has at most."""

_FLAGS = ("-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror")
_TOLERATED = ("-Wno-unused-function", "-Wno-maybe-uninitialized", "-Wno-nonnull")
_MUSL = ("-idirafter", "/usr/include", "-idirafter", "/usr/include/x86_64-linux-gnu")
"""musl-gcc does not look for the kernel's headers where they are."""


def _missing_library() -> str:
    try:
        find_library()
    except UsageError as error:
        return str(error)
    return "" if shutil.which("gcc") else "there is no C compiler"


needs_library = pytest.mark.skipif(bool(_missing_library()), reason=_missing_library() or "-")


def needs_tool(name: str) -> pytest.MarkDecorator:
    """Skip a test on a machine without a program."""
    return pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")


def has_gcc_library(name: str) -> bool:
    """Whether there is a gcc, and it has that library of its own."""
    asked = ["gcc", f"-print-file-name={name}"]
    gcc = shutil.which("gcc")
    found = subprocess.run(asked, stdout=subprocess.PIPE, text=True).stdout.strip() if gcc else ""
    return os.path.isabs(found)


def needs_gcc_library(name: str) -> pytest.MarkDecorator:
    """Skip a test on a machine where gcc has not a library of its own."""
    return pytest.mark.skipif(not has_gcc_library(name), reason=f"gcc has no {name}")


@dataclass
class Programs:
    """Compiles the programs, each once for a compiler and a dialect."""

    folder: Path
    built: dict[tuple[str, ...], Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dialect in DIALECTS.items():
            (self.folder / name).mkdir()
            (self.folder / name / "qda_accel.h").write_text(header(dialect))

    def build(
        self,
        name: str,
        dialect: str = "rfc",
        compiler: str = "gcc",
        more: Sequence[str | Path] = (),
        suffix: str = "",
    ) -> Path:
        """The executable of `name`.c, or with suffix ".so" the library."""
        key = (name, dialect, compiler, suffix)
        if key not in self.built:
            result = self.folder / f"{name}-{dialect}-{compiler}{suffix}"
            source = PROGRAMS / f"{name}.c"
            command: list[str | Path] = [compiler, *_FLAGS, *_TOLERATED]
            command += [f"-DDIALECT_{dialect.upper()}", "-I", self.folder, "-I", PROGRAMS]
            command += ["-shared", "-fPIC"] if suffix else []
            command += [source, "-o", result, *more, "-lpthread", "-ldl"]
            command += _MUSL if compiler == "musl-gcc" else ()
            subprocess.run(command, check=True)
            self.built[key] = result
        return self.built[key]


@dataclass
class System:
    """A machine of this process, and the server by which programs reach it."""

    machine: Machine
    server: DeviceServer

    def environment(self, **more: str) -> dict[str, str]:
        """Variables for a program that is to see the nodes."""
        return environment(self.server.socket) | more

    def start(
        self, *command: str | Path, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start a program that sees the nodes, with pipes."""
        return subprocess.Popen(
            [str(word) for word in command],
            env=self.environment(**(more or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path, status: int = 0) -> str:
        """Run a program to its end, and check its exit status; returns what it has printed."""
        process = self.start(*command)
        out, problems = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, (process.returncode, out, problems)
        return out + problems

    def run_for_line(self, *command: str | Path) -> str:
        """Run a program that leaves a child behind, which holds its pipes: the one line that it
        prints."""
        process = self.start(*command)
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        assert process.wait(PATIENCE) == 0
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
        return line

    def settle(self) -> None:
        """Wait until everything that programs have left is released.

        A descriptor that was on its way to a program which died is closed by the kernel in its own
        time, so this looks again for a while.
        """

        def is_empty() -> bool:
            self.server.settle()
            return not self.left

        until(is_empty)

    @property
    def left(self) -> dict[str, object]:
        """What there is, by DSP, other than nothing."""
        counts = {
            name: (census.files, census.objects, census.banks, census.calls)
            for name, census in self.machine.census().items()
        }
        counts["nodes"] = (open_nodes(), 0, 0, 0)
        return {name: count for name, count in counts.items() if any(count)}


def open_nodes() -> int:
    """Number of nodes that servers of this process hold their ends of."""
    return sum(_is_end_of_node(int(name)) for name in os.listdir("/proc/self/fd"))


def _is_end_of_node(descriptor: int) -> bool:
    try:
        # A duplicate would stay in the server's epoll after the end itself is closed.
        end = socket.socket(fileno=descriptor)
    except OSError:  # no socket, or closed by now
        return False
    try:
        name = end.getpeername()
    except OSError:
        return False
    finally:
        end.detach()
    return isinstance(name, bytes) and name.startswith(b"\0" + NAME_PREFIX.encode())


@contextmanager
def serving(
    folder: Path,
    *,
    dialect: str = "rfc",
    mixed: bool = False,
    observer: Observer | None = None,
    lanes: bool = True,
    skeletons: Path = SKELETONS,
    profile: str = "generic",
) -> Iterator[System]:
    """A system whose DSPs have the skeletons of a folder installed."""
    with ExitStack() as stack:
        before = os.environ.get(FOLDERS_VARIABLE)
        os.environ[FOLDERS_VARIABLE] = str(skeletons)
        stack.callback(_restore, before)
        machine = new_machine(profile)
        stack.callback(machine.close)
        server = DeviceServer(
            machine,
            folder / "server",
            dialect=dialect,
            mixed=mixed,
            observer=observer,
            lanes=lanes,
        )
        stack.callback(server.close)
        yield System(machine, server)


def _restore(value: str | None) -> None:
    if value is None:
        os.environ.pop(FOLDERS_VARIABLE, None)
    else:
        os.environ[FOLDERS_VARIABLE] = value
