"""The file of a recording: a zip archive of the events and of their longer bytes.

    recording.jsonl     an object of JSON a line: the first says the version, then the events
    bytes/NAME          bytes of more than limits.RECORDED_INLINE, once, whoever has them

In the lines, an event is an object with its kind as `event` and its fields; bytes are a text in
hex, or `{"bytes": NAME}`.  How a field is read and written follows from its type alone.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from qda import limits
from qda.errors import UsageError
from qda.recording.events import EVENTS, SCHEMA, Argument, Change, Event

__all__ = ["LINES", "Writer", "read"]

T = TypeVar("T")

_log = logging.getLogger("qda.recording")

LINES, _BYTES = "recording.jsonl", "bytes/"
_KINDS = {kind.kind: kind for kind in EVENTS}

Json: TypeAlias = "str | int | list[Json] | dict[str, Json]"
Value: TypeAlias = "str | int | bytes | tuple[Value, ...] | Argument | Change"
Part: TypeAlias = Event | Argument | Change


class Writer:
    """Writes events into a file at `path`; it is whole when `close` has returned.  Thread-safe.

    OSError for a file that cannot be made.  What comes after limits.RECORDED_EVENTS events or
    limits.RECORDED_BYTES bytes is left out, and a warning says so.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._failure = path, ""
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._lines = [json.dumps({"recording": SCHEMA})]
        self._names = set[str]()
        self._bytes = 0
        self._lock = threading.Lock()
        self._is_full = False

    def write(self, event: Event) -> None:
        """Add an event."""
        with self._lock:
            if self._archive.fp is None:
                return  # a session has outlived the recording
            self._is_full = self._is_full or len(self._lines) > limits.RECORDED_EVENTS
            made: dict[str, Json] = {}
            try:
                if not self._is_full:
                    made = {"event": event.kind, **self._fields(event)}
            except OSError as error:  # of the recording, and not of the program's call
                self._is_full, self._failure = True, error.strerror or str(error)
            if not self._is_full:
                self._lines.append(json.dumps(made, separators=(",", ":")))

    def close(self) -> None:
        """Finish the file.  Idempotent.  UsageError if it could not be written."""
        with self._lock:
            if self._archive.fp is None:
                return
            for finish in (self._put_lines, self._archive.close):
                try:
                    finish()
                except OSError as error:
                    self._failure = self._failure or error.strerror or str(error)
        if self._failure:
            raise UsageError(f"{self._path}: {self._failure}: the recording is not whole")
        if self._is_full:
            _log.warning("a recording is full: what came later is left out")

    def _put_lines(self) -> None:
        self._archive.writestr(LINES, "\n".join(self._lines) + "\n")

    def disown(self) -> None:
        """In a forked child: the file is the parent's, and what is left to be written goes to
        nobody."""
        self._lock = threading.Lock()
        with self._lock, open(os.devnull, "wb") as nowhere:
            if self._archive.fp is not None:
                os.dup2(nowhere.fileno(), self._archive.fp.fileno(), inheritable=False)
                self._archive.close()

    def _fields(self, part: Part) -> dict[str, Json]:
        return {name: self._plain(getattr(part, name)) for name in _types(type(part))}

    def _plain(self, value: Value) -> Json:
        if isinstance(value, bytes):
            return value.hex() if len(value) <= limits.RECORDED_INLINE else self._kept(value)
        if isinstance(value, tuple):
            return [self._plain(one) for one in value]
        if isinstance(value, Argument | Change):
            return self._fields(value)
        return value

    def _kept(self, data: bytes) -> Json:
        name = hashlib.sha256(data).hexdigest()[:32]
        if name not in self._names:
            self._bytes += len(data)
            self._is_full = self._bytes > limits.RECORDED_BYTES
            if not self._is_full:
                self._archive.writestr(_BYTES + name, data)
                self._names.add(name)
        return {"bytes": name}


_SPOILED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError),
    *(KeyError, ValueError, TypeError, RecursionError),
)
"""What reading raises of a file that has been changed: first the archive, then the lines."""


def read(path: Path) -> list[Event]:
    """The events of a recording.  UsageError for a file that is none, or of another version."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise UsageError(f"{path} is no recording: it is no file, but a device or a pipe")
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_Reader(archive).events())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from error
    except _SPOILED as error:
        raise UsageError(f"{path} is no recording: {error}") from error


class _Reader:
    """Reads an archive, which anybody may have made."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        sizes = sum(one.file_size for one in archive.infolist())
        if sizes > limits.RECORDED_BYTES + limits.RECORDED_EVENTS * limits.RECORDED_INLINE:
            raise ValueError(f"{sizes} bytes are too many")
        self._archive = archive
        self._had: dict[str, bytes] = {}

    def events(self) -> Iterator[Event]:
        first, *lines = self._archive.read(LINES).decode().splitlines()
        version = json.loads(first)["recording"]
        if version != SCHEMA:
            raise ValueError(f"it is of version {version}, and this QDA reads version {SCHEMA}")
        for line in lines:
            said = json.loads(line)
            yield self._part(_KINDS[said.pop("event")], said)

    def _part(self, kind: type[T], said: Mapping[str, Json]) -> T:
        types = _types(kind)
        return kind(**{name: self._value(hint, said[name]) for name, hint in types.items()})

    def _value(self, hint: type, said: Json) -> Value:
        if hint is bytes:
            return self._data(said)
        if get_origin(hint) is tuple and isinstance(said, list):
            return tuple(self._value(get_args(hint)[0], one) for one in said)
        if hint is Argument and isinstance(said, dict):
            return self._part(Argument, said)
        if hint is Change and isinstance(said, dict):
            return self._part(Change, said)
        if hint in (int, str, bool) and type(said) is hint and isinstance(said, int | str):
            return said
        if get_origin(hint) is Literal and isinstance(said, str) and said in get_args(hint):
            return said
        raise ValueError(f"{said!r:.80} where there should be {hint}")

    def _data(self, said: Json) -> bytes:
        if isinstance(said, str):
            return bytes.fromhex(said)
        if not isinstance(said, dict) or not isinstance(name := said["bytes"], str):
            raise ValueError(f"{said!r:.80} are no bytes")
        if name not in self._had:
            self._had[name] = self._archive.read(_BYTES + name)
        return self._had[name]


_known: dict[type, dict[str, type]] = {}


def _types(kind: type) -> dict[str, type]:
    """The fields of a part of a recording, and their types without what is said of them."""
    if kind not in _known:
        hints = get_type_hints(kind)
        _known[kind] = {field.name: hints[field.name] for field in dataclasses.fields(kind)}
    return _known[kind]
