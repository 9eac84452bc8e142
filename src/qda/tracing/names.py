"""What modules, methods and arguments are called, as far as a trace can know.

A module is known by the URI by which it was opened, its methods by its interface.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from qda.errors import as_unsigned
from qda.fastrpc.control import Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.loader import (
    HAND_OVER,
    INSTALL,
    LOADER_URI,
    READ_LOG,
    READ_OWN_LOG,
    READ_SETTLED_LOG,
)
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1, OpenAnswer, text
from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.fastrpc.uri import ModuleUri
from qda.idl.python.describe import RawCall, describe
from qda.idl.wire.calls import InterfaceCodec
from qda.tracing.payloads import Payload

__all__ = ["Named", "Names"]

_LOADER = ModuleUri.parse(LOADER_URI).name
_FIXED = {int(fixed): fixed.name.lower() for fixed in Fixed}
_METHODS = {
    (_FIXED[manager.handle], scalars.method): name
    for manager in (REMOTECTL, REMOTECTL1)
    for name, scalars in (("open", manager.open), ("close", manager.close))
} | {(_FIXED[Fixed.INIT], method.value): method.name.lower() for method in Method}
_METHODS |= dict.fromkeys(((_LOADER, one) for one in (INSTALL, HAND_OVER)), "install")
_METHODS |= dict.fromkeys(
    ((_LOADER, one) for one in (READ_LOG, READ_OWN_LOG, READ_SETTLED_LOG)), "read_log"
)
_OPENS = {(manager.handle, manager.open.word) for manager in (REMOTECTL, REMOTECTL1)}


class Named(NamedTuple):
    """A method: its number, its module's name, its own, and the call in words."""

    method: int
    module: str = ""
    name: str = ""
    text: str = ""


class Names:
    """The modules that have been opened, and the interfaces that are known, by their names."""

    def __init__(self, interfaces: Iterable[InterfaceCodec] = ()) -> None:
        self._interfaces: dict[str, InterfaceCodec] = {}
        self.add(interfaces)
        self._opened: dict[tuple[str, int, int], str] = {}
        self._elsewhere: dict[tuple[str, int], set[str]] = {}
        self._host: dict[tuple[str, int, int], str] = {}

    def add(self, interfaces: Iterable[InterfaceCodec]) -> None:
        """These interfaces are known, too."""
        self._interfaces |= {codec.interface.c_name: codec for codec in interfaces}

    def add_opened(self, device: str, handle: int, uri: str) -> None:
        """Some session of a DSP has a module at that handle.  Where two have different ones there,
        it is not known whose a call is."""
        self._elsewhere.setdefault((device, handle), set()).add(_name(uri))

    def learn(self, device: str, before: Payload, after: Payload, result: int) -> None:
        """A call has ended: it may have opened a module."""
        sent = before.sent
        if result or (sent.handle, sent.scalars) not in _OPENS:
            return
        ins, outs = before.buffers(), after.buffers()
        if ins is None or outs is None or len(outs[2]) < OpenAnswer.byte_size:
            return
        answer = OpenAnswer.unpack(outs[2])
        if not answer.error:
            self._opened[device, sent.client_id, answer.handle] = _name(text(ins[1]))

    def learn_of_host(
        self, device: str, client_id: int, answer: OpenAnswer, name: memoryview
    ) -> None:
        """The host has opened a module for its DSP."""
        if not answer.error:
            self._host[device, client_id, answer.handle] = _name(text(name))

    def of_host(self, device: str, client_id: int, handle: int) -> str:
        """What a module of the host is called, "" if nobody knows."""
        if handle == REMOTECTL.handle:
            return _FIXED[handle]
        return self._host.get((device, client_id, handle), "")

    def module(self, device: str, client_id: int, handle: int) -> str:
        """What a module on the DSP is called, "" if nobody knows."""
        known = self._opened.get((device, client_id, handle)) or _FIXED.get(handle, "")
        elsewhere = self._elsewhere.get((device, handle), ())
        return known or (next(iter(elsewhere)) if len(elsewhere) == 1 else "")

    def method(self, device: str, before: Payload, after: Payload, result: int) -> Named:
        """What a call calls, and the call in words."""
        sent, scalars = before.sent, before.scalars
        module = self.module(device, sent.client_id, sent.handle)
        number = scalars.method
        if number == EXTENDED_METHOD and before.arguments:
            first = before.inline(before.arguments[0])
            number = int.from_bytes(first[:4], "little") if first else number
        codec = self._interfaces.get(module)
        if codec is None:
            return Named(number, module, self.name_of_method(module, number))
        words = ""
        ins, outs = before.buffers(), after.buffers()
        if ins is not None and outs is not None and not scalars.in_handles + scalars.out_handles:
            count = scalars.in_buffers
            words = describe(
                codec, RawCall(sent.scalars, ins[:count], outs[count:], status=as_unsigned(result))
            )
        return Named(number, module, self.name_of_method(module, number), words)

    def name_of_method(self, module: str, number: int) -> str:
        """What a method is called, "" if nobody knows."""
        if (module, number) in _METHODS:
            return _METHODS[module, number]
        codec = self._interfaces.get(module)
        methods = codec.interface.methods if codec is not None else ()
        return next((method.name for method in methods if method.index == number), "")


def _name(uri: str) -> str:
    """The name of the module that a URI means, or the URI as it is."""
    try:
        return ModuleUri.parse(uri).name
    except ValueError:
        return uri
