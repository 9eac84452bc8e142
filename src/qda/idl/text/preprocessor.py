"""The small preprocessor: includes, `#ifdef`, line markers; nothing is ever expanded.

The result is one text whose lines are source lines, and for each line where it stood.  Lines that
vanish (directives, false regions) leave no line behind, so columns are those of the source.

Where the reference compiler has accidents, this does what a reader expects, and warns if the
reference would see another text: `#else` works, white space may follow `#`, a line marker means
the line it says.  A missing or stray `#endif` is no error there, so it is a warning here.
"""

from __future__ import annotations

import enum
import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

from qda import limits
from qda.idl.diagnostics import Diagnostic, Location, Severity
from qda.idl.model import Include

__all__ = ["Range", "Reader", "Text", "Use", "preprocess", "read_file", "read_regular"]

Reader = Callable[[str], str | None]
"""Returns the text of a file, or None if there is no such file."""


# What can hide a directive, and directives.  A string may run over several lines (idl.md 1).
_PIECES: Final = re.compile(
    r"""
      (?P<comment> /\*.*?\*/ | //[^\n]* )
    | (?P<open> /\* )
    | (?P<text> "(?:\\.|[^"\\])*" | '(?:\\.[^'\n]{0,6}|[^'\\\n])' )
    | (?P<directive> ^[ \t\f]*\#(?:[^\n]*\\\r?\n)*[^\n]* )
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_DIRECTIVE: Final = re.compile(r"[ \t\f]*#(?P<gap>[ \t\f]*)(?P<word>\w*)(?P<rest>.*)", re.DOTALL)
_FILE: Final = re.compile(
    r'\s*(?:"(?P<quoted>[^"\n]+)"|<(?P<angle>[^>\n]+)>)(?P<behind>.*)', re.DOTALL
)
_MARKER: Final = re.compile(r'\s*(?P<line>\d{1,9})(?:\s+"(?P<file>[^"\n]*)")?[\s\d]*$')
_NAME: Final = re.compile(r"\s+(?P<name>[A-Za-z_]\w*)")
_BEHIND: Final = re.compile(r"\s*(//.*|/\*.*)?$", re.DOTALL)


class Use(enum.Enum):
    """What became of a part of a file."""

    TEXT = "text"
    SKIPPED = "skipped"
    DIRECTIVE = "directive"


@dataclass(frozen=True, slots=True)
class Range:
    """A part of a file, by offsets; line ends count as one letter, whatever they are."""

    start: int
    end: int
    use: Use


@dataclass
class Text:
    """A preprocessed text.  `places[n]` is the (file, line) of line n, counted from 0.

    `ranges` are the parts of the file itself, without what it includes, in their order.
    """

    lines: list[str] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    ranges: list[Range] = field(default_factory=list)

    @property
    def content(self) -> str:
        """The lines as one string."""
        return "\n".join(self.lines)

    def locate(self, line: int, column: int) -> Location:
        """Where a line and column of `content`, both from 1, stood."""
        file, number = self.places[line - 1]
        return Location(file, number, column)

    def source(self, line: int) -> str:
        """A line of `content`, from 1, without its end."""
        return self.lines[line - 1]


def read_file(name: str) -> str | None:
    """Return a file's text, or None if it cannot be read.  Foreign bytes are replaced."""
    try:
        data = read_regular(name)
    except (OSError, ValueError):
        return None
    with io.TextIOWrapper(io.BytesIO(data), "utf-8", "replace") as stream:
        return stream.read()


def read_regular(name: str) -> bytes:
    """Return what is in a regular file.  OSError for a pipe, device or folder, of which nothing is
    read since it may have no end, and for a file that is larger than any interface."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        if state.st_size > limits.IDL_FILE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return stream.read(limits.IDL_FILE)


@cache
def _standard_file(name: str) -> str | None:
    """Return a file that every compiler brings along (`remote.idl`), or None."""
    known = resources.files("qda.idl") / "include"
    return next((one.read_text() for one in known.iterdir() if one.name == name), None)


class _Preprocessor:
    """Works through a file and those that it includes."""

    def __init__(self, include_dirs: Sequence[str], defines: Iterable[str], read: Reader) -> None:
        self._include_dirs = include_dirs
        self._defined = set(defines)
        self._read = read
        self._size = 0
        self._reports = dict.fromkeys(Severity, 0)
        self.text = Text()

    def file(self, name: str, content: str, depth: int = 0) -> None:
        """Append a file."""
        self._size += len(content)
        _File(self, name, content, depth).run()

    def include(self, wanted: str, angle: bool, place: Location, source: str, depth: int) -> None:
        """Find a file and append it.  Nothing after so many errors: files that include each other
        twice, on each level, would never end."""
        if self._reports[Severity.ERROR] >= limits.IDL_ERRORS:
            return
        directories = list(self._include_dirs)
        if not angle:
            parent = place.file.rpartition("/")[0]
            directories.insert(0, parent or ("/" if place.file.startswith("/") else "."))
        candidates = [
            wanted if one in ("", ".") or wanted.startswith("/") else f"{one.rstrip('/')}/{wanted}"
            for one in directories
        ]
        for candidate in candidates:
            content = self._read(candidate)
            if content is not None:
                break
        else:
            candidate, content = wanted, _standard_file(wanted)
        if content is None:
            searched = ", ".join(directories) or "nowhere: there is no include directory"
            self.report(place, source, f'cannot find "{wanted}"; searched {searched}')
            return
        if depth >= limits.IDL_INCLUDES:
            self.report(place, source, f'"{wanted}" includes itself, without a guard')
            return
        if len(self.text.includes) >= limits.IDL_FILES:
            self.report(place, source, f"more than {limits.IDL_FILES} includes in one text")
            return
        if self._size + len(content) > limits.IDL_FILE:
            self.report(place, source, f"more than {limits.IDL_FILE >> 20} MiB in one text")
            return
        self.text.includes.append(Include(wanted, candidate, angle, place))
        self.file(candidate, content, depth + 1)

    def report(
        self, place: Location, source: str, message: str, severity: Severity = Severity.ERROR
    ) -> None:
        """Note an error or a warning; of very many, the first ones."""
        self._reports[severity] += 1
        if self._reports[severity] <= limits.IDL_ERRORS:
            self.text.diagnostics.append(Diagnostic(place, message, source, severity))

    def define(self, name: str) -> None:
        """Make a name defined."""
        self._defined.add(name)

    def is_defined(self, name: str) -> bool:
        """Whether `#ifdef NAME` holds."""
        return name in self._defined


@dataclass
class _Region:
    """What stands between `#ifdef` and `#endif`."""

    active: bool
    outer: bool
    place: Location
    source: str
    has_else: bool = False


class _File:
    """Works through one file."""

    def __init__(self, owner: _Preprocessor, name: str, content: str, depth: int) -> None:
        self._owner = owner
        self._content = content.replace("\r\n", "\n").replace("\r", "\n")
        self._depth = depth
        self._file = name
        self._true_line = 1
        self._shift = 0
        self._regions: list[_Region] = []

    @property
    def _active(self) -> bool:
        return not self._regions or self._regions[-1].active

    def run(self) -> None:
        """Append the file's active lines."""
        start = 0
        for piece in _PIECES.finditer(self._content):
            if piece["open"] is not None:
                self._unterminated(piece.start())
                return
            if piece["directive"] is None:
                continue
            self._pass(start, piece.start())
            was_active = self._active
            self._directive(piece[0])
            self._note(piece.start(), piece.end(), Use.DIRECTIVE, was_active or self._active)
            start = min(piece.end() + 1, len(self._content))
            self._true_line += piece[0].count("\n") + 1
        self._pass(start, len(self._content))
        for region in self._regions:
            self._warn(region.place, region.source, "there is no #endif for this")

    def _pass(self, start: int, end: int) -> None:
        """Take over the lines between two directives."""
        if start >= end:
            return
        lines = self._content[start:end].removesuffix("\n").split("\n")
        self._note(start, end, Use.TEXT, self._active)
        if self._active:
            self._owner.text.lines += lines
            first = self._line
            self._owner.text.places += [(self._file, first + n) for n in range(len(lines))]
        self._true_line += len(lines)

    def _note(self, start: int, end: int, use: Use, active: bool) -> None:
        """Keep what a part of the outermost file was used for."""
        if self._depth == 0:
            self._owner.text.ranges.append(Range(start, end, use if active else Use.SKIPPED))

    @property
    def _line(self) -> int:
        return self._true_line + self._shift

    def _unterminated(self, position: int) -> None:
        before = self._content[:position]
        line = before.count("\n") + 1
        column = position - before.rfind("\n")
        place = Location(self._file, line + self._shift, column)
        source = self._content.split("\n")[line - 1]
        self._owner.report(place, source, "comment without end: expected */")

    def _warn(self, place: Location, source: str, message: str) -> None:
        self._owner.report(place, source, message, Severity.WARNING)

    def _directive(self, written: str) -> None:
        match = _DIRECTIVE.match(written)
        assert match is not None, written  # both patterns begin alike
        word, rest = match["word"], match["rest"]
        source = written.partition("\n")[0]
        place = Location(self._file, self._line, match.start("word") + 1)
        if word in ("ifdef", "ifndef", "else", "endif"):
            self._conditional(word, rest, place, source)
        elif not self._active:
            return
        elif word == "include":
            self._include(rest, place, source)
        elif word == "define":
            name = _NAME.match(rest)
            if name is None:
                self._owner.report(place, source, "expected a name after #define")
            else:
                self._owner.define(name["name"])
        elif word == "line" or word.isdigit():
            self._marker(rest if word == "line" else word + rest, place, source)
        elif word != "pragma":
            self._owner.report(place, source, self._unknown(word))
            return
        if match["gap"] and not word.isdigit():
            self._warn(place, source, "the reference compiler wants no white space after #")

    @staticmethod
    def _unknown(word: str) -> str:
        known = "expected #include, #define, #ifdef, #ifndef, #else, #endif, #line or #pragma"
        return f"unknown directive #{word}: {known}" if word else f"# without a word: {known}"

    def _conditional(self, word: str, rest: str, place: Location, source: str) -> None:
        if word in ("ifdef", "ifndef"):
            name = _NAME.match(rest)
            if name is None and self._active:
                self._owner.report(place, source, f"expected a name after #{word}")
            holds = name is not None and self._owner.is_defined(name["name"])
            active = self._active and holds == (word == "ifdef")
            self._regions.append(_Region(active, self._active, place, source))
        elif not self._regions:
            self._warn(place, source, f"#{word} without #ifdef or #ifndef")
        elif word == "endif":
            self._regions.pop()
        else:
            region = self._regions[-1]
            if region.has_else:
                self._owner.report(place, source, "second #else: expected #endif")
            elif region.outer:
                self._warn(place, source, "the reference compiler does not know #else")
            region.has_else = True
            region.active = region.outer and not region.active

    def _include(self, rest: str, place: Location, source: str) -> None:
        match = _FILE.match(rest)
        if match is None:
            message = 'expected "FILE" or <FILE> after #include'
            self._owner.report(place, source, message)
            return
        if not _BEHIND.match(match["behind"]):
            self._warn(place, source, f"text after #include is ignored: {match['behind'].strip()}")
        wanted, angle = match["quoted"] or match["angle"], match["angle"] is not None
        self._owner.include(wanted, angle, place, source, self._depth)

    def _marker(self, rest: str, place: Location, source: str) -> None:
        match = _MARKER.match(rest)
        if match is None:
            message = 'expected a line number, perhaps "FILE", perhaps flags'
            self._owner.report(place, source, message)
            return
        self._shift = int(match["line"]) - self._true_line - 1
        self._file = self._file if match["file"] is None else match["file"]


def preprocess(
    content: str,
    name: str,
    include_dirs: Sequence[str] = (),
    defines: Iterable[str] = (),
    read: Reader = read_file,
) -> Text:
    """Return the text with its includes, without its directives.

    `name` is shown in messages, and its directory is where `#include "f"` looks first; then come
    `include_dirs` in order, and the standard `remote.idl`.  Errors stand in the result.
    """
    worker = _Preprocessor(include_dirs, defines, read)
    worker.file(name, content)
    return worker.text
