"""What modules made from an interface are built on: remote objects and skeletons.

`qda.idl.load` makes such a module at run time, `qda idl --python` writes one to a file; both have
the same text.  Nothing here knows a device: a remote object calls through whatever is `Invocable`.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    NoReturn,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
)
from weakref import WeakKeyDictionary, WeakValueDictionary

import numpy as np
from numpy.typing import ArrayLike

from qda.errors import (
    UNSUPPORTED,
    QdaError,
    StatusError,
    UsageError,
    UsageTypeError,
    bare,
    did_you_mean,
    quoted,
)
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import AnySkeleton
from qda.idl.model import Document, Interface
from qda.idl.names import method_name
from qda.idl.python.binding import Binding, Invoke
from qda.idl.python.describe import RawCall, describe
from qda.idl.python.lift import Classes, Lifted
from qda.idl.python.misfits import misfits
from qda.idl.text.compile import parse
from qda.idl.wire.lifecycle import check_version
from qda.idl.wire.values import Bytes, Elements, Given, Handle

__all__ = [
    "Document",
    "Enumeration",
    "EnumerationType",
    "Interface",
    "InterfaceType",
    "Invocable",
    "Memory",
    "Numbers",
    "Pending",
    "RawCall",
    "Remote",
    "ResultType",
    "Room",
    "Skeleton",
    "Structure",
    "StructureType",
    "Writable",
    "known_interfaces",
    "parse",
    "refuse",
    "remote_of",
    "unimplemented",
]

__tracebackhide__ = True
"""In the tracebacks of pytest: what is wrong stands in the error, and who asked for it above."""

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Numbers: TypeAlias = ArrayLike
"""What a sequence of numbers is made from: an array (best of the very type: then nothing is
copied), a list, or for 8-bit elements any buffer."""

Writable: TypeAlias = Elements | bytearray | memoryview
"""Memory that a result is written to."""

Room: TypeAlias = int | Writable | Mapping[str, Given] | Sequence[Given]
"""Room for a result: a number of elements (of a string: of units, with the NUL), memory to fill, or
for structures and sequences a dictionary or list of these."""

Memory: TypeAlias = Handle
"""A dmahandle.  A caller gives a buffer of the session, or an array that lies in one; an
implementation gets a `qda.HandleArgument`, whose `view` is that memory."""


def _unknown(owner: str, what: str, name: str, known: Iterable[str]) -> AttributeError:
    """What is raised for a name that an object of ours has not.  Python itself has nothing to add:
    it would look among the names of `obj`."""
    words = f"{owner} has no {what} {name!r}"
    if not name.startswith("_"):
        meant = did_you_mean(name, (one for one in known if not one.startswith("_")))
        words += f": {meant}" if meant else ""
    return AttributeError(words, name=name, obj=None)


_SHOWN = 20
"""How many members an error names."""


class EnumerationType(enum.EnumMeta):
    """The type of enumerations, by which `qda.idl.python.load` pickles them."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> object:
            members = vars(cls).get("_member_map_", {})
            if name in members:  # older interpreters look for members here
                return members[name]
            raise _unknown(cls.__name__, "member", name, members)

        def __getitem__(cls, name: str) -> object:
            try:
                return cls._member_map_[name]
            except KeyError:
                raise KeyError(
                    str(_unknown(cls.__name__, "member", name, cls._member_map_))
                ) from None


class ResultType(type):
    """The type of tuples of results, by which `qda.idl.python.load` pickles them."""


class StructureType(type):
    """The type of structures, by which `qda.idl.python.load` pickles them."""


class Structure(metaclass=StructureType):
    """Base of the structures of an interface."""


class Enumeration(enum.IntEnum, metaclass=EnumerationType):
    """An enumeration of an interface.  A number without a name is kept: 4 bytes may hold any."""

    @classmethod
    def _missing_(cls, value: object) -> Enumeration:
        if not isinstance(value, (int, np.integer)):
            members = ", ".join(f"{one.name} ({one.value})" for one in [*cls][:_SHOWN])
            raise UsageError(f"{quoted(value)} is no number of {cls.__name__}: it has {members}")
        member = int.__new__(cls, value)
        member._name_ = f"unknown_{value}"
        member._value_ = int(value)
        return member


class Pending(Protocol[T_co]):
    """A call that has been started: `await` it, or ask for its result."""

    def result(self, timeout: float | None = None) -> T_co:
        """Wait for the call.  CallTimeout after `timeout` seconds; the call goes on."""
        ...

    def __await__(self) -> Generator[Any, None, T_co]: ...


class Invocable(Protocol):
    """A module that is open somewhere: `qda.RemoteModule`, or anything that calls a skeleton."""

    @property
    def invoke(self) -> Invoke:
        """Calls a method."""
        ...

    def start(self, call: Callable[[], T]) -> Pending[T]:
        """Run a call beside the caller."""
        ...

    def close(self) -> None:
        """Close the module."""
        ...


class _Made:
    """What both sides are told by the module that was made."""

    interface: ClassVar[Interface]
    classes: ClassVar[Classes] = {}


_bindings: WeakKeyDictionary[type[_Made], Binding] = WeakKeyDictionary()
_remotes: WeakValueDictionary[int, type[Remote]] = WeakValueDictionary()


def _binding_of(made: type[_Made]) -> Binding:
    found = _bindings.get(made)
    if found is None:
        found = _bindings[made] = Binding(made.interface, made.classes)
    return found


class InterfaceType(type):
    """The type of interfaces, by which `qda.idl.python.load` pickles them: with their text."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> NoReturn:
            raise _unknown(cls.__name__, "declaration", name, dir(cls))


class Remote(_Made, metaclass=InterfaceType):
    """An interface whose implementation is elsewhere: each method is a call.

    `session.load` makes one; `close`, or the end of a `with` block, closes the module behind it.
    """

    def __init__(self, module: Invocable) -> None:
        try:
            if not hasattr(module, "invoke") or hasattr(module, "load"):
                words = f"{quoted(module)} is no open module: `session.load` opens one, and gives"
                raise UsageTypeError(f"{words} what has the methods of {self.interface.full_name}")
        except QdaError as error:
            bare(error)
            raise
        self._module = module
        self._binding = _binding_of(type(self))

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "interface" in vars(cls):
            _remotes[id(cls.interface)] = cls

    def _call(self, index: int, timeout: float | None, *arguments: Given) -> Lifted:
        call = self._binding.callers.get(index) or self._binding.method(index).caller
        if timeout is None:
            return call(self._module.invoke, *arguments)
        return call(partial(self._module.invoke, timeout=timeout), *arguments)

    def _leave(self, error: Exception) -> None:
        """An error is about to leave a method of the interface."""
        if isinstance(error, QdaError):
            bare(error)

    def _start(self, index: int, *arguments: Given) -> Pending[Lifted]:
        return self._module.start(lambda: self._call(index, None, *arguments))

    @classmethod
    def describe(cls, call: RawCall) -> str:
        """Say in one line which call some scalars and buffers are, for traces."""
        return describe(_binding_of(cls).codec, call)

    def close(self) -> None:
        """Close the module; idempotent."""
        self._module.close()

    def __reduce__(self) -> NoReturn:
        raise UsageTypeError(
            f"{self!r} belongs to the session of one process: open a session in the other one, and"
            " load the interface there"
        )

    # Older interpreters look up everything in an object whose class has this the slow way, also
    # what is there: +300 ns of 250 for a call, and there is no other hook.  Their tracebacks ask
    # what was meant all the same, from the names that they find in the object.
    if not TYPE_CHECKING and sys.version_info >= (3, 12):

        def __getattr__(self, name: str) -> NoReturn:
            methods = (method_name(one.name) for one in self.interface.methods)
            raise _unknown(self.interface.full_name, "method", name, methods)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.interface.full_name} through {self._module!r}>"


class Skeleton(_Made, AnySkeleton, Generic[R_co]):
    """Base of the skeletons of interfaces: override the methods of the interface.

    What a method raises becomes the status of the call: a `qda.StatusError` its own, anything else
    0x80000401.  `name` is the interface's name in C.
    """

    _bound: Binding | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()  # of what a program derives its class from, too
        if isinstance(vars(cls).get("interface"), Interface):
            cls.name = cls.interface.c_name

    @classmethod
    def check_open(cls, uri: str) -> None:
        """Refuse callers that were made for a newer version of the interface.  StatusError."""
        if cls.interface.version is not None:
            check_version(uri, cls.interface.version)

    @classmethod
    def _misfits(cls, on_dsp: bool) -> Iterator[str]:
        yield from misfits(cls, cls.interface, on_dsp)
        yield from super()._misfits(on_dsp)

    def invoke(self, scalars: Scalars, arguments: list[Bytes | Handle]) -> int:
        """Serve a call; 0.  StatusError for a request that does not fit the interface."""
        binding = self._bound
        if binding is None:
            binding = self._bound = _binding_of(type(self))
        found = binding.servers.get(scalars)
        if found is not None:
            serve, name = found
            serve(getattr(self, name), arguments)
        else:
            self._walk(binding, scalars, arguments)
        return 0

    def _walk(self, binding: Binding, scalars: Scalars, arguments: list[Bytes | Handle]) -> None:
        """Serve a call of any method, and remember one that is in a straight line."""
        ins = arguments[: scalars.in_buffers]
        index = binding.codec.requested(scalars, ins).method.index
        bound = binding.method(index)
        name = method_name(bound.codec.method.name)
        if bound.server is not None and scalars[1:5] == bound.codec.counts:
            binding.servers[scalars] = bound.server, name
        bound.serve(getattr(self, name), scalars, arguments)


def remote_of(skeleton: type[_Made]) -> type[Remote] | None:
    """The remote class of the interface that a skeleton implements, if it was made here."""
    return _remotes.get(id(skeleton.interface))


def known_interfaces(base: type[Remote] = Remote) -> Iterator[type[Remote]]:
    """The interfaces that this program has loaded."""
    for kind in base.__subclasses__():
        if hasattr(kind, "interface"):
            yield kind
        yield from known_interfaces(kind)


def unimplemented(skeleton: AnySkeleton, method: str) -> StatusError:
    """What a method raises that a skeleton does not override."""
    return StatusError(UNSUPPORTED, f"{type(skeleton).__name__} does not implement {method}")


def refuse(method: str, reason: str) -> UsageError:
    """What a method raises that has no form on the wire."""
    return UsageError(f"{method} cannot be called: {reason}")
