"""The way through the front end: preprocess, parse, understand."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePath

from qda.idl.diagnostics import Diagnostic, IdlError, Location, Severity
from qda.idl.model import Document
from qda.idl.text.preprocessor import Reader, Text, preprocess, read_file

__all__ = ["parse"]


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

    if isinstance(source, str) and (name is not None or not source.endswith(".idl")):
        content, file = source, "interface.idl" if name is None else name
    else:
        file = os.fspath(source)
        found = read(file)
        if found is None:
            message = "cannot read the file"
            raise IdlError([Diagnostic(Location(file, 1), message)])
        content = found
    text = preprocess(content, file, [os.fspath(one) for one in include_dirs], defines, read)
    errors = [one for one in text.diagnostics if one.severity is Severity.ERROR]
    tree = parse_text(text)
    errors += tree.errors
    if not errors:
        document, errors = understand(text, tree, file)
        if not errors:
            return replace(document, text=_with_markers(text, file))
    raise IdlError(dict.fromkeys(errors))


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
