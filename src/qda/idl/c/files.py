"""Writing the files of a document, as `qda idl` does (idl.md 5.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from qda.idl.c.header import header, is_root
from qda.idl.c.options import Options
from qda.idl.c.skeleton import skeleton
from qda.idl.c.stub import stub
from qda.idl.model import Document

__all__ = ["INCLUDE", "write_files"]

INCLUDE: Final = Path(__file__).parent / "include"
"""Headers that generated code includes: `remote.h`, `AEEStdDef.h` and so on."""


def write_files(document: Document, folder: Path, options: Options | None = None) -> list[Path]:
    """Write header, stubs and skeletons of a document to a folder; returns their paths.

    IdlError, and nothing is written, if any of them cannot be; OSError.
    """
    options = options or Options()
    texts: dict[str, str] = {}
    if not options.no_header:
        texts[f"{document.library}.h"] = header(document, options)
    for interface in () if options.header_only else document.interfaces:
        if not is_root(interface):
            texts[f"{interface.c_name}_stub.c"] = stub(document, interface, options)
            texts[f"{interface.c_name}_skel.c"] = skeleton(document, interface, options)
    paths = []
    for name, text in texts.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
