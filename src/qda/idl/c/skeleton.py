"""`INTERFACE_skel.c`: the entry point that checks a request and calls the implementation (6.8).

A method whose buffers are all known from its declaration becomes straight code: check, copy the
record, call, copy the results.  The others use what `skel_walk` prints.
"""

from __future__ import annotations

import re
from typing import Final

from qda.fastrpc.scalars import EXTENDED_METHOD
from qda.idl.c.checks import check_interface
from qda.idl.c.extents import has_handles, is_complex_struct, is_handle, is_plain
from qda.idl.c.helpers import Helpers
from qda.idl.c.layouts import MethodLayout, is_converted
from qda.idl.c.names import fail, identifier, type_name, unique
from qda.idl.c.options import Options
from qda.idl.c.prototypes import HANDLE, has_handle, prototype
from qda.idl.c.skel_helpers import HELPERS, version_check
from qda.idl.c.skel_walk import SkeletonWalk
from qda.idl.c.slots import Slots
from qda.idl.c.text import block, extern_c, finish
from qda.idl.model import Direction, Document, Interface, Method, Parameter
from qda.idl.primitives import Primitive
from qda.idl.types import Array, DmaHandle, Enum, InterfaceType, Sequence, String

__all__ = ["QAIC_VERSION", "skeleton"]

QAIC_VERSION: Final = 10051
"""The version of the original whose behaviour the skeletons have; loaders may ask for it."""


def skeleton(document: Document, interface: Interface, options: Options | None = None) -> str:
    """The skeleton of an interface.  IdlError if there can be none."""
    options = options or Options()
    check_interface(interface, options)
    made = _Skeleton(interface, options)
    functions = [line for method in interface.methods for line in ["", *made.function(method)]]
    functions += ["", *made.entry()]
    functions = [*made.declarations(), *functions]
    lines = [
        f"/* Requests to {interface.full_name}: checks, and calls of the implementation. */",
        f'#include "{document.library}.h"',
        "",
        "#ifndef _ATTRIBUTE_VISIBILITY",
        '#define _ATTRIBUTE_VISIBILITY __attribute__((visibility("default")))',
        "#endif",
        "",
        *extern_c([*made.helpers.lines, *functions]),
    ]
    return finish(lines, options)


_MISMATCH = (
    "#ifndef AEE_ESTUBSKELVERMISMATCH /* as in AEEStdErr.h of old SDKs */",
    "#define AEE_ESTUBSKELVERMISMATCH (AEE_EOFFSET + 0x194)",
    "#endif",
    "",
)


class _Skeleton:
    """Prints the functions of an interface."""

    def __init__(self, interface: Interface, options: Options) -> None:
        self._interface = interface
        self._options = options
        self.helpers = Helpers(HELPERS)
        self._walk = SkeletonWalk(options, self.helpers)
        middle = "_handle" if interface.is_handle64 else ""
        self._entry = f"{interface.c_name}_skel{middle}_invoke"

    def declarations(self) -> list[str]:
        """Everything of this interface that stands before its methods."""
        lines = [f"_ATTRIBUTE_VISIBILITY uint32_t {self._entry}_qaic_version = {QAIC_VERSION};"]
        if self._interface.is_handle64:
            uri = self._interface.uri
            name = f"{self._entry}_uri[{len(uri)} + 1]"
            lines.append(f'_ATTRIBUTE_VISIBILITY char {name} = "{uri}";')
            if self._interface.version is not None:
                lines += ["", *_MISMATCH, *version_check(self._version(self._interface.version))]
        return [*lines, "", *self._walk.declarations()]

    def _version(self, text: str) -> tuple[int, int, int]:
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){0,2}", text):
            message = (
                f'IDL_VERSION "{text}" is no version: expected up to three numbers, as "1.2.3"'
            )
            fail(self._interface.location, message)
        parts = [*map(int, text.split(".")), 0, 0]
        return parts[0], parts[1], parts[2]

    # The entry point.

    def entry(self) -> list[str]:
        """The function that a loader finds: it looks at the method's number."""
        methods = self._interface.methods
        handle = f"remote_handle64 {HANDLE}, " if self._interface.is_handle64 else ""
        lines = ["uint32_t _method = REMOTE_SCALARS_METHOD(_sc);"]
        if any(one.index >= EXTENDED_METHOD for one in methods):
            read = self.helpers.call("_skel_read", "&_args[0]", "&_method", "4")
            short = f"REMOTE_SCALARS_INBUFS(_sc) < 1 || !{read}"
            inside = [
                f"if ({short}) {{ return AEE_EBADPARM; }}",
                f"if (_method < {EXTENDED_METHOD}) {{ return AEE_EUNSUPPORTED; }}",
            ]
            lines += block(f"if (_method == {EXTENDED_METHOD})", inside)
        if not any(has_handle(self._interface, one) for one in methods) and handle:
            lines.append(f"(void){HANDLE};")
        if not methods:
            lines.append("(void)_args;")
        cases = []
        for one in methods:
            first = f"{HANDLE}, " if has_handle(self._interface, one) else ""
            function = f"_skel_{self._interface.c_name}_{one.name}"
            cases.append(f"case {one.index}: return {function}({first}_sc, _args);")
        lines += block("switch (_method)", [*cases, "default: return AEE_EUNSUPPORTED;"])
        head = f"__QAIC_SKEL_EXPORT int __QAIC_SKEL({self._entry})"
        arguments = f"({handle}uint32_t _sc, remote_arg* _args)"
        return block(f"{head}{arguments} __QAIC_SKEL_ATTRIBUTE", lines)

    # The methods.

    def function(self, method: Method) -> list[str]:
        """The function that serves a method's requests."""
        one = prototype(self._interface, method, self._options)
        layout = MethodLayout(method, one.name, "skel", self._options)
        plain = all(is_plain(parameter.type) for parameter in method.parameters)
        variables = [
            f"{layout.record_type(suffix)} _{suffix};"
            for suffix, end in (("in", layout.in_end), ("out", layout.out_end))
            if end
        ]
        body = (
            self._plain(one.name, method, layout)
            if plain
            else self._varying(one.name, method, layout)
        )
        handle = f"remote_handle64 {HANDLE}, " if has_handle(self._interface, method) else ""
        head = f"static int _skel_{self._interface.c_name}_{method.name}"
        lines = block(f"{head}({handle}uint32_t _sc, remote_arg* _args)", [*variables, *body])
        return [*layout.structures, *lines]

    def _call(self, name: str, method: Method, arguments: list[str]) -> str:
        first = [HANDLE] if has_handle(self._interface, method) else []
        first += ["NULL"] if method.asynchronous else []
        return f"_error = (int)__QAIC_IMPL({name})({', '.join([*first, *arguments])});"

    def _plain(self, name: str, method: Method, layout: MethodLayout) -> list[str]:
        slots = Slots(method, layout)
        counts = ", ".join(map(str, (0, 0, *slots.counts)))
        checks = [f"(_sc & 0xffffff) != REMOTE_SCALARS_MAKEX({counts})"]
        if layout.in_end:
            checks.append(self._unless("_skel_read", "&_args[0]", "&_in", str(layout.in_end)))
        if layout.out_end:
            record = f"&_args[{slots.out_record}]"
            checks.append(self._unless("_skel_holds", record, str(layout.out_end), "1"))
        locals_, stores = ["int _error;"], []
        arguments: list[str] = []
        for one in method.parameters:
            checks += self._checks(one, layout, slots)
            handle, inner = identifier(one.name) + "_", one.type.resolved
            if isinstance(inner, DmaHandle):
                locals_.append(f"uint32_t {handle} = 0;")
                place = slots.ins.get(one.name, slots.outs.get(one.name))
                arguments += [f"_args[{place}].dma.fd", f"_args[{place}].dma.offset", handle]
            elif isinstance(inner, InterfaceType) and one.name in slots.outs:
                locals_.append(f"remote_handle64 {handle} = 0;")
                arguments.append(f"&{handle}")
                stores.append(f"_args[{slots.outs[one.name]}].h64 = {handle};")
            elif isinstance(inner, InterfaceType):
                arguments.append(f"_args[{slots.ins[one.name]}].h64")
            else:
                arguments += self._arguments(one, layout, slots)
        if not sum(slots.counts):
            locals_.append("(void)_args;")
        refusal = [f"if ({check}) {{ return AEE_EBADPARM; }}" for check in checks]
        accepted = []
        if self._interface.version is not None and self._is_open(method):
            uri = arguments[0]
            accepted = [f"if (!_skel_accepts({uri})) {{ return AEE_ESTUBSKELVERMISMATCH; }}"]
        if layout.out_end:
            size = f"_args[{slots.out_record}].buf.pv, &_out, {layout.out_end}"
            stores.append(f"memcpy({size});")
        return [
            *locals_,
            *refusal,
            *accepted,
            *self._prepare(method, layout),
            self._call(name, method, arguments),
            *(
                ["if (_error) { return _error; }", *stores, "return 0;"]
                if stores
                else ["return _error;"]
            ),
        ]

    def _is_open(self, method: Method) -> bool:
        return self._interface.is_handle64 and method.index == 0

    def _unless(self, helper: str, *arguments: str) -> str:
        return f"!{self.helpers.call(helper, *arguments)}"

    def _checks(self, one: Parameter, layout: MethodLayout, slots: Slots) -> list[str]:
        """What is wrong with the buffers of a parameter."""
        inner, checks = one.type.resolved, []
        if isinstance(inner, DmaHandle):
            place = slots.ins.get(one.name, slots.outs.get(one.name))
            length = f"&{identifier(one.name)}_"
            return [self.helpers.call("adsp_mmap_fd_getinfo", f"_args[{place}].dma.fd", length)]
        if not isinstance(inner, String | Sequence):
            return []
        size = self._size(one)
        if one.name in slots.ins:
            check = "_skel_is_text" if isinstance(inner, String) else "_skel_holds"
            came = f"&_args[{slots.ins[one.name]}]", f"_in.{layout.counts[one.name]}"
            checks.append(self._unless(check, *came, size))
        if one.name in slots.outs:
            room, out = f"_in.{layout.rooms[one.name]}", f"&_args[{slots.outs[one.name]}]"
            if one.name in slots.ins:
                came = f"&_args[{slots.ins[one.name]}]", f"_in.{layout.counts[one.name]}"
                checks.append(self._unless("_skel_passes", *came, out, room, size))
            else:
                checks.append(self._unless("_skel_holds", out, room, size))
        return checks

    def _unit(self, one: Parameter) -> str:
        inner = one.type.resolved
        if isinstance(inner, String):
            return "_wchar_t" if inner.wide else "char"
        assert isinstance(inner, Sequence)
        return type_name(inner.element, self._options, one.location)

    def _size(self, one: Parameter) -> str:
        unit = self._unit(one)
        return "1" if unit == "char" else f"sizeof({unit})"

    def _arguments(self, one: Parameter, layout: MethodLayout, slots: Slots) -> list[str]:
        """What the implementation gets for a parameter that is no handle."""
        inner = one.type.resolved
        if not isinstance(inner, String | Sequence):
            return [self._simple(one, layout)]
        constant = "const " if one.direction is Direction.IN else ""
        place = slots.outs.get(one.name, slots.ins.get(one.name))
        lengths = layout.rooms if one.direction.comes_out else layout.counts
        pointer = f"({constant}{self._unit(one)}*)_args[{place}].buf.pv"
        if constant and isinstance(inner, String):
            return [pointer]
        return [pointer, f"(int)_in.{lengths[one.name]}"]

    def _simple(self, one: Parameter, layout: MethodLayout) -> str:
        kind, inner = one.type, one.type.resolved
        if one.direction.comes_out:
            result = f"_out.{layout.results[one.name]}"
            return result if isinstance(inner, Array) else f"&{result}"
        value = f"_in.{layout.values[one.name]}"
        if is_converted(kind, self._options):
            return f"{value} != 0"
        if isinstance(inner, Enum):
            return f"({type_name(kind, self._options, one.location)}){value}"
        if isinstance(inner, Array) and isinstance(inner.element.resolved, Array):
            # Rows do not become const rows by themselves.
            return f"((const {layout.record_type('in')}*)&_in)->{layout.values[one.name]}"
        return value if isinstance(inner, Primitive | Array) else f"&{value}"

    def _prepare(self, method: Method, layout: MethodLayout) -> list[str]:
        """Clear primROut; what goes both ways begins with what came in."""
        lines = ["memset(&_out, 0, sizeof _out);"] if layout.out_end else []
        for one in method.parameters:
            if one.direction is Direction.INROUT and one.type.is_simple:
                source, target = (
                    f"_in.{layout.values[one.name]}",
                    f"_out.{layout.results[one.name]}",
                )
                if is_converted(one.type, self._options):
                    lines.append(f"{target} = {source} != 0;")
                elif isinstance(one.type.resolved, Primitive):
                    lines.append(f"{target} = {source};")
                else:
                    lines.append(f"memcpy(&{target}, &{source}, sizeof {target});")
        return lines

    def _varying(self, name: str, method: Method, layout: MethodLayout) -> list[str]:
        handles = any(has_handles(one.type) for one in method.parameters)
        lines = ["struct _skel_call _call;", "int _error;"]
        if not handles:
            lines.append("if (_sc & 0xff) { return AEE_EBADPARM; }")
        call = self.helpers.call
        lines.append(f"{call('_skel_begin', '&_call', '_sc', '_args')};")
        if layout.in_end:
            record = call("_skel_record", "&_call", "&_in", str(layout.in_end))
            lines += ["memset(&_in, 0, sizeof _in);", f"{record};"]
        if layout.out_end:
            reply = call("_skel_out", "&_call", "1", str(layout.out_end))
            lines.append(f"void* _reply = {reply};")
        taken: set[str] = set()
        arguments: list[str] = []
        stores: list[str] = []
        for one in method.parameters:
            local = unique(identifier(one.name) + "_", taken)
            taken.add(local)
            lines += self._walk.parameter(one, layout, local)
            stores += self._walk.results(one, layout, f"&{local}")
            arguments += self._local_arguments(one, layout, local)
        if layout.out_end:
            stores.append(f"memcpy(_reply, &_out, {layout.out_end});")
        # Asked for by what has been printed until now, for this method or an earlier one.
        if self.helpers.is_needed("_skel_expect"):
            stores.insert(0, f"{call('_skel_finish', '&_call')};")
        end = []
        if self.helpers.is_needed("_skel_allocate"):
            end.append(f"{call('_skel_end', '&_call')};")
        return [
            *lines,
            *self._prepare(method, layout),
            "_error = _call.error;",
            f"if (!_error) {{ {self._call(name, method, arguments)} }}",
            *(block("if (!_error)", stores) if stores else []),
            *end,
            "return _error;",
        ]

    def _local_arguments(self, one: Parameter, layout: MethodLayout, local: str) -> list[str]:
        inner = one.type.resolved
        if is_handle(one.type):
            return [local, f"{local}Offset", f"{local}Len"]
        if is_complex_struct(one.type):
            return [f"&{local}"]
        if not isinstance(inner, String | Sequence):
            return [self._simple(one, layout)]
        if isinstance(inner, String) and one.direction is Direction.IN:
            return [local]
        lengths = layout.rooms if one.direction.comes_out else layout.counts
        return [local, f"(int)_in.{lengths[one.name]}"]
