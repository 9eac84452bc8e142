"""Recordings on the command line: those of programs under `qda run`, and those that are played."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qda.cli.served import Served
from qda.profiles.profile import Profile
from qda.virtual import Machine

if TYPE_CHECKING:
    from qda.idl import Interface
    from qda.recording.difference import Comparison
    from qda.recording.dsp_side import PlayedDsps

__all__ = ["Played", "interfaces_in"]


def interfaces_in(files: Sequence[Path]) -> list[Interface]:
    """The interfaces of some files.  IdlError."""
    if not files:
        return []
    from qda.idl import parse

    return [one for file in files for one in parse(file).interfaces if not one.is_local]


class Played:
    """What `--record` and `--replay` make of the system that programs see."""

    def __init__(self, options: Served) -> None:
        self._options = options
        self._comparison: Comparison | None = None
        self._dsps: PlayedDsps | None = None

    @contextmanager
    def machine(self, profile: Profile) -> Iterator[Machine]:
        """The system, while a block runs; the recording is whole when that has ended.  UsageError
        for a file that cannot be written, or is no recording."""
        options = self._options
        with ExitStack() as stack:
            if options.record is not None:
                from qda.recording.program import writer_at
                from qda.recording.recorder import recording

                stack.enter_context(recording(partial(writer_at, options.record)))
            machine = self._replayed(profile, options.replay) or Machine(profile)
            stack.callback(machine.close)
            yield machine

    def _replayed(self, profile: Profile, file: Path | None) -> Machine | None:
        if file is None:
            return None
        from qda.recording.difference import Comparison
        from qda.recording.dsp_side import PlayedDsps
        from qda.recording.file import read

        self._comparison = Comparison(interfaces_in(self._options.idl))
        self._dsps = PlayedDsps(read(file), self._comparison)
        return self._dsps.machine(profile)

    def status(self, status: int) -> int:
        """The status of a run whose program has ended with one: 1 where that is 0 but the program
        has asked for something else than in the recording, which is said."""
        if self._dsps is None or self._comparison is None:
            return status
        self._dsps.finish()
        if not self._comparison:
            return status
        print(self._comparison, file=sys.stderr)  # noqa: T201
        return status or 1
