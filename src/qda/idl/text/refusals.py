"""What can be written, but has no form on the wire: idl.md 4.3.

The reference compiler says so when it generates code, and so do we: a text with such a method can
be read, included and documented.  Where a form follows from the rules all the same (a sequence of
sequences written in place, more array dimensions, types declared within a structure) it is used.
"""

from __future__ import annotations

from qda.idl.model import Direction, Parameter
from qda.idl.types import (
    Array,
    DmaHandle,
    InterfaceType,
    Native,
    Sequence,
    String,
    Struct,
    Type,
    Union,
)

__all__ = ["refusal"]


def refusal(parameters: tuple[Parameter, ...], asynchronous: bool, handles: bool) -> str:
    """Return why no code can be made for a method, or an empty string.

    `handles`: the method may have `remote_handle64` parameters (`open` and `close`).
    """
    for parameter in parameters:
        reason = _of_type(parameter.type, handles) or _of_direction(parameter)
        if not reason and asynchronous:
            reason = _of_asynchronous(parameter)
        if reason:
            return f'parameter "{parameter.name}": {reason}'
    return ""


def _of_type(written: Type, handles: bool) -> str:
    inner = written.resolved
    if isinstance(inner, Union | Native):
        kind = "union" if isinstance(inner, Union) else "native type"
        return f'{kind} "{inner.name}" has no form on the wire'
    if isinstance(inner, InterfaceType):
        return "" if handles and inner.is_handle64 else "interfaces cannot be passed"
    if isinstance(inner, Sequence):
        return _of_type(inner.element, False)
    if isinstance(inner, Array) and not inner.is_simple:
        return _of_type(inner.element, False) or f'array of "{inner.element}", which varies in size'
    if isinstance(inner, Struct) and not inner.is_simple:
        if all(isinstance(one.type.resolved, DmaHandle) for one in inner.members):
            return f'structure "{inner.name}" has no members but dmahandles'
        return next((why for one in inner.members if (why := _of_type(one.type, False))), "")
    return ""


def _of_direction(parameter: Parameter) -> str:
    inner = parameter.type.resolved
    if parameter.direction is not Direction.INROUT or inner.is_simple or isinstance(inner, String):
        return ""
    if isinstance(inner, Sequence) and inner.element.is_simple:
        return ""
    return f'"{parameter.type}" cannot be inrout'


def _of_asynchronous(parameter: Parameter) -> str:
    if parameter.direction is Direction.IN or isinstance(parameter.type.resolved, Sequence):
        return ""
    return "an async method returns nothing but sequences"
