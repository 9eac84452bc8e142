"""Virtual devices for other programs: what `qda run` and `qda serve` do."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from qda.dsp.boot import FOLDERS_VARIABLE
from qda.errors import UsageError
from qda.shim import (
    DeviceServer,
    Tracer,
    additions,
    environment,
    run_program,
    signals_arriving,
    trace_wire,
)
from qda.virtual import Machine, load_profile

__all__ = ["Served", "run", "serve"]


@dataclass(frozen=True)
class Served:
    """What is served to programs, and how; `qda.cli.program_options` says what each means."""

    profile: str = "generic"
    dialect: str = "rfc"
    skeletons: list[Path] = field(default_factory=list)
    mixed: bool = False
    lanes: bool = True
    trace: str | None = None
    trace_file: Path | None = None


_SEARCH_PATHS = (FOLDERS_VARIABLE, "DSP_LIBRARY_PATH")
"""For the DSP itself, and for the program, whose listener the DSP asks for files."""

_FALLBACK = Path("/tmp")  # paths of sockets are short, TMPDIR need not be
_LONGEST_FOLDER = 60


def run(command: list[str], options: Served) -> int:
    """Run a program with a device server of its own; returns the program's exit status."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="qda-", dir=_short_folder()))
        stack.callback(lambda: folder.rmdir() if folder.exists() else None)
        server = stack.enter_context(_server(options, folder / "server", private=folder))
        return run_program(command, environment(server.socket))


def serve(socket: Path, options: Served, out: TextIO) -> None:
    """Serve until SIGTERM or SIGINT; tells by `out`, in words for a shell, how programs get in."""
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.append(number))
    with signals_arriving() as arrived, _server(options, socket) as server:
        for name, value in additions(server.socket, os.environ).items():
            out.write(f"export {name}={shlex.quote(value)}\n")
        out.flush()
        while not ended:
            arrived.recv(64)


@contextmanager
def _server(options: Served, socket: Path, private: Path | None = None) -> Iterator[DeviceServer]:
    """A device server of a machine of its own; `private` says that only our program is its client,
    and is a folder that goes with it."""
    logging.basicConfig(format="qda: %(message)s", level=logging.WARNING)
    _extend_search_paths(options.skeletons)
    with ExitStack() as stack:
        out = sys.stderr
        if options.trace is not None and options.trace_file is not None:
            out = stack.enter_context(options.trace_file.open("w"))
        machine = Machine(load_profile(options.profile))
        stack.callback(machine.close)
        tracer = Tracer(out, str(options.dialect)) if options.trace is not None else None
        if tracer is not None and options.trace == "wire":
            for device in machine.devices.values():
                trace_wire(device, tracer.note)
        server = DeviceServer(
            machine,
            socket,
            dialect=str(options.dialect),
            strangers=private is None,
            observer=tracer,
            mixed=options.mixed,
            lanes=options.lanes,
            also=[private] if private else [],
        )
        stack.callback(server.close)
        yield server


def _extend_search_paths(folders: Sequence[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder with skeletons")
    own = [os.path.abspath(folder) for folder in folders]
    for variable in _SEARCH_PATHS if own else ():
        given = os.environ.get(variable)
        os.environ[variable] = ";".join([*own, *([given] if given else [])])


def _short_folder() -> Path:
    folder = Path(tempfile.gettempdir())
    return folder if len(os.fsencode(folder)) <= _LONGEST_FOLDER else _FALLBACK
