"""Which arguments a method takes in Python, and what it returns.

One rule holds on both sides of a call, so that a method of a remote object and its implementation
have one signature (spec/idl.md 5.1):

- in and inrout parameters are arguments, in their order;
- so are rout parameters that need room.  A caller gives a number of elements, or memory to fill;
  an implementation gets the array to fill, or for a string the number of units that fit;
- an inrout string may be given more room than it takes, by a further argument at the end;
- simple, string and sequence results are returned in their order: none, one, or a named tuple.
"""

from __future__ import annotations

from qda.idl.model import Direction, Interface, Method, Parameter
from qda.idl.names import apart, argument_name, capacity_name
from qda.idl.types import DmaHandle, String

__all__ = [
    "argument_names",
    "arguments_of",
    "capacities_of",
    "result_field",
    "result_name",
    "results_of",
]


def arguments_of(method: Method) -> list[Parameter]:
    """The parameters that a caller gives something for."""
    return [one for one in method.parameters if one.direction.goes_in or not one.type.is_simple]


def capacities_of(method: Method) -> list[Parameter]:
    """The parameters that may be given more room than they take on the way in."""
    return [
        one
        for one in method.parameters
        if one.direction is Direction.INROUT and isinstance(one.type.resolved, String)
    ]


def argument_names(method: Method) -> list[str]:
    """The names of a method's arguments, then those of its capacities."""
    return apart(
        [argument_name(one.name) for one in arguments_of(method)]
        + [capacity_name(one.name) for one in capacities_of(method)]
    )


def results_of(method: Method) -> list[Parameter]:
    """The parameters that a method returns.  A dmahandle brings nothing back: its memory does."""
    return [
        one
        for one in method.parameters
        if one.direction.comes_out and not isinstance(one.type.resolved, DmaHandle)
    ]


def result_field(parameter: Parameter) -> str:
    """The name of a result in a named tuple, which has none with an underscore in front."""
    name = argument_name(parameter.name)
    return f"field{name}" if name.startswith("_") else name


def result_name(interface: Interface, method: Method) -> str:
    """The class of the results of a method that has several."""
    return f"{interface.c_name}_{method.name}_result"
