"""The DSP's log on its way to the host: records of `adspmsgd_apps.log` (spec/fastrpc.md 7.7)."""

from __future__ import annotations

import enum
import logging
from collections.abc import Iterator

from qda.fastrpc.scalars import Scalars
from qda.layout import Record, octets, s32, u16

__all__ = ["LOG", "LOG_MODULE", "Level", "LogRecord", "log_records", "read_log_records"]

LOG_MODULE = "adspmsgd_apps"
"""The host's module that takes the log."""

LOG = Scalars(0, 2, 0)
"""Its one method: in 0 is a length u32, in 1 an array of records."""


class Level(enum.IntEnum):
    """How much a message matters: FARF's levels."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    ERROR = 3
    FATAL = 4

    @property
    def of_python(self) -> int:
        """The level of Python's logging: 10 for LOW to 50 for FATAL."""
        return 10 * (self + 1)

    @classmethod
    def from_python(cls, level: int) -> Level:
        """The level for one of Python's logging."""
        return cls(min(max(level // logging.DEBUG - 1, cls.LOW), cls.FATAL))


class LogRecord(Record):
    """One message; texts end with a NUL.

    The C library prints a text as it is, so each ends with a line feed.
    """

    level: int = s32("How much it matters")
    line: int = u16("Line of the source file")
    thread: int = u16("Thread that has written it")
    text: bytes = octets(218, "The message")
    file: bytes = octets(30, "Name of the source file")


_TEXT, _FILE = 216, 29


def log_records(level: Level, file: str, line: int, thread: int, text: str) -> Iterator[bytes]:
    """A message as records of 256 bytes: one for each line, more for a line that is longer."""
    name = file.encode("utf-8", "replace")[-_FILE:]
    for row in text.splitlines():
        data = row.encode("utf-8", "replace")
        for start in range(0, max(len(data), 1), _TEXT):
            yield LogRecord(
                level=level,
                line=min(line, 0xFFFF),
                thread=thread & 0xFFFF,
                text=data[start : start + _TEXT] + b"\n",
                file=name,
            ).pack()


def read_log_records(data: bytes | memoryview) -> Iterator[tuple[Level, str, int, str]]:
    """Level, file, line and text of each record; what is left at the end is no record."""
    for start in range(0, len(data) - LogRecord.byte_size + 1, LogRecord.byte_size):
        record = LogRecord.unpack(data, start)
        level = Level(min(max(record.level, Level.LOW), Level.FATAL))
        yield level, _text(record.file), record.line, _text(record.text).removesuffix("\n")


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")
