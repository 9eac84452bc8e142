"""Whether C can be written for an interface at all (idl.md 4.3)."""

from __future__ import annotations

from qda.idl.c.extents import extent
from qda.idl.c.names import fail
from qda.idl.c.options import Options
from qda.idl.c.prototypes import clash, prototype
from qda.idl.diagnostics import Diagnostic, IdlError
from qda.idl.model import Interface, Method
from qda.idl.types import Sequence

__all__ = ["check_interface", "refuse_ext_params"]


def refuse_ext_params(interface: Interface) -> None:
    """IdlError for an interface whose calls have a form that is not public (idl.md 8)."""
    if interface.is_ext_params:
        message = f'interface "{interface.full_name}": how "ext_params" calls travel is not public'
        fail(interface.location, message)


def check_interface(interface: Interface, options: Options) -> None:
    """IdlError, with all reasons, if there can be no stub and no skeleton."""
    refuse_ext_params(interface)
    if interface.is_local:
        message = f'interface "{interface.full_name}" is local: there is a header only'
        fail(interface.location, message)
    found = []
    for method in interface.methods:
        reason = method.refusal or _late_results(method)
        if reason:
            message = f'no code can be written for method "{method.name}": {reason}'
            found.append(Diagnostic(method.location, message))
            continue
        try:
            found_clash = clash(prototype(interface, method, options))
        except IdlError as error:
            found += error.diagnostics
            continue
        if found_clash:
            message = f'method "{method.name}": {found_clash}; choose another name'
            found.append(Diagnostic(method.location, message))
    if found:
        raise IdlError(found)


def _late_results(method: Method) -> str:
    """Why the results of an async method cannot be taken from records: the stub has returned."""
    for one in method.parameters if method.asynchronous else ():
        inner = one.type.resolved
        if not (one.direction.comes_out and isinstance(inner, Sequence)):
            continue
        if not inner.element.is_simple and extent(inner.element, "out").size:
            return f'parameter "{one.name}": an async method returns no elements of this type'
    return ""
