"""What answers calls: modules, and the skeletons among them, on a DSP and on a host.

A module is called by its handle.  A skeleton is a class that makes modules: it is installed on a
DSP or provided to it, and an object of it is made when somebody opens it by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partialmethod
from typing import Any, ClassVar, Final, Protocol

from qda.errors import UsageTypeError
from qda.fastrpc.scalars import Scalars

__all__ = ["CLOSE", "OPEN", "AnySkeleton", "Module", "check_class", "misfit"]

OPEN: Final = Scalars(0, 2, 0, 0, 1)
CLOSE: Final = Scalars(1, 0, 0, 1, 0)
"""Methods 0 and 1 of a module in the handle64 style: the loader calls them."""


class Module(Protocol):
    """Anything that can be called by handle."""

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one call; returns its result.  StatusError, or any exception of the method."""
        ...


class AnySkeleton:
    """Base of all skeletons: those whose methods have numbers (`qda.Skeleton`), and those of an
    interface (`qda.idl`).

    `name` is what it is opened by.  `dsp` is what the protection domain offers, and set before
    `open` is called; in a program that provides the skeleton to its DSP (`Session.provide`) there
    is `session` instead.
    """

    name: ClassVar[str]
    dsp: Any
    session: Any

    @classmethod
    def check_open(cls, uri: str) -> None:
        """Called before a skeleton is made; what it raises refuses the open."""

    def open(self, uri: str) -> None:
        """Called when the module is opened; what it raises refuses the open."""

    def close(self) -> None:
        """Called when the module is closed or its client has gone."""

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run one call; returns its result.  StatusError, or any exception of the method."""
        raise NotImplementedError

    @classmethod
    def _misfits(cls, on_dsp: bool) -> Iterator[str]:
        """What keeps an object of the class from being made and called, a sentence for each."""
        if inspect.isabstract(cls):
            missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
            yield f"{cls.__name__} is abstract, it does not define {missing}"
        try:
            inspect.signature(cls).bind()
        except TypeError:
            yield (
                f"{cls.__name__}.__init__ needs arguments, and a skeleton is made without any: "
                "give them defaults, or hand values over by a method"
            )
        except ValueError:
            pass  # in C, which tells nothing
        if not isinstance(inspect.getattr_static(cls, "check_open"), classmethod | staticmethod):
            words = "is asked before there is an object: put `@classmethod` above it"
            yield f"{cls.__name__}.check_open {words}"
        yield misfit(cls, "check_open", ["uri"])
        yield misfit(cls, "open", ["uri"])
        yield misfit(cls, "close", [])


def check_class(skeleton: type[AnySkeleton], on_dsp: bool = True) -> None:
    """Refuse a class that nobody could open and call: UsageTypeError says why.

    `on_dsp` is whether it is for a DSP, or provided to one by its host.
    """
    for sentence in filter(None, skeleton._misfits(on_dsp)):
        raise UsageTypeError(sentence)


def misfit(skeleton: type[AnySkeleton], name: str, arguments: list[str]) -> str:
    """What keeps a method from being called with these arguments; "" if nothing does."""
    found = inspect.getattr_static(skeleton, name)
    method = f"{skeleton.__name__}.{name}"
    try:
        called = found if isinstance(found, property) else getattr(skeleton, name)
    except Exception as error:  # a descriptor may raise anything
        return f"{method} is no method: looking for it raises {error!r:.80}"
    if not callable(called):
        return f"{method} is no method: {called!r:.80}"
    for one in _what_runs(found, called):
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one):
            return (
                f"{method} is async, and nobody awaits it: write `def`, in it perhaps `asyncio.run`"
            )
        if inspect.isgeneratorfunction(one):
            return (
                f"{method} has a `yield`, so a call would only make a generator: return the result"
            )
    bound = isinstance(found, staticmethod | classmethod) or not hasattr(type(found), "__get__")
    given = arguments if bound else ["self", *arguments]
    try:
        signature = inspect.signature(called)
    except (TypeError, ValueError):
        return ""  # in C, which tells nothing, or with a signature that says nothing
    try:
        signature.bind(*given)
    except TypeError:
        wanted = f"def {name}({', '.join(['self', *arguments])})"
        return f"{method}{signature} does not take what it is called with: write `{wanted}`"
    return ""


def _what_runs(found: object, called: object) -> Iterator[object]:
    """The functions that a call of a method certainly begins.  What a decorator has wrapped is none
    of them: it may be awaited there."""
    yield called
    if isinstance(found, partialmethod):
        yield found.func
    if not isinstance(called, type):
        yield type(called).__call__
