"""The module that takes the DSP's log (spec/fastrpc.md 7.7)."""

from __future__ import annotations

import logging

from qda.errors import BAD_PARAMETER, UNSUPPORTED, StatusError
from qda.fastrpc.hostlog import LOG, read_log_records
from qda.fastrpc.scalars import Scalars

__all__ = ["AdspMessages"]


class AdspMessages:
    """`adspmsgd_apps`: messages go to a logger, with their file and line, at Python's level."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def invoke(self, scalars: Scalars, arguments: list[memoryview]) -> int:
        """Take messages.  StatusError for anything else."""
        if scalars != LOG:
            raise StatusError(UNSUPPORTED, f"adspmsgd_apps has no {scalars}")
        size = int.from_bytes(arguments[0][:4], "little")
        if len(arguments[0]) < 4 or size > len(arguments[1]):
            raise StatusError(BAD_PARAMETER, f"{size} bytes of {len(arguments[1])}")
        for level, file, line, words in read_log_records(arguments[1][:size]):
            number = level.of_python
            # Where nobody listens to it Python would print messages, which errors have, too.
            if self._log.isEnabledFor(number) and self._log.hasHandlers():
                made = self._log.makeRecord(
                    self._log.name, number, file, line, "%s", (words,), None
                )
                self._log.handle(made)
        return 0
