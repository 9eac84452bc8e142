"""`qda.record` and `qda.replay`: a Python program that is recorded, and one that is played to."""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from qda.errors import QdaError, bare, cannot_write, path_of
from qda.idl.python.runtime import known_interfaces
from qda.profiles.profile import load
from qda.recording.difference import Comparison, Difference, Differs
from qda.recording.dsp_side import PlayedDsps
from qda.recording.file import Writer, read
from qda.recording.recorder import recording
from qda.virtual import stands_in

__all__ = ["Record", "Replay", "record", "replay", "writer_at"]


def record(file: str | os.PathLike[str]) -> Record:
    """Record the sessions that this process opens on virtual devices while a block runs: `with
    qda.record("calls.qda")`.

    UsageError for a second recording at the same time, and for a file that cannot be written.
    """
    try:
        return Record(path_of("file", file))
    except QdaError as error:
        bare(error)
        raise


class Record:
    """A recording under way, from the beginning of its block to the end; see `record`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            with ExitStack() as undo:
                undo.enter_context(recording(partial(writer_at, self._file)))
                self._stack = undo.pop_all()
        except QdaError as error:
            bare(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.close()


def writer_at(file: Path) -> Writer:
    """What writes the recording.  UsageError for a file that cannot be written."""
    try:
        return Writer(file)
    except OSError as error:
        raise cannot_write(file, error) from error


def replay(file: str | os.PathLike[str], *, profile: str = "generic") -> Replay:
    """Play the DSP's side of a recording to this process while a block runs: `with
    qda.replay("calls.qda")`.

    Virtual devices have the recording's answers then, and need no skeletons.  If at the end what
    the program has asked for is not what was recorded, `qda.Differs` says in what.  UsageError for
    a file that is no recording, and for a profile that does not exist.
    """
    try:
        return Replay(path_of("file", file), profile)
    except QdaError as error:
        bare(error)
        raise


class Replay:
    """A recording that is played, from the beginning of its block to the end; see `replay`.

    `differences` are those that have been found so far.
    """

    def __init__(self, file: Path, profile: str) -> None:
        self._events, self._profile = read(file), load(profile)
        self._file = file
        self._comparison = Comparison()
        self._stack = ExitStack()

    @property
    def differences(self) -> list[Difference]:
        """Those that have been found so far."""
        return list(self._comparison.differences)

    def __enter__(self) -> Self:
        interfaces = (one.interface for one in known_interfaces())
        self._comparison = Comparison(interfaces)
        self._dsps = PlayedDsps(self._events, self._comparison)
        with ExitStack() as undo:
            machine = self._dsps.machine(self._profile)
            undo.callback(machine.close)
            undo.enter_context(stands_in(machine))
            self._stack = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is not None:
            return
        self._dsps.finish()
        if self._comparison:
            raise Differs(
                self._comparison.differences,
                f"not what {self._file} has:\n{self._comparison}",
            )
