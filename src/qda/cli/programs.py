"""Virtual devices for other programs: what `qda run` and `qda serve` do."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from qda.cli.served import Served
from qda.dsp.spawn import FOLDERS_VARIABLE, started_ahead
from qda.errors import UsageError
from qda.profiles.nodes import nodes_of
from qda.profiles.profile import Profile
from qda.shim.entrance import Entrance
from qda.shim.launch import (
    NOT_EXECUTABLE,
    NOT_FOUND,
    additions,
    environment,
    run_program,
    signals_arriving,
)
from qda.shim.unseen import UnseenPrograms

if TYPE_CHECKING:
    from qda.cli.recordings import Played
    from qda.fastrpc.obituary import Obituary
    from qda.shim.server import DeviceServer

__all__ = ["look_for_skeletons", "run", "serve"]


_SEARCH_PATHS = (FOLDERS_VARIABLE, "DSP_LIBRARY_PATH")
"""For the DSP itself, and for the program, whose listener the DSP asks for files."""

_FALLBACK = Path("/tmp")  # paths of sockets are short, TMPDIR need not be
_LONGEST_FOLDER = 60


def run(command: list[str], options: Served) -> int:
    """Run a program with a device server of its own; returns the program's exit status, if it is
    not 0 also where a trace or recording of it is not whole, which is said."""
    ended: list[int] = []
    try:
        return _run(command, options, ended)
    except UsageError as error:
        if not any(ended):
            raise
        print(f"qda: {error}", file=sys.stderr)  # noqa: T201
        return ended[0]


def _run(command: list[str], options: Served, ended: list[int]) -> int:
    """The same; tells in `ended` the program's status before anything of ours can fail.

    The server is loaded when the program first wants something of it, which many never do; unless
    it has been told what might make no sense, which is said before the program starts.
    """
    with ExitStack() as stack:
        profile = options.system()
        look_for_skeletons(options.skeletons)
        below = _short_folder()
        with _place(below, "TMPDIR"):
            folder = Path(tempfile.mkdtemp(prefix="qda-", dir=below))
            stack.callback(lambda: folder.rmdir() if folder.exists() else None)
            entrance = Entrance(folder / "server", nodes_of(profile), also=[folder])
        stack.callback(entrance.close)
        unseen = UnseenPrograms(entrance.socket)
        stack.callback(unseen.close)
        variables = environment(entrance.socket)
        if options.mixed or options.is_watched or options.dialect != Served.dialect:
            from qda.cli.recordings import Played

            played = Played(options)
            server = stack.enter_context(_server(options, profile, entrance, played))
            status = run_program(command, variables)
            ended.append(status)
            _tell(unseen, command, status, server.was_used)
            return played.status(status)
        came: list[bool] = []

        def begin() -> None:
            came.append(True)
            try:
                stack.enter_context(started_ahead())
                stack.enter_context(_server(options, profile, entrance, None))
            except Exception as error:  # the program sees its nodes go, and goes on
                print(f"qda: no device server: {error}", file=sys.stderr)  # noqa: T201
                entrance.close()

        status = run_program(command, variables, entrance.listener, begin)
        ended.append(status)
        _tell(unseen, command, status, bool(came))
        return status


def _tell(unseen: UnseenPrograms, command: list[str], status: int, used: bool) -> None:
    """Say why no program of a run has used a node, if one could not."""
    if not used and status not in (NOT_EXECUTABLE, NOT_FOUND):
        words = unseen.tell(command[0])
        if words:
            print(f"qda: {words}", file=sys.stderr)  # noqa: T201


def serve(socket: Path, options: Served, out: TextIO) -> None:
    """Serve until SIGTERM or SIGINT; tells by `out`, in words for a shell, how programs get in."""
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ended.append(number))
    look_for_skeletons(options.skeletons)
    profile = options.system()
    with ExitStack() as stack:
        arrived = stack.enter_context(signals_arriving())
        with _place(socket.absolute().parent, "--socket"):
            entrance = Entrance(socket, nodes_of(profile))
        stack.callback(entrance.close)
        from qda.cli.recordings import Played

        played = Played(options)
        server = stack.enter_context(_server(options, profile, entrance, played, strangers=True))
        for name, value in additions(server.socket, os.environ).items():
            out.write(f"export {name}={shlex.quote(value)}\n")
        out.flush()
        while not ended:
            arrived.recv(64)
        played.status(0)


@contextmanager
def _server(
    options: Served,
    profile: Profile,
    at: Entrance,
    played: Played | None,
    strangers: bool = False,
) -> Iterator[DeviceServer]:
    """A device server of a machine of its own: for the program that we run, or also for
    `strangers`.  What is `played` makes the machine, if its options may ask for that."""
    import logging

    from qda.cli.traces import tracing
    from qda.shim.server import DeviceServer
    from qda.virtual import Machine

    logging.basicConfig(format="qda: %(message)s", level=logging.WARNING)
    with ExitStack() as stack:
        if played is not None:
            machine = stack.enter_context(played.machine(profile))
        else:
            machine = Machine(profile)
            stack.callback(machine.close)
        for device in machine.devices.values():
            device.report = partial(_tell_death, device.name)
            device.wait = options.patience
        observer = stack.enter_context(tracing(options)) if options.is_traced else None
        server = DeviceServer(
            machine,
            at,
            dialect=str(options.dialect),
            strangers=strangers,
            observer=observer,
            mixed=options.mixed,
            lanes=options.lanes and options.replay is None,
        )
        stack.callback(server.close)
        yield server


def _tell_death(domain: str, process: int, words: Obituary) -> None:
    """Say how a protection domain has died, and whose it was: its program gets a number."""
    told = "\n".join(words.report)
    print(f"qda: process {process}, {domain}: {told}", file=sys.stderr, flush=True)  # noqa: T201


def look_for_skeletons(folders: Sequence[Path]) -> None:
    """Have the DSPs of this process look there first.  UsageError for what is no folder."""
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder with skeletons")
    own = [os.path.abspath(folder) for folder in folders]
    for variable in _SEARCH_PATHS if own else ():
        given = os.environ.get(variable)
        os.environ[variable] = ";".join([*own, *([given] if given else [])])


_REMEDIES = {
    errno.ENOSPC: "free some room there, or entries (df -i), or choose another folder",
    errno.EDQUOT: "free some of your quota, or choose another folder",
    errno.ENOENT: "choose a folder that exists and can have files",
    errno.ENOTDIR: "choose a folder",
}


@contextmanager
def _place(folder: Path, chosen_by: str) -> Iterator[None]:
    """Say in a sentence what the file system has against a server in a folder, which is `chosen_by`
    an option or a variable."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, "choose a folder that you can write to")
        raise UsageError(
            f"{folder}: there is no place for the device server: {error.strerror}; {remedy} "
            f"({chosen_by})"
        ) from error


def _short_folder() -> Path:
    try:
        found = tempfile.gettempdir()
    except FileNotFoundError as error:  # it has tried to write into each that there may be
        raise UsageError(
            f"there is no place for the device server: {error.strerror}; free some room in one of "
            "them, or choose another folder that you can write to (TMPDIR)"
        ) from error
    folder = Path(os.path.realpath(found))
    return folder if len(os.fsencode(folder)) <= _LONGEST_FOLDER else _FALLBACK
