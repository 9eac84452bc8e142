"""Call vectors of interfaces: both directions through the marshaller.

`call`: the stub's buffers are those of compiled stubs, the skeleton sees what compiled skeletons
saw, its reply has the same bytes, and the stub reads the same results from it.  `skel_request`:
hand-made requests to the skeleton have the recorded outcome.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any

import numpy as np

from qda.errors import DSP_OFFSET, as_unsigned
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.skeleton import CLOSE
from qda.idl import parse
from qda.idl.model import Direction
from qda.idl.types import Array, DmaHandle, Sequence, String, Struct, Type
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.lifecycle import check_version, opened_uri
from qda.idl.wire.nodes import Dma
from qda.idl.wire.records import MarshalError
from qda.idl.wire.values import dtype_of
from tests.vectors.packing import Failures, _differ

Case = dict[str, Any]

_ROOT = """interface remote_handle64 {
    long open(in string uri, rout remote_handle64 h);
    long close(in remote_handle64 h);
};
"""


_IDL_VERSION = re.compile(r'IDL_VERSION = "([^"]*)"')


_VERSIONS = {"ggmlop": "0.0.1"}
"""Versions that vector files do not repeat; spec/idl.md 13.2 has them."""


class ImplementationFails(Exception):
    """The vector's implementation returns an error."""


def interface_text(data: Case) -> str:
    """The IDL of a vector file: its types, and its methods at their indexes.

    Methods that the file does not have leave gaps, which are filled.
    """
    methods = {entry["index"]: entry["idl"] for entry in data["methods"]}
    first = 2 if data["root_base"] else 0
    last = max(methods, default=first - 1)
    lines = [methods.get(index, f"long gap_{index}();") for index in range(first, last + 1)]
    base = f" : {data['root_base']}" if data["root_base"] else ""
    body = "\n".join([*data["idl_types_in_interface"], *lines]) or "long nothing();"
    root = _ROOT if data["root_base"] else ""
    types = "\n".join(data["idl_types"])
    return f"{root}{types}\ninterface {data['interface']}{base} {{\n{body}\n}};\n"


@lru_cache(maxsize=64)
def _codec(text: str, name: str) -> InterfaceCodec:
    document = parse(text)
    return InterfaceCodec(next(one for one in document.interfaces if one.name == name))


def checks_of(data: Case) -> dict[str, Callable[[], Failures]]:
    """A check for each call and request of a file, by case id; none for other files."""
    if "interface" not in data:
        return {}
    text = interface_text(data)
    kinds: dict[str, Callable[[Case], Failures]] = {
        "call": partial(check_call, text),
        "skel_request": partial(check_request, text),
        "skel_lifecycle": partial(check_lifecycle, data),
    }
    return {
        case["id"]: partial(kinds[case["kind"]], case)
        for case in data["vectors"]
        if case["kind"] in kinds
    }


def check_call(text: str, case: Case) -> Failures:
    """One call through stub and skeleton."""
    interface = _codec(text, case["interface"])
    codec = interface.method(case["method_index"])
    values, rooms = arguments(codec, case["inputs"])
    call = codec.pack(values, rooms)
    yield from _differ("scalars", hex(call.scalars.word), hex(int(case["sc"], 16)))
    found = [bytes(memoryview(buffer).cast("B")) if len(buffer) else b"" for buffer in call.ins]
    wanted = [bytes.fromhex(buffer) for buffer in case["in_bufs"]]
    masks = case.get("in_masks", {})
    yield from _differ("in-buffers", masked(found, masks), masked(wanted, masks))
    sizes = [_bytes_in(buffer) for buffer in call.outs]
    yield from _differ("out-buffer sizes", sizes, case["out_buf_sizes"])
    for name, handles in (("in_handles", call.in_handles), ("out_handles", call.out_handles)):
        seen = [{"fd": handle.fd, "offset": handle.offset} for handle in handles]
        yield from _differ(name, seen, case.get(name, []))
    lengths = dict(case.get("dma_registrations", []))
    registered = [[handle.fd, handle.length] for handle in (*call.in_handles, *call.out_handles)]
    recorded = sorted(case.get("dma_registrations", []))
    yield from _differ("registrations", sorted(registered), recorded)
    yield from _check_skeleton(interface, codec, case, wanted, lengths)
    yield from _check_results(codec, case, call)


def _check_skeleton(
    interface: InterfaceCodec,
    codec: MethodCodec,
    case: Case,
    ins: list[bytes],
    lengths: Mapping[int, int],
) -> Failures:
    seen: dict[str, Any] = {}

    def run(inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
        seen["inputs"], seen["targets"] = inputs, targets
        results = results_of(codec, case["server_sets"])
        if case["reply_rc"]:
            raise ImplementationFails
        return results

    outs = [bytearray(size) for size in case["out_buf_sizes"]]
    in_handles, out_handles = (
        [Dma(h["fd"], h["offset"], lengths.get(h["fd"], 0)) for h in case.get(name, [])]
        for name in ("in_handles", "out_handles")
    )
    scalars = Scalars.decode(int(case["sc"], 16))
    views = [memoryview(buffer) for buffer in ins]
    yield from _differ("method found", interface.requested(scalars, views), codec)
    with suppress(ImplementationFails):
        targets = [memoryview(out) for out in outs]
        codec.serve(scalars, views, targets, in_handles, out_handles, run)
    if "inputs" not in seen:
        yield "the implementation was not called"
        return
    for parameter in codec.method.parameters:
        name = parameter.name
        if parameter.direction.goes_in:
            value = plain(parameter.type, seen["inputs"][name])
            wanted = case["server_sees"][name]
            if has_handle(parameter.type):
                # Compiled skeletons drop the simple members of such a structure; ours do not.
                wanted = with_members_of(wanted, case["inputs"][name])
            if isinstance(wanted, dict) and set(wanted) == {"value", "cap"}:
                wanted = wanted["value"]
            yield from same(f"{name} at the skeleton", value, expected(parameter.type, wanted))
    if not case["reply_rc"]:
        replies = [bytes(out).hex() for out in outs]
        yield from _differ("reply", replies, case["reply_out_bufs"])


def has_handle(kind: Type) -> bool:
    resolved = kind.resolved
    return isinstance(resolved, Struct) and any(
        isinstance(member.type.resolved, DmaHandle) for member in resolved.members
    )


def with_members_of(seen: Case, sent: Case) -> Case:
    """What was sent, after a check that what was recorded is that or nothing."""
    for name, value in seen.items():
        assert value in (sent[name], 0)
    return sent


def _check_results(codec: MethodCodec, case: Case, call: Any) -> Failures:
    if case["rc"]:
        return
    for buffer, reply in zip(call.outs, case["reply_out_bufs"], strict=True):
        if reply:
            memoryview(buffer).cast("B")[:] = bytes.fromhex(reply)
    outputs = codec.unpack(call)
    for parameter in codec.method.parameters:
        if parameter.direction.comes_out and parameter.name in case["outputs"]:
            value = plain(parameter.type, outputs[parameter.name])
            wanted = expected(parameter.type, case["outputs"][parameter.name])
            yield from same(f"{parameter.name} at the stub", value, wanted)


def check_request(text: str, case: Case) -> Failures:
    """One hand-made request to a skeleton whose implementation returns 0 and sets nothing."""
    interface = _codec(text, case["interface"])
    scalars = Scalars.decode(int(case["sc"], 16))
    ins = [memoryview(bytes.fromhex(buffer)) for buffer in case["in_bufs"]]
    outs = [memoryview(bytearray(size)) for size in case["out_buf_sizes"]]
    called = False

    def run(inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
        nonlocal called
        called = True
        return {}

    status = 0
    try:
        codec = interface.requested(scalars, ins)
        handles = [Dma(7, 0, 4096)] * scalars.in_handles, [Dma(7, 0, 4096)] * scalars.out_handles
        codec.serve(scalars, ins, outs, *handles, run)
    except MarshalError as error:
        status = as_unsigned(error.status) & ~DSP_OFFSET  # recorded where the offset is 0
    wanted = case.get("reply_rc_newer_generator", case["reply_rc"])
    yield from _differ("reply_rc", status, wanted)
    yield from _differ("implementation called", called, wanted == 0)


def check_lifecycle(data: Case, case: Case) -> Failures:
    """Opening or closing a handle64 skeleton, with a version check where the file has one."""
    scalars = Scalars.decode(int(case["sc"], 16))
    ins = [bytes.fromhex(buffer) for buffer in case["in_bufs"]]
    declared = (_IDL_VERSION.search(text) for text in data["idl_types"])
    version = next(
        (found.group(1) for found in declared if found), _VERSIONS.get(data["interface"])
    )
    status, called = 0, False
    try:
        if case["case"].startswith("open"):
            uri = opened_uri(scalars, ins)
            if version is not None:
                check_version(uri, version)
            yield from _differ("URI", uri, case.get("open_sees_uri"))
        elif scalars != CLOSE:
            raise MarshalError(f"{scalars} does not close a skeleton")
        called, status = True, case["implementation_rc"]
    except MarshalError as error:
        status = as_unsigned(error.status) & ~DSP_OFFSET
    yield from _differ("reply_rc", status, case["reply_rc"])
    yield from _differ("implementation called", called, case["implementation_called"])


# --- values -----------------------------------------------------------------------------------


def arguments(codec: MethodCodec, inputs: Case) -> tuple[Case, Case]:
    values, rooms = {}, {}
    for parameter in codec.method.parameters:
        given = inputs.get(parameter.name)
        if parameter.direction is Direction.INROUT and isinstance(given, dict) and "cap" in given:
            values[parameter.name] = _value(parameter.type, given["value"])
            rooms[parameter.name] = given["cap"]
        elif parameter.direction.goes_in:
            values[parameter.name] = _value(parameter.type, given)
        else:
            rooms[parameter.name] = _room(given)
    return values, rooms


def _value(kind: Type, given: Any) -> Any:
    """A vector's value as an argument of the marshaller."""
    resolved = kind.resolved
    if isinstance(given, dict) and set(given) == {"hex"}:
        return bytes.fromhex(given["hex"])
    if isinstance(resolved, String) and isinstance(given, str):
        return given if resolved.wide else given.encode("latin-1")
    if isinstance(resolved, Sequence) and isinstance(given, list):
        return [_value(resolved.element, item) for item in given]
    if isinstance(resolved, Struct) and isinstance(given, dict):
        return {m.name: _value(m.type, given[m.name]) for m in resolved.members if m.name in given}
    if isinstance(given, dict) and "fd" in given:
        return Dma(given["fd"], given["offset"], given.get("len", 0))
    return given


def _room(given: Any) -> Any:
    if isinstance(given, dict):
        if set(given) == {"cap"}:
            return given["cap"]
        if "fd" in given:
            return Dma(given["fd"], given["offset"], given.get("len", 0))
        return {name: _room(item) for name, item in given.items()}
    if isinstance(given, list):
        return [_room(item) for item in given]
    return given


def results_of(codec: MethodCodec, given: Case) -> Case:
    kinds = {parameter.name: parameter for parameter in codec.method.parameters}
    return {name: _value(kinds[name].type, value) for name, value in given.items() if name in kinds}


def plain(kind: Type, value: Any) -> Any:
    """A value of the marshaller as lists, numbers, dictionaries and bytes."""
    resolved = kind.resolved
    if isinstance(resolved, String) and isinstance(value, str):
        coding = ("utf-16-le", "surrogatepass") if resolved.wide else ("utf-8", "surrogateescape")
        return value.encode(*coding)
    if isinstance(value, np.ndarray):
        assert isinstance(resolved, Sequence | Array)
        return [plain(resolved.element, item) for item in value]
    if isinstance(value, np.void):
        assert isinstance(resolved, Struct)
        return {m.name: plain(m.type, value[m.name]) for m in resolved.members}
    if isinstance(resolved, Array):
        return [plain(resolved.element, item) for item in value]
    if isinstance(resolved, Sequence):
        return [plain(resolved.element, item) for item in value]
    if isinstance(resolved, Struct):
        return {m.name: plain(m.type, value[m.name]) for m in resolved.members}
    if isinstance(value, Dma):
        return value._asdict()
    return value.item() if isinstance(value, np.generic) else value


def expected(kind: Type, given: Any) -> Any:
    """A vector's value in the same form."""
    resolved = kind.resolved
    if isinstance(given, dict) and set(given) == {"hex"}:
        element = resolved.element if isinstance(resolved, Sequence | Array) else kind
        return np.frombuffer(bytes.fromhex(given["hex"]), dtype_of(element)).tolist()
    if isinstance(resolved, String) and isinstance(given, str):
        return given.encode(*(("utf-16-le", "surrogatepass") if resolved.wide else ("latin-1",)))
    if isinstance(resolved, Sequence | Array) and isinstance(given, list):
        return [expected(resolved.element, item) for item in given]
    if isinstance(resolved, Struct):
        return {m.name: expected(m.type, given[m.name]) for m in resolved.members}
    if isinstance(given, dict) and "fd" in given:
        return {"fd": given["fd"], "offset": given["offset"], "length": given.get("len", 0)}
    return given


def same(what: str, found: Any, wanted: Any) -> Failures:
    if not _equal(found, wanted):
        yield from _differ(what, found, wanted)


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_equal, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)
    if isinstance(one, float) and isinstance(two, float) and math.isnan(one):
        return math.isnan(two)
    return bool(one == two)


def _bytes_in(buffer: Any) -> int:
    return memoryview(buffer).nbytes


def masked(buffers: list[bytes], masks: Mapping[str, str]) -> list[str]:
    shown = []
    for index, buffer in enumerate(buffers):
        mask = bytes.fromhex(masks[str(index)]) if str(index) in masks else b"\xff" * len(buffer)
        shown.append(bytes(b & m for b, m in zip(buffer, mask, strict=False)).hex())
    return shown
