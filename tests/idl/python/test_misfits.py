"""A skeleton is checked when it is loaded: what its calls would find out, hours later perhaps."""

from __future__ import annotations

import functools
import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

import qda

plain: Any = qda.idl.load(
    "interface plain { long f(in long x, rout long y); long g(in sequence<long> v,"
    " rout sequence<long> w); };"
)
opened: Any = qda.idl.load(
    '#include "remote.idl"\ninterface opened : remote_handle64 { long f(in long x); };'
)
named: Any = qda.idl.load("interface named { long close(in long x); long describe(); };")


@pytest.fixture(scope="module")
def session() -> Iterator[qda.Session]:
    """A session with a DSP that nothing is sent to."""
    with qda.open("cdsp", device="virtual") as session:
        yield session


class Right(plain.Skeleton):  # type: ignore[misc]
    """The base of the others: each breaks one thing."""

    def f(self, x: int) -> int:
        return x

    def g(self, v: Any, w: Any) -> None:
        w[:] = v


class Lacks(plain.Skeleton):  # type: ignore[misc]
    def f(self, x: int) -> int:
        return x


class LacksBoth(plain.Skeleton):  # type: ignore[misc]
    pass


class Misspelt(plain.Skeleton):  # type: ignore[misc]
    def ff(self, x: int) -> int:
        return x

    def g(self, v: Any, w: Any) -> None:
        w[:] = v


class TooFew(Right):
    def f(self) -> int:  # type: ignore[override]
        return 1


class NoSelf(Right):
    def f() -> int:  # type: ignore[override, misc]
        return 1


class TooMany(Right):
    def g(self, v: Any, w: Any, more: Any) -> None:  # type: ignore[override]
        w[:] = v


class KeywordOnly(Right):
    def f(self, *, x: int) -> int:  # type: ignore[override]
        return x


class StaticTooMany(Right):
    @staticmethod
    def f(self: Any, x: int) -> int:  # type: ignore[override]
        return x


class Async(Right):
    async def f(self, x: int) -> int:  # type: ignore[override]
        return x


class AsyncGenerator(Right):
    async def g(self, v: Any, w: Any) -> Any:
        yield v


class Generator(Right):
    def f(self, x: int) -> Any:
        yield x


class NoMethod(Right):
    f = 3  # type: ignore[assignment]


class Property(Right):
    @property
    def f(self) -> int:  # type: ignore[override]
        return 3


class NeedsArguments(Right):
    def __init__(self, model: str) -> None:
        self.model = model


class Abstract(Right):
    @abstractmethod
    def f(self, x: int) -> int: ...


class Opens(Right):
    def open(self, uri: str) -> None:
        raise RuntimeError("no model")


class Closes(Right):
    def close(self) -> None:
        raise RuntimeError("no")


class OpensWrongly(opened.Skeleton):  # type: ignore[misc]
    def f(self, x: int) -> None: ...

    def open(self) -> None: ...


class ClosesLater(opened.Skeleton):  # type: ignore[misc]
    def f(self, x: int) -> None: ...

    async def close(self) -> None: ...


class NamedAsInTheInterface(named.Skeleton):  # type: ignore[misc]
    def close(self, x: int) -> None: ...

    def describe_(self) -> None: ...


class NumberedAsync(qda.Skeleton):
    @qda.method(2)  # type: ignore[type-var]
    async def f(self) -> None: ...


class AsyncCallable:
    async def __call__(self, x: int) -> int:
        return x


class IsAsync(Right):
    f: Any = AsyncCallable()


async def awaited(_: Any, x: int) -> int:
    return x


class PartlyAsync(Right):
    f: Any = functools.partialmethod(awaited)


class Hidden:
    def f(self, x: int) -> int:
        return x


class MixedInLast(plain.Skeleton, Hidden):  # type: ignore[misc]
    g = Right.g


class OfTwo(Right, named.Skeleton):  # type: ignore[misc]
    def close_(self, x: int) -> None: ...
    def describe_(self) -> None: ...


class Named(Right):
    name = "other"


class HasNoInterface(Right):
    interface = None


class Asked(Right):
    def check_open(self, uri: str) -> None: ...


class Raises:
    def __get__(self, *_: object) -> Any:
        raise RuntimeError("not now")


class RaisesWhenAsked(Right):
    f: Any = Raises()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (IsAsync, "IsAsync.f is async"),
        (PartlyAsync, "PartlyAsync.f is async"),
        (
            MixedInLast,
            "f of plain: that of Hidden is hidden by the interface's, so name Hidden first",
        ),
        (OfTwo, "OfTwo descends from plain_Skeleton and named_Skeleton"),
        (Named, "Named.name hides plain_Skeleton.name"),
        (HasNoInterface, "HasNoInterface.interface hides plain_Skeleton.interface"),
        (Asked, "Asked.check_open is asked before there is an object: put `@classmethod`"),
        (RaisesWhenAsked, "RaisesWhenAsked.f is no method: looking for it raises RuntimeError"),
        (plain.Skeleton, "plain_Skeleton does not implement f and g of plain"),
        (Lacks, "Lacks does not implement g of plain: write `def g(self, v, w)`"),
        (LacksBoth, "does not implement f and g of plain: write `def f(self, x)` and the others"),
        (Misspelt, "Misspelt does not implement f of plain: did you mean f by ff?"),
        (TooFew, "TooFew.f(self) -> 'int' does not take what it is called with: write"),
        (NoSelf, "write `def f(self, x)`"),
        (TooMany, "write `def g(self, v, w)`"),
        (KeywordOnly, "KeywordOnly.f(self, *, x: 'int') -> 'int' does not take"),
        (StaticTooMany, "StaticTooMany.f(self: 'Any', x: 'int') -> 'int' does not take"),
        (Async, "Async.f is async, and nobody awaits it"),
        (AsyncGenerator, "AsyncGenerator.g is async"),
        (Generator, "Generator.f has a `yield`"),
        (NoMethod, "NoMethod.f is no method: 3"),
        (Property, "Property.f is no method: <property object"),
        (NeedsArguments, "NeedsArguments.__init__ needs arguments"),
        (Opens, "Opens.open would never be called, since plain is a plain interface"),
        (Closes, "Closes.close would never be called"),
        (OpensWrongly, "OpensWrongly.open(self) -> 'None' does not take what it is called with"),
        (ClosesLater, "ClosesLater.close is async"),
        (NamedAsInTheInterface, "does not implement close_ of named: did you mean close_ by close"),
        (NumberedAsync, "NumberedAsync.f is async"),
    ],
)
def test_a_class_that_does_not_fit_is_refused_with_a_sentence(
    session: qda.Session, wrong: Any, words: str
) -> None:
    """By `load`, by `install`, and as a file's; it is one line."""
    for use in (session.load, session.install):
        with pytest.raises(qda.UsageTypeError, match=re.escape(words)) as caught:
            use(wrong)
        assert "\n" not in str(caught.value)


def test_what_can_be_called_is_not_refused(session: qda.Session) -> None:
    """However it is written: with defaults, with stars, static, of a class, wrapped, made."""

    class Free(plain.Skeleton):  # type: ignore[misc]
        def __init__(self, model: str = "") -> None: ...

        def f(self, *arguments: Any) -> Any:
            return arguments[0]

        @staticmethod
        def g(v: Any, w: Any, factor: int = 2) -> None:
            w[:] = v * factor

    class Made(Right):
        @classmethod
        def f(cls, x: int) -> int:
            return x + 1

        def scaled(self, factor: int, v: Any, w: Any) -> None:
            w[:] = v * factor

        g: Any = functools.partialmethod(scaled, 3)

    def doubled(method: Any) -> Any:
        return functools.wraps(method)(lambda *given: 2 * method(*given))

    class Wrapped(Right):
        @doubled
        def f(self, x: int) -> int:
            return x + 2

        def helper(self) -> None:
            """Not of the interface, which is nobody's concern."""

    remote: Any
    for kind, number, numbers in ((Free, 1, [2]), (Made, 2, [3]), (Wrapped, 6, [1])):
        with session.load(kind) as remote:
            assert (remote.f(1), list(remote.g([1], 1))) == (number, numbers)


def test_a_coroutine_that_a_decorator_lets_through_is_no_result(session: qda.Session) -> None:
    """The decorator might have awaited it, so only the call knows."""

    def passed_on(method: Any) -> Any:
        return lambda *given: method(*given)

    class Late(Right):
        f: Any = passed_on(awaited)

        @passed_on
        async def g(self, v: Any, w: Any) -> None: ...

    with session.load(Late) as remote:
        calls: list[Any] = [lambda: remote.f(1), lambda: remote.g([1], 1)]
        for call in calls:
            with pytest.raises(qda.DspError, match="a coroutine, and nobody awaits it") as caught:
                call()
            assert "coroutine" in str(caught.value).splitlines()[0]


def test_a_skeleton_may_be_a_protocols_or_an_abstract_class(session: qda.Session) -> None:
    """What is derived from beside it sees the class being made."""
    given: list[object] = []

    class Counts:
        def __init_subclass__(cls) -> None:
            given.append(cls.__name__)

    class Adds(Protocol):
        def f(self, x: int) -> int: ...

    class Both(Right, Counts):
        pass

    class Promised(Right, Adds):
        pass

    assert given == ["Both"]
    for kind in (Both, Promised):
        with session.load(kind) as remote:
            assert remote.f(7) == 7


def test_numbered_method_may_take_any_number_of_arguments_after_some(session: qda.Session) -> None:
    """The call alone says how many."""

    class Starred(qda.Skeleton):
        @qda.method(2)
        def join(self, first: memoryview, *others: memoryview) -> None:
            *sources, target = others
            target[:] = b"".join([first, *sources])

    with session.load(Starred) as module:
        assert module.invoke(2, [b"a", b"b"], [2]) == [b"ab"]


def test_an_abstract_class_is_refused(session: qda.Session) -> None:
    """Python would say so on the DSP."""
    from abc import ABC

    class Half(Right, ABC):
        @abstractmethod
        def more(self) -> None: ...

    with pytest.raises(qda.UsageTypeError, match="Half is abstract, it does not define more"):
        session.load(Half)


def test_a_method_can_be_left_out_on_purpose(session: qda.Session) -> None:
    """Its calls say so."""

    class Part(Right):
        g = plain.Skeleton.g

    with session.load(Part) as remote, pytest.raises(qda.DspError, match="AEE_EUNSUPPORTED"):
        remote.g([1], 1)


def test_what_a_host_provides_may_be_a_part(session: qda.Session) -> None:
    """But what there is must be callable; and hosts open and close."""
    session.provide(Lacks)
    session.provide(Opens)
    with pytest.raises(qda.UsageTypeError, match=r"Async\.f is async"):
        session.provide(Async)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Right(), "give its class, Right"),
        (dict, "derive a class from the `Skeleton` of an interface"),
        (None, "None is no skeleton class, interface or URI"),
        (len, "<built-in function len> is no skeleton class"),
    ],
)
def test_what_is_no_module_is_refused(session: qda.Session, given: Any, words: str) -> None:
    """With what is one."""
    with pytest.raises(qda.UsageTypeError, match=re.escape(words)):
        session.load(given)
