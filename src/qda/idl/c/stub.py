"""`INTERFACE_stub.c`: functions that turn a call into a remote one (idl.md 6.7).

A method whose buffers are all known from its declaration becomes straight code: fill the record,
point to the buffers, invoke, copy the results.  The others use what `stub_walk` prints.
"""

from __future__ import annotations

from collections.abc import Iterable

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.c.checks import check_interface
from qda.idl.c.extents import is_handle, is_plain, is_variable
from qda.idl.c.helpers import Helpers
from qda.idl.c.layouts import MethodLayout, is_converted
from qda.idl.c.names import identifier
from qda.idl.c.options import Options
from qda.idl.c.prototypes import HANDLE, has_handle, is_word, prototype
from qda.idl.c.slots import Slots
from qda.idl.c.stub_helpers import HELPERS, named_handle
from qda.idl.c.stub_walk import StubWalk
from qda.idl.c.text import block, extern_c, finish
from qda.idl.model import Direction, Document, Interface, Method, Parameter
from qda.idl.primitives import Primitive
from qda.idl.types import DmaHandle, Enum, String

__all__ = ["stub"]


def stub(document: Document, interface: Interface, options: Options | None = None) -> str:
    """The stub of an interface.  IdlError if there can be none."""
    options = options or Options()
    check_interface(interface, options)
    helpers = Helpers(HELPERS)
    walk = StubWalk(options, helpers)
    functions: list[str] = []
    for method in interface.methods:
        functions += ["", *_Method(interface, method, options, walk, helpers).function()]
    named = [] if interface.is_handle64 else [*named_handle(interface.c_name), ""]
    lines = [
        f"/* Calls of {interface.full_name}: what travels, and how. */",
        f'#include "{document.library}.h"',
        "",
        *extern_c([*named, *helpers.lines, *walk.declarations(), *functions]),
    ]
    return finish(lines, options)


class _Method:
    """Prints the function of a method."""

    def __init__(
        self,
        interface: Interface,
        method: Method,
        options: Options,
        walk: StubWalk,
        helpers: Helpers,
    ) -> None:
        self._interface, self._method, self._options = interface, method, options
        self._walk, self._helper = walk, helpers.call
        self._prototype = prototype(interface, method, options)
        self._layout = MethodLayout(method, self._prototype.name, "stub", options)

    def function(self) -> list[str]:
        """The function, behind the records that it uses."""
        one, method = self._prototype, self._method
        head = f"__QAIC_STUB_EXPORT {one.returns} __QAIC_STUB({one.name})({one.arguments})"
        head += " __QAIC_STUB_ATTRIBUTE"
        if self._interface.is_handle64 and not has_handle(self._interface, method):
            names = ", ".join(identifier(parameter.name) for parameter in method.parameters)
            return block(head, [f"return __QAIC_REMOTE(remote_handle64_{method.name})({names});"])
        plain = all(is_plain(parameter.type) for parameter in method.parameters)
        body = self._plain() if plain else self._varying()
        return [*self._layout.structures, *block(head, body)]

    def _return(self, value: str) -> str:
        if is_word(self._method):
            return f"return {value};"
        return f"return ({self._prototype.returns})({value});"

    def _variables(self, total: int) -> list[str]:
        """The local variables, of which an argument array has `total` entries; records cleared."""
        lines, clear = [], []
        for suffix, end in (("in", self._layout.in_end), ("out", self._layout.out_end)):
            if end:
                lines.append(f"{self._layout.record_type(suffix)} _{suffix};")
                clear.append(f"memset(&_{suffix}, 0, sizeof _{suffix});")
        lines += [f"remote_arg _args[{total}];"] if total else []
        lines.append("int _error;")
        if not self._interface.is_handle64:
            lines.append(f"const remote_handle {HANDLE} = _{self._interface.c_name}_handle();")
            refusal = self._return("AEE_EBADHANDLE")  # EINVHANDLE is not in old SDKs
            clear = [f"if ({HANDLE} == (remote_handle)-1) {{ {refusal} }}", *clear]
        return [*lines, "", *clear] if clear else lines

    def _number(self) -> list[str]:
        """Write a number into primIn that scalars have no room for (6.6)."""
        return [f"_in._method = {self._method.index};"] if self._layout.is_extended else []

    def _invoke(self, scalars: str, arguments: str) -> str:
        suffix = "64" if self._interface.is_handle64 else ""
        name, description = f"remote_handle{suffix}_invoke", ""
        if self._method.asynchronous:
            name, description = f"{name}_async", "asyncDesc, "
        return f"__QAIC_REMOTE({name})({HANDLE}, {description}{scalars}, {arguments})"

    # A method with a fixed number of buffers.

    def _plain(self) -> list[str]:
        method, layout = self._method, self._layout
        slots = Slots(method, layout)
        total = sum(slots.counts)
        lines = [*self._variables(total), *self._register(), *self._number()]
        for parameter in method.parameters:
            lines += self._fill(parameter)
        if layout.in_end:
            lines.append(self._buffer(0, "&_in", "sizeof _in"))
        if layout.out_end:
            lines.append(self._buffer(slots.out_record, "&_out", "sizeof _out"))
        for parameter in method.parameters:
            lines += self._point(parameter, slots)
        number = min(method.index, EXTENDED_METHOD)
        counts = ", ".join(map(str, (0, number, *slots.counts)))
        call = self._invoke(f"REMOTE_SCALARS_MAKEX({counts})", "_args" if total else "NULL")
        results = [
            line for one in method.parameters for line in (*self._unload(one), *self._end(one))
        ]
        if not results:
            return [*lines, f"_error = {call};", self._return("_error")]
        failed = f"if (_error) {{ {self._return('_error')} }}"
        return [*lines, f"_error = {call};", failed, *results, self._return("0")]

    def _buffer(self, place: int, data: str, size: str) -> str:
        return f"_args[{place}].buf = {self._helper('_stub_buffer', data, size)};"

    def _register(self) -> list[str]:
        """Tell the client library how long the handles' buffers are (6.5)."""
        lines = []
        for one in self._method.parameters:
            if isinstance(one.type.resolved, DmaHandle):
                name = identifier(one.name)
                call = f"__QAIC_REMOTE(remote_register_dma_handle)({name}, {name}Len)"
                lines.append(f"if ({call}) {{ {self._return('AEE_EBADPARM')} }}")
        return lines

    def _point(self, one: Parameter, slots: Slots) -> list[str]:
        """Let entries of the argument array point to a parameter's buffers."""
        name, lines = identifier(one.name), []
        if is_handle(one.type):
            place = slots.ins.get(one.name, slots.outs.get(one.name))
            return [
                f"_args[{place}].dma.fd = {name};",
                f"_args[{place}].dma.offset = {name}Offset;",
            ]
        size = f"(size_t){name}Len * sizeof *{name}"
        if one.name in slots.ins:
            units = f"(size_t)_in.{self._layout.counts[one.name]} * sizeof *{name}"
            is_text = isinstance(one.type.resolved, String)
            lines.append(self._buffer(slots.ins[one.name], name, units if is_text else size))
        if one.name in slots.outs:
            lines.append(self._buffer(slots.outs[one.name], name, size))
        return lines

    @staticmethod
    def _end(one: Parameter) -> list[str]:
        """End a text in its last unit (6.3)."""
        name = identifier(one.name)
        if one.direction.comes_out and isinstance(one.type.resolved, String):
            return [f"if ({name}Len > 0) {{ {name}[{name}Len - 1] = 0; }}"]
        return []

    # A method whose number of buffers depends on its data.

    def _varying(self) -> list[str]:
        method, layout = self._method, self._layout
        lines = self._number()
        collected: list[str] = []
        for one in method.parameters:
            lines += self._fill(one)
            lines += self._walk.parameter(one, layout)
            collected += self._unload(one)
            collected += self._walk.results(one, layout, identifier(one.name))
        begin = self._helper("_stub_begin", *self._records())
        scalars = self._helper("_stub_scalars", "_call", str(min(method.index, EXTENDED_METHOD)))
        call = self._invoke(scalars, "_call->first")
        return [
            *self._variables(0),
            f"struct _stub_call* _call = {begin};",
            f"if (!_call) {{ {self._return('-1')} }}",
            *lines,
            f"_error = {self._helper('_stub_ready', '_call')} ? {call} : _call->error;",
            *block("if (!_error)", [f"{self._helper('_stub_finish', '_call')};", *collected]),
            f"{self._helper('_stub_end', '_call')};",
            self._return("_error"),
        ]

    def _records(self) -> Iterable[str]:
        """Both records, where there are such: pointer and size."""
        for name, end in (("in", self._layout.in_end), ("out", self._layout.out_end)):
            yield from (f"&_{name}", f"sizeof _{name}") if end else ("NULL", "0")

    # Parameters.

    def _fill(self, one: Parameter) -> list[str]:
        """Write a parameter's simple value, or the length of its buffers, into primIn."""
        name, kind, layout, lines = identifier(one.name), one.type, self._layout, []
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
            lines.append(f"_in.{layout.counts[one.name]} = {self._walk.length(kind, name)};")
        if one.name in layout.rooms and is_variable(kind):
            lines.append(f"_in.{layout.rooms[one.name]} = (uint32_t){name}Len;")
        return lines

    def _unload(self, one: Parameter) -> list[str]:
        """Copy a simple result out of primROut."""
        name, kind = identifier(one.name), one.type
        if not (one.direction.comes_out and kind.is_simple):
            return []
        source = f"_out.{self._layout.results[one.name]}"
        if not isinstance(kind.resolved, Primitive):
            return [f"memcpy({name}, &{source}, sizeof {source});"]
        return [f"*{name} = {source}{' != 0' if is_converted(kind, self._options) else ''};"]
