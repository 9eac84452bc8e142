"""The interface language: from FastRPC IDL to a typed model, and from there to calls.

    calculator = load("calculator.idl")           # a file, or the text itself
    class MyCalculator(calculator.Skeleton):      # an implementation
        def sum(self, vec): return vec.sum()
    remote = session.load(MyCalculator)           # an object whose methods are calls

    document = parse("calculator.idl")            # what the file says
    for method in document.interfaces[0].methods: ...

A text that is not valid raises an `IdlError`, which holds every error with its file, line and
column.  What is valid but likely not what was meant stands in `document.warnings`.
"""

from __future__ import annotations

from qda.idl.diagnostics import Diagnostic, IdlError, Location, Severity
from qda.idl.model import Document, Interface, Method, Parameter
from qda.idl.python import load, load_module, runtime
from qda.idl.python.runtime import Pending, RawCall, Remote, Skeleton
from qda.idl.text.compile import parse

__all__ = [
    "Diagnostic",
    "Document",
    "IdlError",
    "Interface",
    "Location",
    "Method",
    "Parameter",
    "Pending",
    "RawCall",
    "Remote",
    "Severity",
    "Skeleton",
    "load",
    "load_module",
    "parse",
    "runtime",
]
