"""Libraries with pointers that Python fills in, and the calls that come through them."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.idl.native.glue import hook_name

__all__ = ["Hooked"]

_FAILED = -1


class Hooked:
    """An instance of a library of its own: what one sets, or opens, no other one sees.

    An exception in Python cannot pass through C: the call returns -1 there, and `guard` raises it
    once C has returned.
    """

    def __init__(self, path: Path) -> None:
        # Beside the original, and removed with it: whoever loads this path gets this instance.
        descriptor, name = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".so", dir=path.parent)
        os.close(descriptor)
        self.path = Path(shutil.copyfile(path, name))
        self.library = ctypes.CDLL(name)
        self._failure: BaseException | None = None
        self._callbacks: list[Any] = []

    def hook(self, name: str, parameters: Sequence[Any], function: Callable[..., int]) -> None:
        """Let a function of the library's glue call a Python function."""

        def run(*arguments: Any) -> int:
            try:
                return ctypes.c_int32(function(*arguments)).value
            except BaseException as error:
                self._failure = error
                return _FAILED

        callback = ctypes.CFUNCTYPE(ctypes.c_int32, *parameters)(run)
        self._callbacks.append(callback)
        pointer = ctypes.c_void_p.in_dll(self.library, hook_name(name))
        pointer.value = ctypes.cast(callback, ctypes.c_void_p).value

    def function(self, name: str, parameters: Sequence[Any]) -> Callable[..., int]:
        """A function of the library, which returns an int."""
        function = self.library[name]
        function.restype, function.argtypes = ctypes.c_int32, list(parameters)
        return function

    def guard(self) -> None:
        """Raise what a hook has raised since the last time."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
