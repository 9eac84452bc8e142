"""The way through the front end: preprocess, parse, understand."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import PurePath
from typing import Final

from qda import limits
from qda.errors import UsageError, UsageTypeError, did_you_mean, quoted
from qda.idl.diagnostics import Diagnostic, IdlError, Location, Severity
from qda.idl.model import Document
from qda.idl.text.preprocessor import Reader, Text, preprocess, read_file

__all__ = ["parse"]

_STRANGE: Final = re.compile("[\0\ud800-\udfff]")


def parse(
    source: str | os.PathLike[str],
    *,
    name: str | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    defines: Iterable[str] = (),
    read: Reader = read_file,
) -> Document:
    """Return what an IDL file or text declares.  IdlError, with all errors, if it is not valid.

    `source` is a path, or a str that ends with `.idl` (a file's name), or else the text itself;
    `name` is what a text is called in messages and in the names made from it.  `include_dirs` are
    searched for included files, `defines` are the names that `#ifdef` finds.  `read` is asked for
    every file, by its path: give your own to take files from elsewhere.
    """
    # Here, because Lark takes longer to import than all else, and most programs parse nothing.
    from qda.idl.text.parser import parse_text
    from qda.idl.text.semantics import understand

    if not isinstance(name, str | None):
        raise UsageTypeError(f"name {quoted(name)}: the name of a file")
    for what, several in (("include_dirs", include_dirs), ("defines", defines)):
        if isinstance(several, str | bytes) or not isinstance(several, Iterable):
            raise UsageTypeError(f"{what} {quoted(several)}: a list")
    if name is not None and _STRANGE.search(name):
        raise UsageError(f"{name!r} is no name of a file")
    if isinstance(source, str) and (name is not None or not source.endswith(".idl")):
        content, file = source, "interface.idl" if name is None else name
    else:
        file = _path(source)
        found = read(file)
        if found is None:
            raise IdlError([Diagnostic(Location(file, 1), _unread(file))])
        content = found
    text = preprocess(content, file, [os.fspath(one) for one in include_dirs], defines, read)
    errors = [one for one in text.diagnostics if one.severity is Severity.ERROR]
    errors += _strange(text)
    tree = parse_text(text)
    errors += tree.errors
    if not errors:
        document, errors = understand(text, tree, file)
        if not errors:
            return replace(document, text=_with_markers(text, file))
    raise IdlError(dict.fromkeys(errors))


def _path(source: str | os.PathLike[str]) -> str:
    """The name of a file.  UsageTypeError for what is neither a name nor a text."""
    if not isinstance(source, str | os.PathLike):
        words = f"{source!r:.80} is no interface: give its text or the path of its file"
        raise UsageTypeError(words)
    return os.fspath(source)


def _unread(file: str) -> str:
    """Why a file is not read, as far as it can be seen."""
    said = f"cannot read the file; a regular one of at most {limits.IDL_FILE >> 20} MiB is read"
    if not os.path.lexists(file):
        folder = os.path.dirname(file) or "."
        others = os.listdir(folder) if os.path.isdir(folder) else []
        meant = did_you_mean(os.path.basename(file), others)
        return f"{said}, and there is none of that name{'; ' * bool(meant)}{meant}"
    try:
        state = os.stat(file)
    except OSError as error:  # a link that leads nowhere, or to itself
        return f"{said}: {error.strerror}"
    if not stat.S_ISREG(state.st_mode):
        kind = next((name for test, name in _KINDS if test(state.st_mode)), "something else")
        return f"{said}, and this is {kind}"
    if state.st_size > limits.IDL_FILE:
        return f"{said}, and this one has {state.st_size} bytes"
    return said if os.access(file, os.R_OK) else f"{said}, and this one may not be read"


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _strange(text: Text) -> list[Diagnostic]:
    """Errors for letters that no file of Python can have, not even in a comment."""
    if not _STRANGE.search(text.content):
        return []
    found = (
        (number, one)
        for number, line in enumerate(text.lines, 1)
        for one in _STRANGE.finditer(line)
    )
    return [
        Diagnostic(
            text.locate(number, one.start() + 1),
            f"{one[0]!a} is no character of a text",
            _STRANGE.sub("?", one.string),
        )
        for number, one in islice(found, limits.IDL_ERRORS)
    ]


def _with_markers(text: Text, file: str) -> str:
    """A preprocessed text as one file: markers say where lines come from, without folders."""
    lines: list[str] = []
    expected = (file, 1)
    for line, (source, number) in zip(text.lines, text.places, strict=True):
        if (source, number) != expected:
            lines.append(f'#line {number} "{PurePath(source).name}"')
        lines.append(line)
        expected = source, number + 1
    return "\n".join(lines)
