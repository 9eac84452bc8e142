"""Whether a class implements its interface, found out before anything is called.

A method that is missing, misspelt, or takes other arguments would be found by the call that needs
it, hours later perhaps, and by a status.  When a skeleton is loaded the class is still at hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from qda.errors import neighbours
from qda.fastrpc.skeleton import AnySkeleton, misfit
from qda.idl.model import Interface, Method
from qda.idl.names import method_name
from qda.idl.python.signature import argument_names, arguments_of

__all__ = ["misfits"]


def misfits(skeleton: type[AnySkeleton], interface: Interface, on_dsp: bool) -> Iterator[str]:
    """What a class has that does not fit its interface, or has not: a sentence for each.

    `on_dsp` is whether it is for a DSP.  There nobody opens and closes a plain interface; a host
    may provide only a part of one.
    """
    made = [one for one in skeleton.__mro__ if _is_made(one)]
    if len(made) > 1:
        bases = _listed([one.__name__ for one in made])
        yield f"{skeleton.__name__} descends from {bases}: a skeleton is of one interface"
    for name in ("classes", "interface", "name"):
        if getattr(skeleton, name) is not getattr(made[0], name):
            yield (
                f"{skeleton.__name__}.{name} hides {made[0].__name__}.{name}, by which calls find "
                "their way: call it differently"
            )
    methods = [one for one in interface.methods if _is_called(interface, one)]
    missing = [one for one in methods if _made_in(skeleton, method_name(one.name))]
    if on_dsp and missing:
        yield _missing(skeleton, interface, missing)
    if on_dsp and not interface.is_handle64:
        for name in ("open", "close"):
            if getattr(skeleton, name) is not getattr(AnySkeleton, name):
                yield (
                    f"{skeleton.__name__}.{name} would never be called, since {interface.name} is "
                    "a plain interface, whose skeleton is made once for the process: use "
                    f"`__init__`, or declare `interface {interface.name} : remote_handle64`"
                )
    for one in methods:
        yield misfit(skeleton, method_name(one.name), _arguments(one))


def _is_called(interface: Interface, method: Method) -> bool:
    """Whether calls of a method can arrive at a skeleton's function."""
    return not method.refusal and not (interface.is_handle64 and method.index < 2)


def _made_in(skeleton: type, name: str) -> bool:
    """Whether a method is that of the class made from the interface, which implements none."""
    return next(("interface" in vars(one) for one in skeleton.__mro__ if name in vars(one)), True)


def _missing(skeleton: type[AnySkeleton], interface: Interface, missing: list[Method]) -> str:
    names = [method_name(one.name) for one in missing]
    said = f"{skeleton.__name__} does not implement {_listed(names)} of {interface.name}"
    known = {method_name(one.name) for one in interface.methods}
    others = [name for name in _own_functions(skeleton) if name not in known]
    for name in names:
        for close in neighbours(name, others):
            return f"{said}: did you mean {name} by {close}?"
    hidden = next((one for one in skeleton.__mro__ if _hides(skeleton, one, names[0])), None)
    if hidden is not None:
        return (
            f"{said}: that of {hidden.__name__} is hidden by the interface's, so name "
            f"{hidden.__name__} first, `class {skeleton.__name__}({hidden.__name__}, ...)`"
        )
    first = missing[0]
    wanted = f"def {names[0]}({', '.join(['self', *_arguments(first)])})"
    return f"{said}: write `{wanted}`" + (" and the others" if len(names) > 1 else "")


def _arguments(method: Method) -> list[str]:
    """The names of what a method is called with."""
    return argument_names(method)[: len(arguments_of(method))]


def _is_made(one: type) -> bool:
    """Whether a class is that of an interface, and no program's."""
    runtime = f"{__package__}.runtime"
    return "interface" in vars(one) and any(base.__module__ == runtime for base in one.__bases__)


def _made(skeleton: type) -> type:
    """The class made from the interface."""
    return next((one for one in skeleton.__mro__ if _is_made(one)), skeleton)


def _hides(skeleton: type, one: type, name: str) -> bool:
    """Whether a base of a skeleton has a method that its interface's class hides."""
    order = skeleton.__mro__
    return order.index(one) > order.index(_made(skeleton)) and callable(vars(one).get(name))


def _own_functions(skeleton: type) -> list[str]:
    """The functions that a program has written for its skeleton."""
    written = skeleton.__mro__[: skeleton.__mro__.index(_made(skeleton))]
    return [name for one in written for name, it in vars(one).items() if inspect.isfunction(it)]


def _listed(names: list[str]) -> str:
    """Names as words: "f, g and h"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
