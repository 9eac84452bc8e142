"""The C back end: headers, stubs and skeletons that are drop-in replacements for `qaic`'s.

    document = parse("calculator.idl")
    header(document), stub(document, interface), skeleton(document, interface)     # texts
    write_files(document, Path("out"))                                             # files

They have the same names, signatures, checks and bytes on the wire (idl.md 5 to 8), so that programs
written for the original compile and link unchanged.  `INCLUDE` is a folder with the headers that
they need, for machines without the original's SDK.
"""

from __future__ import annotations

from qda.idl.c.files import INCLUDE, write_files
from qda.idl.c.header import header
from qda.idl.c.options import Options
from qda.idl.c.prototypes import Prototype, prototype
from qda.idl.c.skeleton import skeleton
from qda.idl.c.stub import stub

__all__ = [
    "INCLUDE",
    "Options",
    "Prototype",
    "header",
    "prototype",
    "skeleton",
    "stub",
    "write_files",
]
