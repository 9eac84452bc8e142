"""Skeletons: the functions that run on the DSP.

    class Calculator(Skeleton):
        @method(2)
        def sum(self, numbers: memoryview, total: memoryview) -> None:
            total.cast("q")[0] = sum(numbers.cast("i"))

A method gets the call's in-buffers (read-only), out-buffers, in-handles and out-handles, in that
order, as positional arguments: memory views on the pages that the caller shares, no copies.  It
returns nothing, or a status; an exception ends the call with a status.

A skeleton is created when its module is opened.  `open` and `close` are called then and at the
end (the handle64 style, in which the interface's own methods begin at 2); a skeleton opened by a
plain URI is created once for the process and numbers its methods from 0.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from qda.errors import (
    BAD_PARAMETER,
    UNSUPPORTED,
    QdaError,
    StatusError,
    UsageError,
    UsageTypeError,
    bare,
)
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.scalars import EXTENDED_METHOD, Scalars
from qda.fastrpc.skeleton import AnySkeleton, misfit

if TYPE_CHECKING:
    from qda.dsp.host import Environment, Host
    from qda.dsp.memory import AddressSpace
    from qda.dsp.queue_end import DspQueue, OnPacket

__all__ = ["DspServices", "HandleArgument", "Skeleton", "method"]

F = TypeVar("F", bound=Callable[..., int | None])


class HandleArgument:
    """A handle argument: `view` is the part of the buffer object that it selects.

    `fd`, `offset` and `length` are what the caller wrote; for a handle without an object (fd not
    above 0 on the host) there is no view, and `value` is the 64-bit number that was passed.
    """

    def __init__(
        self, fd: int, offset: int, length: int, value: int, view: memoryview | None
    ) -> None:
        self.fd, self.offset, self.length, self.value = fd, offset, length, value
        self._view = view

    @property
    def names_object(self) -> bool:
        """Whether there is a buffer object behind it."""
        return self._view is not None

    @property
    def view(self) -> memoryview:
        """The selected bytes.  StatusError if the argument has no object."""
        if self._view is None:
            raise StatusError(BAD_PARAMETER, "the handle argument has no buffer object")
        return self._view


class DspServices(Protocol):
    """What a protection domain offers to the skeletons in it."""

    @property
    def kind(self) -> ProtectionDomain:
        """Whether the process serves attached clients or belongs to one."""
        ...

    @property
    def client_id(self) -> int:
        """The session of the call that runs in this thread."""
        ...

    def memory(self, address: int, length: int) -> memoryview:
        """The bytes at a DSP address that MAP has returned; StatusError outside any mapping.  In
        any thread: those that the skeleton has started see the memory, too."""
        ...

    def memory_of_fd(self, fd: int) -> memoryview:
        """The mapping that MAP has made under that fd, in any thread; StatusError if there is
        none."""
        ...

    def queue(self, number: int, on_packet: OnPacket | None = None) -> DspQueue:
        """Open the queue that the host has told this number of (`Queue.id`), in any thread.

        `on_packet(queue, packet)` is called for each packet, in a thread of its own.  StatusError:
        BAD_PARAMETER if there is none, BUSY if it is open.
        """
        ...

    @property
    def space(self) -> AddressSpace:
        """The process's memory, as `HAP_mmap` maps it."""
        ...

    @property
    def log(self) -> logging.Logger:
        """The process's logger; records reach the client's session log, and the host's."""
        ...

    @property
    def host(self) -> Host:
        """The modules and files of the host, for reverse calls."""
        ...

    @property
    def environment(self) -> Environment:
        """The environment variables of the host."""
        ...


def method(number: int) -> Callable[[F], F]:
    """Mark a method of a skeleton with its number on the wire, 0 or more.

    Numbers of 31 and above arrive with an extra first in-buffer, whose word 0 is the number.
    """
    try:
        if not isinstance(number, int):
            words = f"method number {number!r:.80}: give a number, `@qda.method(2)`"
            raise UsageTypeError(words)
        if not 0 <= number < 1 << 32:
            raise UsageError(f"method number {number!r}: a number from 0 to {(1 << 32) - 1}")
    except QdaError as error:
        bare(error)
        raise

    def mark(function: F) -> F:
        try:
            if not hasattr(function, "__dict__"):
                words = f"@qda.method({number}) {function!r:.80}: it marks a method of a skeleton"
                raise UsageTypeError(words)
        except QdaError as error:
            bare(error)
            raise
        function.__dict__["qda_method"] = number
        return function

    return mark


class Skeleton(AnySkeleton):
    """Base of skeletons whose methods have numbers; see the module's text.

    `name` is the interface name by which the module is opened, the class's own by default.
    """

    methods: ClassVar[dict[int, str]] = {}
    dsp: DspServices

    def __init_subclass__(cls, *, name: str | None = None) -> None:
        super().__init_subclass__()
        cls.name = name or cls.__name__
        try:
            cls.methods = cls._marked()
        except QdaError as error:
            bare(error)
            raise
        cls._arity = {
            number: _arity(_parameters(getattr(cls, name))) for number, name in cls.methods.items()
        }

    @classmethod
    def _marked(cls) -> dict[int, str]:
        methods: dict[int, str] = {}
        for attribute in dir(cls):
            number = getattr(inspect.getattr_static(cls, attribute), "__dict__", {}).get(
                "qda_method"
            )
            if number is None:
                continue
            if number in methods:
                raise UsageTypeError(
                    f"{cls.__name__}: {methods[number]} and {attribute} are both method {number}"
                )
            methods[number] = attribute
        return methods

    _arity: ClassVar[dict[int, int | None]] = {}

    @classmethod
    def _misfits(cls, on_dsp: bool) -> Iterator[str]:
        for name in cls.methods.values():
            named = [one for one in _parameters(getattr(cls, name)) if one.kind is not _STARRED]
            yield misfit(cls, name, [one.name for one in named])
        yield from super()._misfits(on_dsp)

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        """Call the method that the scalars name; returns its status, 0 for None."""
        number = scalars.method
        if number == EXTENDED_METHOD:
            number = _extended(scalars, arguments)
        name = self.methods.get(number)
        if name is None:
            raise StatusError(UNSUPPORTED, f"{self.name} has no method {number}")
        arity = self._arity[number]
        if arity is not None and arity != len(arguments):
            raise StatusError(
                BAD_PARAMETER,
                f"{self.name}.{name} takes {arity} arguments, the call has {len(arguments)}",
            )
        return getattr(self, name)(*arguments) or 0


_STARRED = inspect.Parameter.VAR_POSITIONAL


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())[1:]


def _arity(parameters: list[inspect.Parameter]) -> int | None:
    if any(parameter.kind is _STARRED for parameter in parameters):
        return None
    return len(parameters)


def _extended(scalars: Scalars, arguments: list[Any]) -> int:
    """The number of a method from 31 on: word 0 of the first in-buffer (spec 1.5)."""
    if not scalars.in_buffers or len(arguments[0]) < 4:
        raise StatusError(BAD_PARAMETER, "method 31 and above need a first in-buffer of 4 bytes")
    return int.from_bytes(arguments[0][:4], "little")
