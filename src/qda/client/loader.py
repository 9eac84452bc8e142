"""The loader of a DSP that runs Python: it installs skeleton classes, and hands out the log."""

from __future__ import annotations

import struct
from contextlib import closing, suppress

from qda import limits
from qda.client.calls import Call
from qda.client.manager import ModuleManager
from qda.client.pickling import forms
from qda.errors import NO_SUCH_MODULE, DeviceError, DspError, Refusal
from qda.fastrpc.loader import LOADER_URI, READ_LOG, READ_OWN_LOG
from qda.fastrpc.remotectl import ended, text
from qda.interrupts import Section

__all__ = ["Loader"]


class Loader:
    """The loader module of a DSP, as a client calls it: opened when it is first needed.

    `call` must not read the log for its errors: that is done here.  `handed_over` is the table by
    which classes get to a DSP of this process (`Node.handed_over`).
    """

    def __init__(self, call: Call, domain: str, handed_over: dict[str, type] | None) -> None:
        self._call, self._domain, self._handed_over = call, domain, handed_over
        self._manager = ModuleManager(call, domain)
        self._handle: int | None = None
        self.installed: set[str] = set()

    def install(self, skeleton: type, name: str) -> str:
        """Make a skeleton class available on the DSP under a name; returns what is to be said of it
        to who reads warnings.

        DspError on a DSP that does not run Python, or cannot import what the class needs;
        UsageTypeError for a class that cannot be sent; DeviceError.
        """
        operation = f"install skeleton {name}"
        room = bytearray(limits.LOADER_TEXT)
        try:
            self._send(operation, skeleton, ended(name), room)
        except DspError as error:
            said = text(room)
            log = () if said else self.read_log(READ_OWN_LOG)
            raise DspError(operation, self._domain, error.status, said, log) from error
        except DeviceError as error:
            raise DeviceError(operation, self._domain, -error.code, error.detail) from error
        self.installed.add(name)
        return text(room)

    def _send(self, operation: str, skeleton: type, name: bytes, room: bytearray) -> None:
        """Send a class in one form after the other, as long as the DSP does not find its module."""
        loader = self._handle or self._open()
        unknown: DspError | None = None
        with closing(forms(skeleton, self._handed_over)) as ways:
            for method, form in ways:
                try:
                    self._call(operation, loader, method, (form, name), (room,))
                except DspError as error:
                    if error.status != NO_SUCH_MODULE:
                        raise
                    unknown = error
                else:
                    return
        if unknown is not None:
            raise unknown

    def _open(self) -> int:
        """Open the loader; returns its handle, 0 is kept for none.  DspError, DeviceError."""
        try:
            with Section():
                self._handle = self._manager.open(LOADER_URI)
        except DspError:
            self._handle = 0
            raise
        return self._handle

    def read_log(self, method: int = READ_LOG) -> list[str]:
        """Take the lines of the DSP's log for this session that a method of the loader gives,
        oldest first; none from a DSP without such a log, or one that is gone."""
        lines: list[str] = []
        with suppress(Refusal):
            loader = self._open() if self._handle is None else self._handle
            full = bool(loader)
            while full:
                length, room = bytearray(4), bytearray(limits.LOG_ROOM)
                self._call("read the log", loader, method, (), (length, room))
                size = struct.unpack("<I", length)[0]
                full = size >= limits.LOG_ROOM - limits.LOG_LINE  # another line may not have fit
                lines += room[:size].decode("utf-8", "replace").splitlines()
        return lines
