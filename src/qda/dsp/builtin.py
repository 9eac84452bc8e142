"""Modules that come with a process: what they are made of, and what they may ask of it.

    class Utilities(BuiltIn, name="utilities"):
        @handles(Scalars(0, 1, 1))
        def capabilities(self, length: memoryview, values: memoryview) -> None: ...

A method is found by its complete scalars, so it always gets the arguments that it declares; any
other call is UNSUPPORTED.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, TypeVar

from qda.dsp.memory import AddressSpace
from qda.dsp.modules import Modules, SkeletonLoader, nothing_to_close
from qda.dsp.queues import Queues
from qda.dsp.session import LifeEvent, Served, Session
from qda.errors import BAD_PARAMETER, UNSUPPORTED, StatusError
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import Module
from qda.fastrpc.uri import ModuleUri
from qda.layout import Record

__all__ = ["BuiltIn", "BuiltInLoader", "Domain", "handles", "put", "put_record", "put_text", "read"]

F = TypeVar("F", bound=Callable[..., int | None])
R = TypeVar("R", bound=Record)


class Domain(Protocol):
    """What a protection domain is for the modules that come with it."""

    @property
    def session(self) -> Session:
        """The session of the call that runs in this thread.  StatusError outside of one."""
        ...

    @property
    def served(self) -> Served:
        """What this thread serves: whose call it is, and what that has logged."""
        ...

    @property
    def name(self) -> bytes:
        """Of a process that is there for all clients; empty if it belongs to one."""
        ...

    @property
    def log(self) -> logging.Logger:
        """Its logger; records reach the session's log, and the host's."""
        ...

    @property
    def space(self) -> AddressSpace:
        """Its memory."""
        ...

    @property
    def modules(self) -> Modules:
        """Its modules, by handle."""
        ...

    @property
    def skeletons(self) -> SkeletonLoader:
        """The classes that were installed."""
        ...

    @property
    def queues(self) -> Queues:
        """Its queues."""
        ...

    @property
    def handed_over(self) -> dict[str, type]:
        """Classes on their way from a client of the same process, by key."""
        ...

    def start(self, event: LifeEvent) -> None:
        """The session of this call is created or attaches.  StatusError."""
        ...

    def leave(self) -> None:
        """The client of this call has called exit."""
        ...

    def release(self, client_id: int) -> None:
        """Destroy what belongs to a client; nothing if it is unknown."""
        ...

    def register_listener(self) -> None:
        """The session of this call serves the reverse calls of those that have no listener."""
        ...


def handles(*scalars: Scalars) -> Callable[[F], F]:
    """Mark a method of a `BuiltIn` with the calls that it serves."""

    def mark(function: F) -> F:
        function.__dict__["qda_scalars"] = scalars
        return function

    return mark


class BuiltIn:
    """Base of the modules that come with a process.

    `name` is for errors.  Where a module answers at another handle with the same methods, their
    numbers are `first` higher there (spec/fastrpc.md 1.3).
    """

    name: ClassVar[str]
    _handlers: ClassVar[dict[Scalars, str]] = {}

    def __init_subclass__(cls, *, name: str) -> None:
        super().__init_subclass__()
        cls.name = name
        cls._handlers = {
            scalars: attribute
            for attribute, function in vars(cls).items()
            for scalars in getattr(function, "qda_scalars", ())
        }

    def __init__(self, domain: Domain, first: int = 0) -> None:
        self._domain, self._first = domain, first

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Run the method of these scalars.  StatusError UNSUPPORTED if there is none."""
        handler = self._handlers.get(scalars._replace(method=scalars.method - self._first))
        if handler is None:
            raise StatusError(UNSUPPORTED, f"{self.name} has no method {scalars.words}")
        return getattr(self, handler)(*arguments) or 0


class BuiltInLoader:
    """Opens, by name, modules that a process has anyway."""

    def __init__(self, modules: dict[str, Module]) -> None:
        self._modules = modules

    def load(
        self, uri: ModuleUri, text: str, searched: list[str]
    ) -> tuple[Module, Callable[[], None]] | None:
        """The module of that name, the same for all who open it."""
        module = self._modules.get(uri.name)
        return None if module is None else (module, nothing_to_close)


# What is in the buffers of such calls.


def read(record: type[R], buffer: memoryview) -> R:
    """A record from the start of an in-buffer.  StatusError if it is too short."""
    if len(buffer) < record.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(buffer)} bytes are no {record.spelling}")
    return record.unpack(buffer)


def put_record(buffer: memoryview, record: Record) -> None:
    """Write a record to the start of an out-buffer.  StatusError if it is too short."""
    if len(buffer) < record.byte_size:
        raise StatusError(BAD_PARAMETER, f"{len(buffer)} bytes for {record.spelling}")
    record.pack_into(buffer)


def put(buffer: memoryview, data: bytes) -> None:
    """Write data to the start of an out-buffer, as much as fits."""
    size = min(len(buffer), len(data))
    buffer[:size] = data[:size]


def put_text(buffer: memoryview, words: str) -> None:
    """Write a text with its NUL, cut to the room there is."""
    if len(buffer):
        put(buffer, words.encode("utf-8", "replace")[: len(buffer) - 1] + b"\0")
