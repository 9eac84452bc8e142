"""The part of `apps_std` by which a DSP loads modules: open along a search path, read, close.

The whole interface is `qda/idl/include/apps_std.idl`.  These few calls are records of their own
so that opening a module does not wait for the parser of the interface language.  They are all that
hexagonrpcd has for it, and each request fits into its 256 bytes.  Source: spec/fastrpc.md 7.5.
"""

from __future__ import annotations

from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u16, u32

__all__ = [
    "DELIMITER",
    "FILES_MODULE",
    "FILE_CLOSE",
    "FILE_OPEN",
    "FILE_READ",
    "PATHS",
    "SEARCH_PATH",
    "FileHandle",
    "OpenLengths",
    "PathsAnswer",
    "PathsRequest",
    "ReadAnswer",
    "ReadRequest",
]

FILES_MODULE = "apps_std"
"""The host's module for files."""

SEARCH_PATH = "ADSP_LIBRARY_PATH"
"""The variable that a DSP names; the host looks at DSP_LIBRARY_PATH first, and adds its own."""

DELIMITER = ";"
"""What is between two directories of a search path."""

FILE_CLOSE = Scalars(3, 1, 0)
"""fclose.  in 0: FileHandle"""

FILE_READ = Scalars(4, 1, 2)
"""fread.  in 0: ReadRequest; out 0: ReadAnswer, out 1: the bytes"""

FILE_OPEN = Scalars(19, 5, 1)
"""fopen_with_env.  in 0: OpenLengths, in 1 to 4: the texts; out 0: FileHandle"""

PATHS = 21
"""get_search_paths_with_env.  in 0: PathsRequest, in 1 and 2: the texts, in 3: the capacities
u32 of the paths; out 0: PathsAnswer, then the paths.  Clients at handle 3 end at this method."""


class FileHandle(Record):
    """An open file of the host."""

    file: int = s32("Its number")


class OpenLengths(Record):
    """In-buffer 0 of `fopen_with_env`: lengths of the texts with their NUL."""

    variable: int = u32("Name of the variable", unit="bytes")
    delimiter: int = u32("What separates directories", unit="bytes")
    name: int = u32("Name of the file", unit="bytes")
    mode: int = u32("As for fopen", unit="bytes")


class ReadRequest(Record):
    """In-buffer 0 of `fread`."""

    file: int = s32("The file")
    capacity: int = u32("Room for bytes", unit="bytes")


class ReadAnswer(Record):
    """Out-buffer 0 of `fread`."""

    count: int = s32("Bytes that were read", unit="bytes")
    end: int = s32("Not 0 at the end of the file")


class PathsRequest(Record):
    """In-buffer 0 of `get_search_paths_with_env`."""

    variable: int = u32("Length of the variable's name", unit="bytes")
    delimiter: int = u32("Length of what separates directories", unit="bytes")
    count: int = u32("How many paths there is room for")


class PathsAnswer(Record):
    """Out-buffer 0 of `get_search_paths_with_env`."""

    count: int = u32("How many paths there are")
    longest: int = u16("Length of the longest with its NUL", unit="bytes")
