"""The interface language: from FastRPC IDL to a typed model, and from there to calls.

    document = parse("calculator.idl")            # a file
    document = parse("interface x { long m(in long a); };", name="x.idl")
    for method in document.interfaces[0].methods: ...

A text that is not valid raises an `IdlError`, which holds every error with its file, line and
column.  What is valid but likely not what was meant stands in `document.warnings`.
"""

from __future__ import annotations

from qda.idl.compile import parse
from qda.idl.diagnostics import Diagnostic, IdlError, Location, Severity
from qda.idl.model import Document, Interface, Method, Parameter

__all__ = [
    "Diagnostic",
    "Document",
    "IdlError",
    "Interface",
    "Location",
    "Method",
    "Parameter",
    "Severity",
    "parse",
]
