"""The same vectors through generated C: see `idl_calls`, which sends them through Python.

`call`: the stub passes the recorded buffers to the client library, and returns the recorded
results when that answers as recorded; the skeleton gives the implementation what was recorded, and
has the recorded reply.  `skel_request` and `skel_lifecycle` go to the skeleton.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from qda.errors import as_unsigned
from qda.fastrpc.scalars import Scalars
from qda.idl import Document, parse
from qda.idl.model import Interface, Method
from qda.idl.wire.calls import InterfaceCodec
from qda.idl.wire.nodes import Dma
from tests.idl.native import (
    BuildError,
    Libraries,
    Request,
    SkeletonLibrary,
    Stub,
    build,
    build_all,
    find_compiler,
)
from tests.idl.native.skeleton import Implementation, dma_word
from tests.vectors import idl_calls
from tests.vectors.packing import Failures, _differ

__all__ = ["Bench", "checks_of", "prepare"]

Case = dict[str, Any]

_HANDLE = 0x1234_5678_9ABC_DEF0
_OPENED = 0x0BAD_CAFE
_DMA = Dma(7, 0, 4096)
"""What stands in handle slots of hand-made requests."""


def checks_of(bench: Bench) -> dict[str, Callable[[], Failures]]:
    """A check for each call and request of a file, by case id; none for other files."""
    kinds: dict[str, Callable[[Bench, Case], Failures]] = {
        "call": check_call,
        "skel_request": check_request,
        "skel_lifecycle": check_lifecycle,
    }
    return {
        case["id"]: partial(_guarded, kinds[case["kind"]], bench, case)
        for case in bench.data["vectors"]
        if case["kind"] in kinds
    }


def prepare(benches: Sequence[Bench], progress: Callable[[int, int], object] | None = None) -> None:
    """Compile what several files need, at once; `progress` gets the numbers done and of all."""
    build_all([partial(getattr, bench, "libraries") for bench in benches], progress)


class Bench:
    """The libraries of a file, with a client library and an implementation that cases replace."""

    def __init__(self, data: Case) -> None:
        self.data = data
        self.recorder = _Recorder()
        self.run: Implementation = lambda *_: 0
        self._failure: BuildError | None = None

    @classmethod
    def of(cls, data: Case) -> Bench | None:
        """The bench of a file of calls; None for other files, and without a compiler."""
        return cls(data) if "interface" in data and find_compiler() else None

    @cached_property
    def document(self) -> Document:
        text = idl_calls.interface_text(self.data)
        version = idl_calls._VERSIONS.get(self.data["interface"])
        if version and "IDL_VERSION" not in text:
            text = f'const string IDL_VERSION = "{version}";\n{text}'
        return parse(text, name=f"{self.data['interface']}.idl")

    @cached_property
    def interface(self) -> Interface:
        return next(one for one in self.document.interfaces if one.name == self.data["interface"])

    @property
    def static_handle(self) -> int | None:
        """The number that stubs call without opening anything (idl.md 5.4)."""
        handle = self.data.get("handle") or {}
        return None if self.interface.is_handle64 else handle.get("value")

    @cached_property
    def libraries(self) -> Libraries:
        """What is compiled.  BuildError, again and again once there has been one."""
        if self._failure is None:
            number = self.static_handle
            macro = f"_const_{self.interface.c_name}_handle"
            try:
                return build(self.document, defines={} if number is None else {macro: str(number)})
            except BuildError as error:
                self._failure = error
        raise self._failure

    @cached_property
    def codec(self) -> InterfaceCodec:
        return InterfaceCodec(self.interface)

    @cached_property
    def stub(self) -> Stub:
        return Stub(self.libraries.stub, self.interface, self.recorder)

    @cached_property
    def skeleton(self) -> SkeletonLibrary:
        def run(method: Method, inputs: Case, rooms: dict[str, int]) -> Mapping[str, Any] | int:
            return self.run(method, inputs, rooms)

        return SkeletonLibrary(self.libraries.skel, self.interface, run)

    def serve(self, run: Implementation, request: Request, lengths: Mapping[int, int]) -> int:
        """Let the skeleton serve a request with an implementation; returns its status."""
        self.run = run
        return as_unsigned(self.skeleton.serve(request, lengths))


class _Recorder:
    """A client library that notes what a stub does, and answers as recorded."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.calls: list[Case] = []
        self.registered: list[list[int]] = []
        self._status, self._reply = 0, [""]

    def begin(self, status: int, reply: list[str]) -> None:
        """Forget the last call, and get an answer for the next one."""
        self.calls, self.registered = [], []
        self._status, self._reply = status, reply

    def open(self, name: str, handle64: bool) -> tuple[int, int]:
        assert not handle64
        self.opened.append(name)
        return 0, _OPENED

    def close(self, handle: int) -> int:
        raise AssertionError(f"the stub closes {handle:#x}")

    def register(self, fd: int, length: int) -> int:
        self.registered.append([fd, length])
        return 0

    def invoke(self, handle: int, scalars: Scalars, arguments: list[Any], descriptor: int) -> int:
        ins, rest = arguments[: scalars.in_buffers], arguments[scalars.in_buffers :]
        outs, handles = rest[: scalars.out_buffers], rest[scalars.out_buffers :]
        found = [_dma(one.handle) for one in handles]
        self.calls.append(
            {
                "handle": handle,
                "descriptor": descriptor,
                "sc": hex(scalars.word),
                "in_bufs": [_bytes_at(one.buffer) for one in ins],
                "out_buf_sizes": [one.buffer.length for one in outs],
                "in_handles": found[: scalars.in_handles],
                "out_handles": found[scalars.in_handles :],
            }
        )
        if not self._status:
            for one, reply in zip(outs, self._reply, strict=True):
                data = bytes.fromhex(reply)
                if len(data) == one.buffer.length and data:
                    ctypes.memmove(one.buffer.pv, data, len(data))
        return self._status


def _bytes_at(buffer: Any) -> bytes:
    return ctypes.string_at(buffer.pv, buffer.length) if buffer.length else b""


def _dma(word: int) -> dict[str, int]:
    return {"fd": ctypes.c_int32(word & 0xFFFFFFFF).value, "offset": word >> 32}


def _guarded(check: Callable[[Bench, Case], Failures], bench: Bench, case: Case) -> Failures:
    """A check, in which C that does not compile is a failure like any other."""
    try:
        yield from check(bench, case)
    except BuildError as error:
        yield str(error)


def check_call(bench: Bench, case: Case) -> Failures:
    """One call through stub and skeleton."""
    yield from _check_stub(bench, case)
    yield from _check_skeleton(bench, case)


def _check_stub(bench: Bench, case: Case) -> Failures:
    codec = bench.codec.method(case["method_index"])
    values, rooms = idl_calls.arguments(codec, case["inputs"])
    descriptor = (ctypes.c_uint64 * 8)()
    address = ctypes.addressof(descriptor) if codec.method.asynchronous else 0
    recorder = bench.recorder
    recorder.begin(case["reply_rc"], case["reply_out_bufs"])
    status, outputs = bench.stub.call(
        codec.method.name, values, rooms, handle=_HANDLE, descriptor=address
    )
    yield from _differ("calls of the client library", len(recorder.calls), 1)
    if not recorder.calls:
        return
    seen = recorder.calls[0]
    static = bench.static_handle
    handle = _HANDLE if bench.interface.is_handle64 else _OPENED if static is None else static
    yield from _differ("handle", seen["handle"], handle)
    yield from _differ("descriptor", seen["descriptor"], address)
    if handle == _OPENED:
        yield from _differ("opened by name", recorder.opened, [bench.interface.c_name])
    yield from _differ("scalars", seen["sc"], hex(int(case["sc"], 16)))
    masks = case.get("in_masks", {})
    wanted = [bytes.fromhex(buffer) for buffer in case["in_bufs"]]
    found, wanted_shown = (idl_calls.masked(b, masks) for b in (seen["in_bufs"], wanted))
    yield from _differ("in-buffers", found, wanted_shown)
    yield from _differ("out-buffer sizes", seen["out_buf_sizes"], case["out_buf_sizes"])
    for name in ("in_handles", "out_handles"):
        yield from _differ(name, seen[name], case.get(name, []))
    yield from _differ("registrations", recorder.registered, case.get("dma_registrations", []))
    yield from _differ("rc", as_unsigned(status), as_unsigned(case["rc"]))
    if case["rc"]:
        return
    for parameter in codec.method.parameters:
        name = parameter.name
        if parameter.direction.comes_out and name in case["outputs"]:
            value = idl_calls.plain(parameter.type, outputs[name])
            expected = idl_calls.expected(parameter.type, case["outputs"][name])
            yield from idl_calls.same(f"{name} at the stub", value, expected)


def _check_skeleton(bench: Bench, case: Case) -> Failures:
    codec = bench.codec.method(case["method_index"])
    seen: dict[str, Any] = {}

    def run(method: Method, inputs: Case, rooms: dict[str, int]) -> Mapping[str, Any] | int:
        seen["method"], seen["inputs"], seen["rooms"] = method, inputs, rooms
        if case["reply_rc"]:
            return int(case["reply_rc"])
        return idl_calls.results_of(codec, case["server_sets"])

    request = Request(
        Scalars.decode(int(case["sc"], 16)),
        [bytes.fromhex(buffer) for buffer in case["in_bufs"]],
        [bytearray(size) for size in case["out_buf_sizes"]],
        _words(case.get("in_handles", [])),
        _words(case.get("out_handles", [])),
        handle=_HANDLE,
    )
    status = bench.serve(run, request, dict(case.get("dma_registrations", [])))
    yield from _differ("reply_rc", status, as_unsigned(case["reply_rc"]))
    if not seen:
        yield "the implementation was not called"
        return
    yield from _differ("method found", seen["method"].name, codec.method.name)
    if bench.interface.is_handle64:
        yield from _differ("_h", seen["inputs"]["_h"], _HANDLE)
    for parameter in codec.method.parameters:
        name = parameter.name
        wanted = case["server_sees"].get(name)
        if name in seen["rooms"] and f"{name}#cap" in case["server_sees"]:
            cap = case["server_sees"][f"{name}#cap"]
            yield from _differ(f"room for {name}", seen["rooms"][name], cap)
        if isinstance(wanted, dict) and set(wanted) == {"value", "cap"}:
            yield from _differ(f"room for {name}", seen["rooms"][name], wanted["cap"])
            wanted = wanted["value"]
        if name not in seen["inputs"]:
            continue
        if wanted is None:  # rout dmahandles, which the recording has as a result only
            wanted = case["inputs"][name]
        if idl_calls.has_handle(parameter.type):
            # Compiled skeletons drop the simple members of such a structure; ours do not.
            wanted = idl_calls.with_members_of(wanted, case["inputs"][name])
        value = idl_calls.plain(parameter.type, seen["inputs"][name])
        expected = idl_calls.expected(parameter.type, wanted)
        yield from idl_calls.same(f"{name} at the skeleton", value, expected)
    if not case["reply_rc"]:
        replies = [bytes(out).hex() for out in request.outs]
        yield from _differ("reply", replies, case["reply_out_bufs"])


def _words(handles: list[Case]) -> list[int]:
    return [dma_word(Dma(**handle)) for handle in handles]


def check_request(bench: Bench, case: Case) -> Failures:
    """One hand-made request to a skeleton whose implementation returns 0 and sets nothing."""
    scalars = Scalars.decode(int(case["sc"], 16))
    called = False

    def run(method: Method, inputs: Case, rooms: dict[str, int]) -> int:
        nonlocal called
        called = True
        return 0

    request = Request(
        scalars,
        [bytes.fromhex(buffer) for buffer in case["in_bufs"]],
        [bytearray(size) for size in case["out_buf_sizes"]],
        [dma_word(_DMA)] * scalars.in_handles,
        [dma_word(_DMA)] * scalars.out_handles,
        handle=_HANDLE,
    )
    status = bench.serve(run, request, {_DMA.fd: _DMA.length})
    wanted = case.get("reply_rc_newer_generator", case["reply_rc"])
    yield from _differ("reply_rc", status, wanted)
    yield from _differ("implementation called", called, wanted == 0)


def check_lifecycle(bench: Bench, case: Case) -> Failures:
    """Opening or closing a handle64 skeleton, with a version check where the file has one."""
    seen: dict[str, Any] = {}

    def run(method: Method, inputs: Case, rooms: dict[str, int]) -> Mapping[str, Any] | int:
        seen.update(inputs)
        if case["implementation_rc"] or method.index:
            return int(case["implementation_rc"])
        return {"h": int(case["open_sets_handle"], 16)}

    request = Request(
        Scalars.decode(int(case["sc"], 16)),
        [bytes.fromhex(buffer) for buffer in case["in_bufs"]],
        [bytearray(size) for size in case["out_buf_sizes"]],
        [int(handle, 16) for handle in case["in_handles"]],
        [0] * case["out_handle_count"],
        handle=int(case["module_handle_on_entry"], 16),
    )
    status = bench.serve(run, request, {})
    yield from _differ("reply_rc", status, as_unsigned(case["reply_rc"]))
    yield from _differ("implementation called", bool(seen), case["implementation_called"])
    if "open_sees_uri" in case:
        yield from _differ("URI", seen.get("uri"), case["open_sees_uri"])
    if "close_sees_handle" in case:
        yield from _differ("handle", seen.get("h"), int(case["close_sees_handle"], 16))
    if "out_handles" in case:
        wanted = [int(handle, 16) for handle in case["out_handles"]]
        yield from _differ("out-handles", request.out_handles, wanted)
