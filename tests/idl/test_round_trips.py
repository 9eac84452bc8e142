"""Every construct of the language, on the virtual device: stubs and skeletons of both languages.

Each method of each interface in `files` is called a few times, by a stub in Python and one in C,
on a skeleton in Python and one in C.  Caller and implementation draw the same call from the same
seed, so each can check what it gets, and nothing but the call connects them.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache, partial
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

import qda
from qda.idl import Document, Interface, Method, load_module
from qda.idl.names import method_name, type_name
from qda.idl.primitives import Kind, Primitive
from qda.idl.python.signature import arguments_of, results_of
from qda.idl.types import Array, DmaHandle, InterfaceType, Sequence, Struct, Type
from tests.idl.interface_files import DECLARED_ONLY, FILES, FOLDER, document_of
from tests.idl.native import SessionTransport, Stub, build, build_all, c_skeleton, find_compiler
from tests.idl.native.examples import Sent, own_methods
from tests.idl.values import plain

CALLS = 2
"""Calls of each method in each pairing."""


def holds_handles(kind: Type) -> bool:
    """Whether a type has memory of the session in it, which cannot be drawn from a seed."""
    resolved = kind.resolved
    if isinstance(resolved, Struct):
        return any(holds_handles(member.type) for member in resolved.members)
    if isinstance(resolved, Sequence | Array):
        return holds_handles(resolved.element)
    return isinstance(resolved, DmaHandle | InterfaceType)


def callable_methods(interface: Interface) -> list[Method]:
    """The methods whose calls can be drawn from a seed."""
    return [
        method
        for method in own_methods(interface)
        if not any(holds_handles(parameter.type) for parameter in method.parameters)
    ]


@cache
def module_of(file: str) -> ModuleType:
    """A file of ours in Python."""
    return load_module(FOLDER / file, include_dirs=[FOLDER])


INTERFACES = [
    (file.name, interface.c_name)
    for file in FILES
    if file.name != DECLARED_ONLY
    for interface in document_of(file.name).interfaces
]


class Calls:
    """The calls of an interface: the n-th of each method is the same wherever it is drawn."""

    def __init__(self, interface: Interface) -> None:
        self._methods = {method.name: method for method in interface.methods}
        self._made: Counter[str] = Counter()

    def next(self, name: str) -> Sent:
        """The next call of a method."""
        self._made[name] += 1
        return Sent(self._methods[name], random.Random(f"{name} {self._made[name]}"))


class InC:
    """The implementation behind a skeleton in C; it is sent to the DSP."""

    def __init__(self, interface: Interface) -> None:
        self._calls = Calls(interface)
        self._has_handle = interface.is_handle64

    def __call__(
        self, method: Method, inputs: dict[str, Any], rooms: dict[str, int]
    ) -> Mapping[str, Any] | int:
        if self._has_handle and method.index < 2:
            return {"h": 7} if method.index == 0 else {}
        sent = self._calls.next(method.name)
        sent.check_inputs(inputs)
        return sent.results


def in_python(module: ModuleType, interface: Interface) -> Any:
    """The implementation as a class, from the interface's `Skeleton`."""
    calls = Calls(interface)

    def implement(method: Method) -> Any:
        def run(self: object, *arguments: Any) -> Any:
            sent = calls.next(method.name)
            for parameter, seen in zip(arguments_of(method), arguments, strict=True):
                if parameter.direction.goes_in:
                    wanted = sent.values[parameter.name]
                    assert truth(parameter.type, lowered(parameter.type, seen)) == truth(
                        parameter.type, wanted
                    )
            results = [sent.results[parameter.name] for parameter in results_of(method)]
            return (results[0] if len(results) == 1 else results) if results else None

        return run

    first = 2 if interface.is_handle64 else 0  # the methods before that are the class's own
    body = {method_name(one.name): never_called for one in interface.methods[first:]}
    body |= {method_name(one.name): implement(one) for one in callable_methods(interface)}
    return type("Served", (getattr(module, type_name(interface.c_name)).Skeleton,), body)


def never_called(self: object, *arguments: Any) -> NoReturn:
    """A method that no test calls: a class has them all."""
    raise AssertionError(arguments)


def lowered(kind: Type, value: Any) -> Any:
    """A value of the Python side in plain Python."""

    def plainly(one: Any) -> Any:
        if dataclasses.is_dataclass(one) and not isinstance(one, type):
            return {field.name: plainly(getattr(one, field.name)) for field in fields_of(one)}
        return [plainly(each) for each in one] if isinstance(one, list) else one

    return plain(kind, plainly(value))


def fields_of(value: Any) -> Any:
    """The fields of a dataclass."""
    return dataclasses.fields(value)


def truth(kind: Type, value: Any) -> Any:
    """A plain value in which booleans are True or False: any number but 0 is true (idl.md 5.1)."""
    resolved = kind.resolved
    if isinstance(resolved, Primitive) and resolved.kind is Kind.BOOLEAN:
        return bool(value)
    if isinstance(resolved, Struct):
        return {m.name: truth(m.type, value[m.name]) for m in resolved.members}
    if isinstance(resolved, Sequence | Array):
        return [truth(resolved.element, item) for item in value]
    return value


class PythonStub:
    """Remote objects of the Python back end."""

    def __init__(self, module: ModuleType, interface: Interface, session: qda.Session) -> None:
        self._remote: Any = session.load(getattr(module, type_name(interface.c_name)))

    def call(self, sent: Sent) -> None:
        """Make a call, and check its results."""
        method = sent.method
        arguments = [
            sent.values[one.name] if one.direction.goes_in else sent.rooms[one.name]
            for one in arguments_of(method)
        ]
        returned = getattr(self._remote, method_name(method.name))(*arguments)
        if method.asynchronous:
            returned = returned.result(timeout=30)
        results = results_of(method)
        values = [returned] if len(results) == 1 else returned or ()
        for parameter, found in zip(results, values, strict=True):
            wanted = truth(parameter.type, sent.results[parameter.name])
            assert truth(parameter.type, lowered(parameter.type, found)) == wanted

    def close(self) -> None:
        """Close the module."""
        self._remote.close()


class CStub:
    """Stubs in C."""

    def __init__(self, document: Document, interface: Interface, session: qda.Session) -> None:
        self._stub = Stub(build(document).stub, interface, SessionTransport(session))
        self._handle = 0
        if interface.is_handle64:
            status, self._handle = self._stub.open(interface.uri)
            assert status == 0

    def call(self, sent: Sent) -> None:
        """Make a call, and check its results."""
        status, found = self._stub.call(
            sent.method.name, sent.values, sent.rooms, handle=self._handle
        )
        assert status == 0
        sent.check_results(found)

    def close(self) -> None:
        """Close the module."""
        if self._handle:
            assert self._stub.close(self._handle) == 0


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """All of them, on all processors at once; whatever cannot be built says so later."""
    if find_compiler():
        files = dict.fromkeys(file for file, _ in INTERFACES)
        build_all([partial(build, document_of(file)) for file in files])


@pytest.mark.parametrize("skeleton", ["python", "c"])
@pytest.mark.parametrize("stub", ["python", "c"])
@pytest.mark.parametrize(("file", "name"), INTERFACES, ids=lambda value: str(value))
def test_every_method_makes_the_round_trip(
    session: qda.Session, file: str, name: str, stub: str, skeleton: str
) -> None:
    """What the caller sends the implementation sees, and what that answers the caller gets."""
    if "c" in (stub, skeleton) and find_compiler() is None:
        pytest.skip("there is no C compiler")
    document, module = document_of(file), module_of(file)
    interface = document.interface(name)
    calls = Calls(interface)
    with ExitStack() as stack:
        if skeleton == "python":
            session.install(in_python(module, interface))
        else:
            made = c_skeleton(document, interface, InC(interface))
            session.loader.install(made, interface.c_name)
        caller: PythonStub | CStub
        if stub == "python":
            caller = PythonStub(module, interface, session)
        else:
            caller = CStub(document, interface, session)
        stack.callback(caller.close)
        for _ in range(CALLS):
            for method in callable_methods(interface):
                caller.call(calls.next(method.name))


def test_the_calls_do_not_all_succeed_whatever_happens(session: qda.Session) -> None:
    """An implementation that expects another call fails, so that the test above can fail."""
    document, module = document_of("calculator.idl"), module_of("calculator.idl")
    interface = document.interface("calculator")
    calls = Calls(interface)
    expected = calls.next("sum")
    others = (calls.next("sum") for _ in range(100))
    other = next(call for call in others if call.values != expected.values)
    session.install(in_python(module, interface))
    with pytest.raises(qda.DspError, match="AssertionError"):
        PythonStub(module, interface, session).call(other)


CAMERA = """
#include "camera.h"
int camera_open(const char *uri, remote_handle64 *h) { *h = uri != 0; return 0; }
int camera_close(remote_handle64 h) { return h != 1; }
int camera_fill(remote_handle64 h, unsigned char value, int t, uint32 offset, uint32 len)
{ (void)h, (void)value, (void)t; return offset == 4096 && len == 100 ? 0 : 3; }
int camera_copy(remote_handle64 h, int s, uint32 so, uint32 sl, int t, uint32 to, uint32 tl,
                unsigned int *bytes)
{ (void)h, (void)s, (void)t, (void)so, (void)to; *bytes = sl + tl; return 0; }
int camera_blend(remote_handle64 h, int a, uint32 ao, uint32 al, short weight, int b, uint32 bo,
                 uint32 bl, int t, uint32 to, uint32 tl)
{ (void)h, (void)a, (void)ao, (void)b, (void)bo, (void)t, (void)to;
  return (int)(al + bl + tl) - weight; }
int camera_digest(remote_handle64 h, const _dmahandle1_t *parts, int n, uint64 *sum)
{ (void)h; *sum = 0; for (int i = 0; i < n; i++) *sum += parts[i].len; return 0; }
int camera_inspect(remote_handle64 h, const frame *one, double *brightness)
{ (void)h; *brightness = one->width * 1000.0 + one->pixels.len; return 0; }
int camera_crop(remote_handle64 h, int s, uint32 so, uint32 sl, const int *window, int n,
                int *bytes)
{ (void)h, (void)s, (void)so; *bytes = (int)sl + window[n - 1]; return 0; }
int camera_signal(remote_handle64 h, boolean oneway, unsigned char ext, int *dma)
{ (void)h, (void)oneway, (void)ext; *dma = 0; return 0; }
"""


@pytest.mark.parametrize("stub", ["python", "c"])
@pytest.mark.parametrize("skeleton", ["python", "c"])
def test_memory_of_the_session_makes_the_round_trip(
    session: qda.Session, stub: str, skeleton: str
) -> None:
    """dmahandles, alone, in sequences and in structures: part of a buffer, with its length."""
    if "c" in (stub, skeleton) and find_compiler() is None:
        pytest.skip("there is no C compiler")
    document, module = document_of("camera.idl"), module_of("camera.idl")
    (interface,) = document.interfaces

    base: Any = module.camera.Skeleton

    class Camera(base):  # type: ignore[misc]
        def fill(self, value: int, target: Any) -> None:
            target.view[:] = bytes([value]) * len(target.view)

        def copy(self, source: Any, target: Any) -> int:
            target.view[: len(source.view)] = source.view
            return len(source.view) + len(target.view)

        def digest(self, parts: Any) -> int:
            return sum(len(part.view) for part in parts)

        def inspect(self, one: Any) -> float:
            return float(one.width * 1000 + len(one.pixels.view))

        def crop(self, source: Any, window: Any) -> int:
            return len(source.view) + int(window[-1])

        blend = signal = never_called

    if skeleton == "python":
        session.install(Camera)
    else:
        session.loader.install(c_skeleton(document, interface, CAMERA), interface.c_name)
    one, two = session.empty(8192, np.uint8), session.empty(8192, np.uint8)
    pixels = one[4096:4196]
    frame = {"width": 3, "height": 2, "name": "x"}
    if stub == "python":
        remote: Any = session.load(module.camera)
        remote.fill(7, pixels)
        assert remote.copy(pixels, two) == 100 + 8192
        assert remote.digest([pixels, two, pixels]) == 8392
        assert remote.inspect(frame | {"pixels": pixels}) == 3100.0
        assert remote.crop(pixels, [1, 5]) == 105
    else:
        transport = SessionTransport(session)
        part, whole = transport.share(one, 4096, 100), transport.share(two)
        caller = Stub(build(document).stub, interface, transport)
        _, handle = caller.open(interface.uri)

        def call(name: str, values: Any, rooms: Any = {}) -> Any:  # noqa: B006
            status, found = caller.call(name, values, rooms, handle=handle)
            assert status == 0
            return found

        call("fill", {"value": 7}, {"target": part})
        assert call("copy", {"source": part}, {"target": whole})["bytes"] == 100 + 8192
        assert call("digest", {"parts": [part, whole, part]})["sum"] == 8392
        assert call("inspect", {"one": frame | {"pixels": part}})["brightness"] == 3100.0
        assert call("crop", {"source": part, "window": [1, 5]})["bytes"] == 105
    if skeleton == "python":
        assert pixels.tolist() == [7] * 100
        assert two[:101].tolist() == [7] * 100 + [0]
