"""Generated skeletons in C, with requests from Python and an implementation in Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qda.dsp.native import NativeLibrary, NativeModule, remote_arguments
from qda.errors import BAD_PARAMETER, StatusError
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Interface, Method
from qda.idl.types import DmaHandle, String, Type
from qda.idl.types import Sequence as SequenceType
from qda.idl.wire.nodes import Dma
from tests.idl.native.hooks import Hooked
from tests.idl.native.prototypes import accept, c_parameters, is_life_cycle, symbol
from tests.idl.native.values import Span, read, store

__all__ = ["Implementation", "Request", "SkeletonLibrary", "dma_word", "hook_implementation"]

Implementation = Callable[[Method, dict[str, Any], dict[str, int]], Mapping[str, Any] | int]
"""Gets a method, its inputs, and the capacities of its rout and inrout sequences and strings, by
name; returns results by name, or a status.

Inputs of `open` and `close` of interfaces with handles are "uri" and "h".  Inputs of the other
methods of such interfaces have the handle too, as "_h".  Rout dmahandles, and sequences of them,
are inputs too: they say where the DSP is to write.
"""


@dataclass
class Request:
    """A request as it arrives at a skeleton.  Handles are 64-bit words, and may be written."""

    scalars: Scalars
    ins: Sequence[bytes] = ()
    outs: list[bytearray] = field(default_factory=list)
    in_handles: Sequence[int] = ()
    out_handles: list[int] = field(default_factory=list)
    handle: int = 0


class SkeletonLibrary:
    """The skeletons of an interface, in their own instance of a library."""

    def __init__(self, path: Path, interface: Interface, implementation: Implementation) -> None:
        self._hooked = Hooked(path)
        hook_implementation(self._hooked, interface, implementation)
        self._lengths: Mapping[int, int] = {}
        self._module = NativeModule(
            NativeLibrary(self._hooked.path),
            interface.c_name,
            handle64=interface.is_handle64,
            length_of=self._length_of,
        )

    def serve(self, request: Request, lengths: Mapping[int, int] | None = None) -> int:
        """Pass a request to the skeleton; returns its status.

        Outputs and out-handles are written into the request.  `lengths` are those of the memory
        behind dmahandles, by fd.
        """
        arguments = remote_arguments(
            [
                *(memoryview(one) for one in request.ins),
                *(memoryview(one) for one in request.outs),
                *request.in_handles,
                *request.out_handles,
            ]
        )
        self._lengths = {} if lengths is None else lengths
        status = self._module.enter(request.handle, request.scalars, arguments)
        first = len(arguments) - len(request.out_handles)
        request.out_handles[:] = [place.handle for place in arguments[first:]]
        self._hooked.guard()
        return status

    def _length_of(self, fd: int) -> int:
        if fd not in self._lengths:
            raise StatusError(BAD_PARAMETER, f"no memory under fd {fd}")
        return self._lengths[fd]


def hook_implementation(
    hooked: Hooked, interface: Interface, implementation: Implementation
) -> None:
    """Let the skeletons of a library call an implementation in Python."""
    for method in interface.methods:
        parameters = c_parameters(interface, method)
        run = _Runner(interface, method, implementation)
        hooked.hook(symbol(interface, method), parameters, run)


class _Runner:
    """The function of a method: from C's arguments to the implementation's, and back."""

    def __init__(
        self, interface: Interface, method: Method, implementation: Implementation
    ) -> None:
        self._method, self._implementation = method, implementation
        self._has_handle = interface.is_handle64 and not is_life_cycle(interface, method)
        self._is_open = is_life_cycle(interface, method) and not method.index
        self._is_close = is_life_cycle(interface, method) and bool(method.index)

    def __call__(self, *arguments: Any) -> int:
        if self._is_open:
            return self._open(*arguments)
        if self._is_close:
            return self._answer({"h": arguments[0]}, {}, {})
        rest = iter(arguments)
        inputs: dict[str, Any] = {}
        if self._has_handle:
            inputs["_h"] = next(rest)
        if self._method.asynchronous:
            assert next(rest) is None, "the DSP has no descriptor (idl.md 8)"
        keep: list[Any] = []
        rooms: dict[str, int] = {}
        places: dict[str, int] = {}
        for parameter in self._method.parameters:
            name, kind = parameter.name, parameter.type.resolved
            place = accept(parameter, rest, keep)
            if parameter.direction.goes_in or _are_handles(kind):
                inputs[name] = read(kind, place)
            if parameter.direction.comes_out and not isinstance(kind, DmaHandle):
                places[name] = place
                if isinstance(kind, (String, SequenceType)):
                    rooms[name] = Span.from_address(place).length
        return self._answer(inputs, rooms, places)

    def _open(self, uri: int, place: int) -> int:
        text = ctypes.string_at(uri).decode("utf-8", "surrogateescape")
        found = self._implementation(self._method, {"uri": text}, {})
        if isinstance(found, int):
            return found
        ctypes.c_uint64.from_address(place).value = found["h"]
        return 0

    def _answer(self, inputs: dict[str, Any], rooms: dict[str, int], places: dict[str, int]) -> int:
        found = self._implementation(self._method, inputs, rooms)
        if isinstance(found, int):
            return found
        kinds = {one.name: one.type for one in self._method.parameters}
        for name, value in found.items():
            if name in places:
                store(kinds[name], value, places[name])
        return 0


def _are_handles(kind: Type) -> bool:
    inner = kind.element.resolved if isinstance(kind, SequenceType) else kind
    return isinstance(inner, DmaHandle)


def dma_word(handle: Dma) -> int:
    """The 64 bits of a dmahandle in a call."""
    return handle.fd & 0xFFFFFFFF | handle.offset << 32
