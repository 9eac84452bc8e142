"""The Python back end: interfaces as modules, made at run time or written to a file."""

from __future__ import annotations

from qda.idl.names import module_name
from qda.idl.python import runtime
from qda.idl.python.load import load, load_module
from qda.idl.python.module import write_module

__all__ = ["load", "load_module", "module_name", "runtime", "write_module"]
