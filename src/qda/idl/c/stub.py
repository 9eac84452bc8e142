"""`INTERFACE_stub.c`: functions that turn a call into a remote one (idl.md 6.7).

A method whose buffers are all known from its declaration becomes straight code: fill the record,
point to the buffers, invoke, copy the results.  The others use what `stub_complex` prints.
"""

from __future__ import annotations

import re

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.c.checks import check_interface
from qda.idl.c.extents import is_handle, is_plain, is_variable
from qda.idl.c.layouts import MethodLayout, is_converted
from qda.idl.c.names import identifier
from qda.idl.c.options import Options
from qda.idl.c.prototypes import HANDLE, has_handle, is_word, prototype
from qda.idl.c.slots import Slots
from qda.idl.c.stub_complex import ComplexStub
from qda.idl.c.stub_runtime import HELPERS, named_handle
from qda.idl.c.text import block, extern_c, finish, used
from qda.idl.model import Direction, Document, Interface, Method, Parameter
from qda.idl.types import DmaHandle, Enum, Primitive, Sequence, String

__all__ = ["stub"]


def stub(document: Document, interface: Interface, options: Options | None = None) -> str:
    """The stub of an interface.  IdlError if there can be none."""
    options = options or Options()
    check_interface(interface, options)
    made = _Stub(interface, options)
    functions = [line for method in interface.methods for line in ["", *made.function(method)]]
    lines = [
        f"/* Calls of {interface.full_name}: what travels, and how. */",
        f'#include "{document.library}.h"',
        "",
        *extern_c([*made.runtime(functions), *functions]),
    ]
    return finish(lines, options)


class _Stub:
    """Prints the functions of an interface."""

    def __init__(self, interface: Interface, options: Options) -> None:
        self._interface = interface
        self._options = options
        self._complex = ComplexStub(options)

    def runtime(self, functions: list[str]) -> list[str]:
        """What the functions need, in the order of its use."""
        lines = [] if self._interface.is_handle64 else [*named_handle(self._interface.c_name), ""]
        declarations = self._complex.declarations()
        return [*lines, *used(HELPERS, [*declarations, *functions]), *declarations]

    def function(self, method: Method) -> list[str]:
        """The function of a method."""
        one = prototype(self._interface, method, self._options)
        head = f"__QAIC_STUB_EXPORT {one.returns} __QAIC_STUB({one.name})({one.arguments})"
        head += " __QAIC_STUB_ATTRIBUTE"
        if self._interface.is_handle64 and not has_handle(self._interface, method):
            names = ", ".join(identifier(parameter.name) for parameter in method.parameters)
            return block(head, [f"return __QAIC_REMOTE(remote_handle64_{method.name})({names});"])
        layout = MethodLayout(method, one.name, "stub", self._options)
        plain = all(is_plain(parameter.type) for parameter in method.parameters)
        body = self._plain(method, layout) if plain else self._varying(method, layout)
        if not is_word(method):
            body = [
                re.sub(r"\breturn (.+?);", rf"return ({one.returns})(\1);", line) for line in body
            ]
        return [*layout.structures, *block(head, body)]

    def _variables(self, layout: MethodLayout, total: int) -> list[str]:
        """The local variables, of which an argument array has `total` entries; records cleared."""
        lines, clear = [], []
        for suffix, end in (("in", layout.in_end), ("out", layout.out_end)):
            if end:
                lines.append(f"{layout.record_type(suffix)} _{suffix};")
                clear.append(f"memset(&_{suffix}, 0, sizeof _{suffix});")
        lines += [f"remote_arg _args[{total}];"] if total else []
        lines.append("int _error;")
        if not self._interface.is_handle64:
            lines.append(f"const remote_handle {HANDLE} = _{self._interface.c_name}_handle();")
            clear = [f"if ({HANDLE} == (remote_handle)-1) {{ return AEE_EINVHANDLE; }}", *clear]
        return [*lines, "", *clear] if clear else lines

    def _invoke(self, method: Method, scalars: str, arguments: str) -> str:
        suffix = "64" if self._interface.is_handle64 else ""
        name, description = f"remote_handle{suffix}_invoke", ""
        if method.asynchronous:
            name, description = f"{name}_async", "asyncDesc, "
        return f"__QAIC_REMOTE({name})({HANDLE}, {description}{scalars}, {arguments})"

    def _plain(self, method: Method, layout: MethodLayout) -> list[str]:
        slots = Slots(method, layout)
        total = sum(slots.counts)
        lines = [*self._variables(layout, total), *self._register(method)]
        if layout.is_extended:
            lines.append(f"_in._method = {method.index};")
        for parameter in method.parameters:
            lines += fill(parameter, layout)
        if layout.in_end:
            lines.append("_args[0].buf = _stub_buffer(&_in, sizeof _in);")
        if layout.out_end:
            lines.append(f"_args[{slots.out_record}].buf = _stub_buffer(&_out, sizeof _out);")
        for parameter in method.parameters:
            lines += self._point(parameter, layout, slots)
        number = min(method.index, EXTENDED_METHOD)
        counts = ", ".join(map(str, (0, number, *slots.counts)))
        call = self._invoke(method, f"REMOTE_SCALARS_MAKEX({counts})", "_args" if total else "NULL")
        results = [line for one in method.parameters for line in unload(one, layout, self._options)]
        if not results:
            return [*lines, f"_error = {call};", "return _error;"]
        failed = "if (_error) { return _error; }"
        return [*lines, f"_error = {call};", failed, *results, "return 0;"]

    def _register(self, method: Method) -> list[str]:
        """Tell the client library how long the handles' buffers are (6.5)."""
        lines = []
        for one in method.parameters:
            if isinstance(one.type.resolved, DmaHandle):
                name = identifier(one.name)
                call = f"__QAIC_REMOTE(remote_register_dma_handle)({name}, {name}Len)"
                lines.append(f"if ({call}) {{ return AEE_EBADPARM; }}")
        return lines

    def _point(self, one: Parameter, layout: MethodLayout, slots: Slots) -> list[str]:
        """Let entries of the argument array point to a parameter's buffers."""
        name, lines = identifier(one.name), []
        if is_handle(one.type):
            place = slots.ins.get(one.name, slots.outs.get(one.name))
            return [
                f"_args[{place}].dma.fd = {name};",
                f"_args[{place}].dma.offset = {name}Offset;",
            ]
        if one.name in slots.ins:
            if isinstance(one.type.resolved, String):
                size = f"(size_t)_in.{layout.counts[one.name]} * sizeof *{name}"
            else:
                size = f"(size_t){name}Len * sizeof *{name}"
            lines.append(f"_args[{slots.ins[one.name]}].buf = _stub_buffer({name}, {size});")
        if one.name in slots.outs:
            size = f"(size_t){name}Len * sizeof *{name}"
            lines.append(f"_args[{slots.outs[one.name]}].buf = _stub_buffer({name}, {size});")
        return lines

    def _varying(self, method: Method, layout: MethodLayout) -> list[str]:
        lines = [f"_in._method = {method.index};"] if layout.is_extended else []
        collected: list[str] = []
        for one in method.parameters:
            lines += fill(one, layout)
            lines += self._complex.parameter(one, layout)
            collected += unload(one, layout, self._options, terminate=False)
            collected += self._complex.results(one, layout)
        begin = ", ".join(
            text
            for name, end in (("in", layout.in_end), ("out", layout.out_end))
            for text in ([f"&_{name}", f"sizeof _{name}"] if end else ["NULL", "0"])
        )
        number = min(method.index, EXTENDED_METHOD)
        call = self._invoke(method, f"_stub_scalars(_call, {number})", "_call->first")
        return [
            *self._variables(layout, 0),
            f"struct _stub_call* _call = _stub_begin({begin});",
            "if (!_call) { return -1; }",
            *lines,
            f"_error = _stub_ready(_call) ? {call} : _call->error;",
            *block("if (!_error)", ["_stub_finish(_call);", *collected]),
            "_stub_end(_call);",
            "return _error;",
        ]


def fill(one: Parameter, layout: MethodLayout) -> list[str]:
    """Write a parameter's simple value, or the length of its buffers, into primIn."""
    name, kind, lines = identifier(one.name), one.type, []
    if one.name in layout.values and kind.is_simple:
        target = f"_in.{layout.values[one.name]}"
        pointer = one.direction is Direction.INROUT
        inner = kind.resolved
        if isinstance(inner, Primitive):
            lines.append(f"{target} = {'*' if pointer else ''}{name};")
        elif isinstance(inner, Enum) and not pointer:
            lines.append(f"{target} = (uint32_t){name};")
        else:
            lines.append(f"memcpy(&{target}, {name}, sizeof {target});")
    if one.name in layout.counts and is_variable(kind):
        lines.append(f"_in.{layout.counts[one.name]} = {_length(one)};")
    if one.name in layout.rooms and is_variable(kind):
        lines.append(f"_in.{layout.rooms[one.name]} = (uint32_t){name}Len;")
    return lines


def _length(one: Parameter) -> str:
    """How many elements go in: of strings, units with the end mark."""
    name, inner = identifier(one.name), one.type.resolved
    if isinstance(inner, String):
        return f"(uint32_t){'_stub_wide_length' if inner.wide else 'strlen'}({name}) + 1"
    assert isinstance(inner, Sequence)
    return f"(uint32_t){name}Len"


def unload(
    one: Parameter, layout: MethodLayout, options: Options, terminate: bool = True
) -> list[str]:
    """Copy a simple result out of primROut; end a text in its last unit (6.3)."""
    name, kind = identifier(one.name), one.type
    if not one.direction.comes_out:
        return []
    if kind.is_simple:
        source = f"_out.{layout.results[one.name]}"
        if not isinstance(kind.resolved, Primitive):
            return [f"memcpy({name}, &{source}, sizeof {source});"]
        return [f"*{name} = {source}{' != 0' if is_converted(kind, options) else ''};"]
    if terminate and isinstance(kind.resolved, String):
        return [f"if ({name}Len > 0) {{ {name}[{name}Len - 1] = 0; }}"]
    return []
