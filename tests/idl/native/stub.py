"""Generated stubs in C, called from Python; the client library below them is Python too."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from qda.dsp.native import RemoteArgument
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.types import String
from tests.idl.native.glue import CLIENT_LIBRARY
from tests.idl.native.hooks import Hooked
from tests.idl.native.prototypes import c_parameters, offer, symbol
from tests.idl.native.values import Span, fill, new, read, reserve, units_of

__all__ = ["Stub", "Transport"]


class Transport(Protocol):
    """The client library, as stubs need it.  Statuses are signed."""

    def open(self, name: str, handle64: bool) -> tuple[int, int]:
        """Open a module by its name, or by its URI; returns status and handle."""
        ...

    def close(self, handle: int) -> int:
        """Close what was opened by URI."""
        ...

    def invoke(
        self, handle: int, scalars: Scalars, arguments: list[RemoteArgument], descriptor: int
    ) -> int:
        """Carry a call; `descriptor` is that of an asynchronous call, or 0."""
        ...

    def register(self, fd: int, length: int) -> int:
        """Register the memory of a dmahandle."""
        ...


class Stub:
    """The stubs of an interface, in their own instance of a library."""

    def __init__(self, path: Path, interface: Interface, transport: Transport) -> None:
        self._hooked = Hooked(path)
        self._interface, self._transport = interface, transport
        self._method = cache(lambda name: self._find(name))
        hooks: dict[str, Callable[..., int]] = {
            "remote_handle_open": lambda name, handle: self._open(name, handle, False),
            "remote_handle_close": transport.close,
            "remote_handle_invoke": self._invoke,
            "remote_handle_invoke_async": self._invoke_async,
            "remote_handle64_open": lambda name, handle: self._open(name, handle, True),
            "remote_handle64_close": transport.close,
            "remote_handle64_invoke": self._invoke,
            "remote_handle64_invoke_async": self._invoke_async,
            "remote_register_dma_handle": transport.register,
            "remote_register_dma_handle_attr": lambda fd, length, _: transport.register(fd, length),
        }
        for name, parameters in CLIENT_LIBRARY.items():
            self._hooked.hook(name, parameters, hooks[name])

    def open(self, uri: str) -> tuple[int, int]:
        """Open a handle64 interface; returns status and handle."""
        handle = ctypes.c_uint64()
        types = (ctypes.c_char_p, ctypes.c_void_p)
        function = self._hooked.function(f"{self._interface.c_name}_open", types)
        status = function(uri.encode(), ctypes.addressof(handle))
        self._hooked.guard()
        return status, handle.value

    def close(self, handle: int) -> int:
        """Close a handle; returns the status."""
        function = self._hooked.function(f"{self._interface.c_name}_close", (ctypes.c_uint64,))
        status = function(handle)
        self._hooked.guard()
        return status

    def call(
        self,
        name: str,
        values: Mapping[str, Any],
        rooms: Mapping[str, Any],
        *,
        handle: int = 0,
        descriptor: int = 0,
    ) -> tuple[int, dict[str, Any]]:
        """Call a method with arguments as for `MethodCodec.pack`; returns status and results.

        `handle` is for interfaces with handles, `descriptor` for asynchronous methods.
        """
        method, function = self._method(name)
        keep: list[Any] = []
        places = {
            one.name: _place(one, values.get(one.name), rooms.get(one.name), keep)
            for one in method.parameters
        }
        arguments: list[Any] = []
        if self._interface.is_handle64:
            arguments.append(handle)
        if method.asynchronous:
            arguments.append(descriptor)
        for one in method.parameters:
            arguments += offer(one, places[one.name])
        status = function(*arguments)
        self._hooked.guard()
        return status, {
            one.name: read(one.type, places[one.name])
            for one in method.parameters
            if one.direction.comes_out
        }

    def _find(self, name: str) -> tuple[Method, Any]:
        method = next(one for one in self._interface.methods if one.name == name)
        parameters = c_parameters(self._interface, method)
        return method, self._hooked.function(symbol(self._interface, method), parameters)

    # What C calls.

    def _open(self, name: int, place: int, handle64: bool) -> int:
        status, handle = self._transport.open(ctypes.string_at(name).decode(), handle64)
        kind = ctypes.c_uint64 if handle64 else ctypes.c_uint32
        kind.from_address(place).value = handle
        return status

    def _invoke(self, handle: int, word: int, arguments: int | None) -> int:
        return self._invoke_async(handle, 0, word, arguments)

    def _invoke_async(
        self, handle: int, descriptor: int | None, word: int, arguments: int | None
    ) -> int:
        scalars = Scalars.decode(word)
        found = (RemoteArgument * scalars.length).from_address(arguments) if arguments else ()
        return self._transport.invoke(handle, scalars, list(found), descriptor or 0)


def _place(parameter: Parameter, value: Any, room: Any, keep: list[Any]) -> int:
    """The address of an argument, or of the room for a result."""
    kind = parameter.type.resolved
    address = new(kind, keep)
    if parameter.direction is Direction.ROUT:
        reserve(kind, room, address, keep)
    elif isinstance(kind, String) and parameter.direction is Direction.INROUT:
        data = units_of(kind, value)
        reserve(kind, room or len(data) // kind.unit, address, keep)
        ctypes.memmove(Span.from_address(address).data or 0, data, len(data))
    else:
        fill(kind, value, address, keep)
    return address
