"""The C around generated C: whatever it calls forwards to pointers that Python sets.

The glue does not include the generated headers; see `tests.idl.native.prototypes`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any, NamedTuple

from qda.idl.model import Interface
from qda.idl.types import Struct
from tests.idl.native.prototypes import c_parameters, c_text, symbol
from tests.idl.native.values import c_type

__all__ = [
    "CLIENT_LIBRARY",
    "hook_name",
    "implementation_glue",
    "layout_checks",
    "runtime_glue",
    "stub_glue",
]

_u32, _u64, _pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p

CLIENT_LIBRARY: dict[str, tuple[Any, ...]] = {
    "remote_handle_open": (_pointer, _pointer),
    "remote_handle_close": (_u32,),
    "remote_handle_invoke": (_u32, _u32, _pointer),
    "remote_handle_invoke_async": (_u32, _pointer, _u32, _pointer),
    "remote_handle64_open": (_pointer, _pointer),
    "remote_handle64_close": (_u64,),
    "remote_handle64_invoke": (_u64, _u32, _pointer),
    "remote_handle64_invoke_async": (_u64, _pointer, _u32, _pointer),
    "remote_register_dma_handle": (ctypes.c_int32, _u32),
    "remote_register_dma_handle_attr": (ctypes.c_int32, _u32, _u32),
}
"""What generated stubs call, and the parameters; all return an int."""

FD_INFO = "adsp_mmap_fd_getinfo"
"""What generated skeletons call."""


def hook_name(function: str) -> str:
    """The pointer to which a function forwards: the name under which `qda.dsp.runtime` finds it."""
    return f"qda_{function}"


class _Function(NamedTuple):
    name: str
    parameters: tuple[Any, ...]

    def __str__(self) -> str:
        names = [f"a{index}" for index in range(len(self.parameters))]
        types = [c_text(one) for one in self.parameters]
        pairs = zip(types, names, strict=True)
        declared = ", ".join(f"{kind} {name}" for kind, name in pairs) or "void"
        pointer = f"(*{hook_name(self.name)})({', '.join(types) or 'void'})"
        body = f"{{ return {hook_name(self.name)}({', '.join(names)}); }}"
        return f"int {pointer};\nint {self.name}({declared}) {body}\n"


def _text(functions: Iterable[_Function]) -> str:
    return "#include <stdint.h>\n\n" + "\n".join(map(str, functions))


def stub_glue() -> str:
    """The client library, for a library of stubs."""
    return _text(_Function(*one) for one in CLIENT_LIBRARY.items())


def runtime_glue() -> str:
    """The runtime, for a library of skeletons."""
    return _text([_Function(FD_INFO, (ctypes.c_int32, _pointer))])


def implementation_glue(interfaces: Iterable[Interface]) -> str:
    """The implementations, for a library of skeletons."""
    return _text(
        _Function(symbol(interface, method), tuple(c_parameters(interface, method)))
        for interface in interfaces
        for method in interface.methods
    )


def layout_checks(header: str, structures: Iterable[Struct]) -> str:
    """A translation unit that compiles if the header's structures have the sizes we think."""
    from qda.idl.c.names import identifier

    checks = [
        f'_Static_assert(sizeof({name}) == {ctypes.sizeof(c_type(one))}, "{name}");'
        for one in structures
        for name in [identifier(one.c_name)]
    ]
    return "\n".join([f'#include "{header}"', *checks, ""])
