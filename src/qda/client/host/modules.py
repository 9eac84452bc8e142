"""The modules of a host, which code on the DSP opens by name and calls by handle.

Handle 0 is the module manager (spec/fastrpc.md 7.4).  Results are those of a host: 0, an errno, or
an AEE number without the DSP's offset (8.2).
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qda import limits
from qda.errors import (
    BAD_HANDLE,
    BAD_PARAMETER,
    OUT_OF_HANDLES,
    SKELETON_RAISED,
    UNABLE_TO_LOAD,
    UNSUPPORTED,
    DspError,
    StatusError,
    as_signed,
    plain,
)
from qda.fastrpc.remotectl import REMOTECTL, Server
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import Module
from qda.fastrpc.uri import ModuleUri
from qda.interrupts import aside

__all__ = ["HostModules", "Opened"]


_log = logging.getLogger("qda.client.host")


@dataclass(frozen=True, slots=True)
class Opened:
    """A module that is open, and what closes it."""

    module: Module
    close: Callable[[], None]


Opener = Callable[[str], Opened]
"""Opens a module for the URI or name that the DSP has given."""


class HostModules:
    """The modules that there are, and those that are open.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._openers: dict[str, Opener] = {}
        self._open: dict[int, Opened] = {}
        self._last = 0
        self._server = Server(
            REMOTECTL,
            self._add,
            self._remove,
            lambda error, _: (_status_of(error), _words_of(error)),
        )

    def provide(self, name: str, opener: Opener) -> None:
        """Make a module available; a later one of the same name replaces it for later opens."""
        with self._lock:
            self._openers[name] = opener

    def call(
        self, handle: int, scalars: Scalars, ins: Sequence[memoryview], outs: Sequence[bytearray]
    ) -> int:
        """Run a call of the DSP; returns its result, signed.  Never raises."""
        try:
            if scalars.length != scalars.buffers:
                raise StatusError(BAD_PARAMETER, "a reverse call takes no handles (7.2)")
            arguments = [*ins, *(memoryview(out) for out in outs)]
            if handle == REMOTECTL.handle:
                return self._manage(scalars, arguments)
            with self._lock:
                opened = self._open.get(handle)
            if opened is None:
                raise StatusError(BAD_HANDLE, f"no module is open at {handle:#x}")
            return as_signed((opened.module.invoke(scalars, arguments) or 0) & 0xFFFFFFFF)
        except BaseException as error:  # a module of the program may raise anything
            return as_signed(_status_of(error))

    def _manage(self, scalars: Scalars, arguments: list[memoryview]) -> int:
        try:
            served = self._server.serve(scalars, arguments)
        except ValueError as error:
            raise StatusError(BAD_PARAMETER, str(error)) from error
        if not served:
            raise StatusError(UNSUPPORTED, f"the host's module manager has no {scalars}")
        return 0

    def _add(self, name: str) -> int:
        try:
            key = ModuleUri.parse(name).name
        except ValueError as error:
            raise StatusError(BAD_PARAMETER, str(error)) from error
        with self._lock:
            opener = self._openers.get(key)
            known = ", ".join(sorted(self._openers))
        if opener is None:
            words = f"the program provides no module {key}; there are {known}"
            raise StatusError(UNABLE_TO_LOAD, words)
        opened = opener(name)
        with self._lock:
            if len(self._open) < limits.HOST_MODULES:
                self._last += 1
                self._open[self._last] = opened
                return self._last
        opened.close()
        raise StatusError(OUT_OF_HANDLES, f"{limits.HOST_MODULES} modules are open")

    def _remove(self, handle: int) -> None:
        with self._lock:
            opened = self._open.pop(handle, None)
        if opened is None:
            raise StatusError(BAD_HANDLE, f"no module is open at {handle:#x}")
        opened.close()

    def close(self) -> None:
        """Close all modules that the DSP has left open."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        interrupt: BaseException | None = None
        for opened in left:
            try:
                aside(opened.close)
            except Exception:
                _log.exception("a module of the host failed to close")
            except BaseException as error:
                interrupt = error
        try:
            if interrupt is not None:
                raise interrupt
        finally:
            del interrupt  # which holds this frame


def _status_of(error: BaseException) -> int:
    """The result of a call that ends with an exception.

    What is raised on the host has a host's number, whoever raises it: the statuses of the table
    lose the DSP's offset.  What the DSP has said to a call that the module made itself keeps it.
    """
    if isinstance(error, StatusError):
        return plain(error.status)
    if isinstance(error, DspError):
        return error.status
    if isinstance(error, OSError):
        return error.errno or errno.EIO
    _log.error("a module of the host raised", exc_info=error)
    return plain(SKELETON_RAISED)


def _words_of(error: BaseException) -> str:
    return error.text if isinstance(error, StatusError) else str(error)
