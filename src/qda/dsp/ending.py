"""How a protection domain has ended, in words: made from its status and from its black box.

The processor makes them when a process has died that nobody has ended.  Nothing here is needed
before, and nothing that the process has left behind is trusted: it is text, and lines that are not
understood are left out.
"""

from __future__ import annotations

import linecache
import os
import re
import signal
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from qda import limits
from qda.dsp.symbols import Mapped, mapped, names_of
from qda.dsp.tracebacks import is_made
from qda.fastrpc.obituary import Obituary

__all__ = ["obituary"]

_SUBJECT = "the protection domain"
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_SYSTEM = re.compile(r"(lib(c|m|dl|pthread|gcc_s|stdc\+\+|c\+\+|c\+\+abi|asan|ubsan)|ld-\S+)[-.].*")
_INTERPRETER = re.compile(r"libpython.*|_ctypes\..*|libffi.*|_core\.abi3\.so|libqda_.*")
_ENDING = re.compile(r"(__GI_)?_?exit|__run_exit_handlers|on_exit_called")
_SMALL = 4096
_NEAR_STACK = 64 << 10


class Record(NamedTuple):
    """What the black box says."""

    signal: dict[str, int]
    frames: list[int]
    maps: list[Mapped]
    words: dict[str, str]
    python: list[PythonFrame]
    report: list[str]
    exits: bool


_SAID = frozenset({"signal", "code", "address", "place", "stack"})
_NUMBERS = re.compile(r"(\w+) ([0-9a-f]+)")
_PYTHON = re.compile(r'  File "(.*)", line (\d+) in (.*)')


def _record(lines: list[str]) -> Record:
    numbers: dict[str, int] = {}
    frames: list[int] = []
    words: dict[str, str] = {}
    python: list[PythonFrame] = []
    report: list[str] = []
    reporting = False
    for line in lines:
        kind, _, rest = line.partition(" ")
        if reporting and line != "end":
            report.append(line)
        elif line in ("report", "end"):
            reporting = line == "report"
        elif kind == "signal" and not numbers:
            found = {name: int(value, 16) for name, value in _NUMBERS.findall(line)}
            numbers = found if found.keys() >= _SAID and found["signal"] else {}
        elif kind == "frame" and re.fullmatch("[0-9a-f]{1,16}", rest):
            frames.append(int(rest, 16))
        elif kind in ("message", "exception", "asked"):
            words[kind] = rest.strip()[: limits.LOG_LINE]
        elif (match := _PYTHON.fullmatch(line)) and not _is_ours(match[1]):
            python.append(PythonFrame(match[1], int(match[2]), match[3]))
    exits = "exit" in lines
    called = _without_start(python[::-1])
    return Record(numbers, frames, mapped(lines), words, called, report, exits)


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS) or is_made(file)


class PythonFrame(NamedTuple):
    """A line of Python that was under way."""

    file: str
    line: int
    function: str

    @property
    def is_library(self) -> bool:
        return self.file.startswith(_LIBRARY)

    def __str__(self) -> str:
        """As tracebacks have it, with the line itself if it can be read."""
        source = linecache.getline(self.file, self.line).strip()
        head = f'  File "{self.file}", line {self.line}, in {self.function}'
        return f"{head}\n    {source}" if source else head


_LIBRARY = os.path.dirname(os.__file__) + os.sep
_STARTS = (
    os.path.join(_LIBRARY, "threading.py"),
    os.path.join(_LIBRARY, "ctypes", "__init__.py"),
)
"""What begins a thread, and what we load a library by."""


def _without_start(frames: list[PythonFrame]) -> list[PythonFrame]:
    """Without those by which Python starts a thread, or the code of a library."""
    begin = 0
    while begin < len(frames) and frames[begin].file in _STARTS:
        begin += 1
    return frames[begin:]


_NO_CODE, _UNKNOWN = "no code", "code of no file"


class Frame(NamedTuple):
    """A place in machine code: its module, and what stands there, perhaps ""."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.module})" if self.name else self.module

    @property
    def function(self) -> str:
        return self.name.partition(" at ")[0]

    @property
    def is_code(self) -> bool:
        return not self.module.startswith(_NO_CODE)

    @property
    def is_system(self) -> bool:
        return _SYSTEM.fullmatch(self.module) is not None


def _frames(record: Record) -> list[Frame]:
    """The frames, the innermost first, without those of the interpreter, which has called it all,
    and of the end itself."""
    places = [(place, _area(record.maps, place)) for place in record.frames]
    offsets: dict[str, list[int]] = {}
    for place, area in places:
        if area is not None and area.path.startswith("/"):
            offsets.setdefault(area.path, []).append(place - area.start + area.offset)
    names = {
        (path, offset): found
        for path, asked in offsets.items()
        for offset, found in zip(
            asked, names_of(path, asked, not _SYSTEM.fullmatch(_module(path))), strict=True
        )
    }
    frames: list[Frame] = []
    for place, area in places:
        if area is None or not area.path:
            frames.append(Frame(f"{_UNKNOWN if area else _NO_CODE}, {place:#x}", ""))
            continue
        module = _module(area.path)
        offset = place - area.start + area.offset
        found = names.get((area.path, offset))
        frames += [Frame(module, name) for name in found or ()] or [
            Frame(f"{module}+{offset:#x}", "")
        ]
    ends = [index for index, frame in enumerate(frames) if _ENDING.fullmatch(frame.function)]
    if record.exits and ends:
        frames = frames[ends[-1] + 1 :]
    shown: list[Frame] = []
    for frame in frames:
        module = frame.module.partition("+0x")[0]
        if _INTERPRETER.fullmatch(module) or module == _PYTHON_NAME:
            break
        shown.append(frame)
    own = [index for index, frame in enumerate(shown) if not frame.is_system and frame.is_code]
    return shown[: own[-1] + 1] if own else shown  # before are those that begin a thread


_PYTHON_NAME = os.path.basename(os.path.realpath(sys.executable))


def _module(path: str) -> str:
    return os.path.basename(path.removesuffix(" (deleted)").removeprefix("/memfd:"))


def _area(maps: list[Mapped], place: int) -> Mapped | None:
    for area in maps:
        if area.start <= place < area.end:
            return area
    return None


def _where(record: Record, frames: list[Frame]) -> str:
    """Where it has happened: the innermost place, and who of the skeleton's has called it."""
    places: list[str] = []
    own = next((frame for frame in frames if frame.is_code and not frame.is_system), None)
    # Of a signal that was asked for counts by whom it was, and not in what way.
    asked = record.signal.get("signal") == signal.SIGABRT or _was_sent(record)
    if frames and frames[0].is_system and not asked:
        places.append(f"in {frames[0]}")
    if own is not None:
        places.append(f"called by {own}" if places else f"in {own}")
    at = [frame for frame in record.python if not frame.is_library] or record.python
    if at and own is None:
        called = f"{at[-1].function} at {os.path.basename(at[-1].file)}:{at[-1].line}"
        places.append(f"called by {called}" if places else f"in {called}")
    return "".join(f", {place}" for place in places)


def _address(record: Record) -> str:
    """What is known of the address of a fault."""
    at, stack = record.signal["address"], record.signal["stack"]
    area = _area(record.maps, at)
    if at == record.signal["place"]:
        return f"at address {at:#x}, where there is no code to run"
    if record.signal["code"] == _FROM_KERNEL and not at:
        return "at an address that no memory can have"
    closed = area is None or area.access.startswith("---")
    if closed and stack and abs(stack - at) < _NEAR_STACK:
        return f"at address {at:#x}: the stack is full"
    if at < _SMALL:
        return f"at address {at:#x}, {'close to ' * bool(at)}a null pointer"
    if closed:
        return f"at address {at:#x}, where nothing is mapped"
    if area is not None and "w" not in area.access:
        return f"at address {at:#x}, which is read-only"
    return f"at address {at:#x}"


_FROM_KERNEL = 0x80


def _signal(number: int, record: Record, frames: list[Frame]) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    where = _where(record, frames)
    said = record.signal
    if "asked" in record.words:
        return f"{_SUBJECT} has ended as {record.words['asked']}"
    if number == signal.SIGKILL:
        return f"{_SUBJECT} was killed by {name}: by somebody, or by the system for want of memory"
    if not said:
        more = ": perhaps a thread's stack was full" if number == signal.SIGSEGV else ""
        return f"{_SUBJECT} was ended by {name}{more}{where}"
    if number == signal.SIGABRT:
        if "exception" in record.words:
            why = f": a C++ exception that nobody caught, {_demangled(record.words['exception'])}"
        else:
            why = f": {record.words['message']}" if record.words.get("message") else ""
        return f"{_SUBJECT} died of {name}{why}{where}"
    if _was_sent(record):
        return f"{_SUBJECT} died of {name}, which was sent to it{where}"
    known = _KNOWN.get((number, said["code"]))
    if known is not None:
        return f"{_SUBJECT} died of {name}: {known}{where}"
    has_address = number in (signal.SIGSEGV, signal.SIGBUS)
    return f"{_SUBJECT} died of {name}{f' {_address(record)}' * has_address}{where}"


_KNOWN: dict[tuple[int, int], str] = {
    (signal.SIGFPE, 1): "an integer was divided by zero",
    (signal.SIGBUS, 2): "memory of a file that has become shorter",
}
"""Codes of faults that say what it was: linux `include/uapi/asm-generic/siginfo.h`."""


def _was_sent(record: Record) -> bool:
    """Whether somebody has sent the signal: codes of faults are above 0, as signed words."""
    code = record.signal.get("code", 1)
    return code == 0 or code >= 1 << 31


def _demangled(name: str) -> str:
    """The name of a type of C++, if it is one of the usual ones."""
    rest = name.removeprefix("St")
    parts = ["std"] if rest != name else []
    rest = rest.removeprefix("N").removesuffix("E")
    while match := re.match(r"\d+", rest):
        size, begin = int(match[0]), match.end()
        parts.append(rest[begin : begin + size])
        rest = rest[begin + size :]
    return "::".join(parts) if parts and not rest else _PLAIN_TYPES.get(name, name)


_PLAIN_TYPES = {"i": "int", "PKc": "const char*", "d": "double", "l": "long", "j": "unsigned"}


def _folded(lines: Iterator[str]) -> Iterator[str]:
    """Lines, of which those that repeat stand once."""
    for line, same in groupby(lines):
        count = sum(1 for _ in same)
        yield line if count == 1 else f"{line} ({count} times)"


def _reported(record: Record, log: list[tuple[int, str]]) -> Obituary:
    """The end that AddressSanitizer has brought."""
    lines = [line.rstrip() for line in record.report if line.strip()]
    first = next((line for line in lines if "ERROR: " in line), lines[0] if lines else "")
    words = first.partition("ERROR: ")[2] or first
    return Obituary(f"{_SUBJECT} has ended itself: {words}", tuple(lines), tuple(log))


def obituary(status: int, log: list[tuple[int, str]], said: list[str]) -> Obituary:
    """What a status of `os.waitpid`, and the black box, say about the end of a process."""
    record = _record(said)
    frames = _frames(record)
    if record.report:
        return _reported(record, log)
    if os.WIFSIGNALED(status):
        # Of two, the first one is why: the second may have come while the first was told.
        number = record.signal.get("signal") or os.WTERMSIG(status)
        sentence = _signal(number, record, frames)
    else:
        where = _where(record, frames)
        sentence = f"{_SUBJECT} has ended itself: exit status {os.WEXITSTATUS(status)}{where}"
    trace: list[str] = []
    if frames:
        trace.append("Backtrace of C (most recent call first):")
        trace += _folded(f"  {frame}" for frame in frames)
    if record.python:
        trace.append("Backtrace of Python (most recent call last):")
        trace += "\n".join(_folded(map(str, record.python))).splitlines()
    return Obituary(sentence, tuple(trace), tuple(log))
