"""What answers calls: modules, and the skeletons among them, on a DSP and on a host.

A module is called by its handle.  A skeleton is a class that makes modules: it is installed on a
DSP or provided to it, and an object of it is made when somebody opens it by name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Protocol

from qda.fastrpc.scalars import Scalars

__all__ = ["CLOSE", "OPEN", "AnySkeleton", "Module"]

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
