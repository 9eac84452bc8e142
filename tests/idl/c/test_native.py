"""Generated C on the virtual device: stubs in C call skeletons in C, through all between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from qda.client import Session
from qda.errors import as_unsigned
from qda.idl import Document, parse
from qda.idl.model import Method
from qda.idl.wire.lifecycle import VERSION_MISMATCH
from tests.idl.native import (
    Implementation,
    SessionTransport,
    Stub,
    build,
    c_skeleton,
    find_compiler,
    install,
)

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")

CALCULATOR = """
#include "remote.idl"
const string IDL_VERSION = "1.2.0";
struct moments { double mean; long long total; };
interface calculator : remote_handle64 {
    long sum(in sequence<long> vec, rout long long res);
    long describe(in sequence<long> vec, rout moments result, inrout string unit);
    long fill(in octet value, rout dmahandle memory);
    long fail(in long status);
};
"""

CALCULATOR_IN_C = r"""
#include "calculator.h"

int calculator_open(const char *uri, remote_handle64 *h)
{
    *h = strlen(uri);
    return 0;
}

int calculator_close(remote_handle64 h)
{
    return h ? 0 : 1;
}

int calculator_sum(remote_handle64 _h, const int *vec, int vecLen, int64 *res)
{
    *res = 0;
    for (int i = 0; i < vecLen; i++)
        *res += vec[i];
    return _h ? 0 : 1;
}

int calculator_describe(remote_handle64 _h, const int *vec, int vecLen, moments *result,
                        char *unit, int unitLen)
{
    calculator_sum(_h, vec, vecLen, &result->total);
    result->mean = vecLen ? (double)result->total / vecLen : 0;
    if (unitLen > 1)
        unit[strlen(unit) - 1] = '!';
    return 0;
}

int calculator_fill(remote_handle64 _h, unsigned char value, int memory, uint32 memoryOffset,
                    uint32 memoryLen)
{
    (void)_h, (void)value;
    return memory > 0 && memoryOffset == 64 && memoryLen == 100 ? 0 : 3;
}

int calculator_fail(remote_handle64 _h, int status)
{
    (void)_h;
    return status;
}
"""

PLAIN = """
interface plain {
    long twice(in sequence<octet> given, rout sequence<octet> result, in string text);
};
"""


@pytest.fixture(scope="module")
def calculator() -> Document:
    return parse(CALCULATOR, name="calculator.idl")


def in_python(
    method: Method, inputs: dict[str, Any], rooms: dict[str, int]
) -> Mapping[str, Any] | int:
    """The same calculator in Python, called by the skeleton in C."""
    if method.name == "open":
        return {"h": len(inputs["uri"])}
    if method.name == "sum":
        return {"res": int(inputs["vec"].sum())}
    if method.name == "describe":
        total = int(inputs["vec"].sum())
        result = {"mean": total / len(inputs["vec"]), "total": total}
        return {"result": result, "unit": inputs["unit"][:-1] + "!"}
    return int(inputs.get("status", 0))


@pytest.mark.parametrize("implementation", [CALCULATOR_IN_C, in_python], ids=["C", "Python"])
def test_a_c_stub_calls_a_c_skeleton_on_the_virtual_device(
    session: Session, calculator: Document, implementation: str | Implementation
) -> None:
    """Open by the URI of the header, sequences, structures, strings, statuses, close."""
    (interface,) = calculator.interfaces
    skeleton = c_skeleton(calculator, interface, implementation)
    install(session, skeleton, calculator.library)
    stub = Stub(build(calculator).stub, interface, SessionTransport(session))
    status, handle = stub.open(interface.uri)
    assert not status
    vec = list(range(-5, 1000))
    assert stub.call("sum", {"vec": vec}, {}, handle=handle) == (0, {"res": sum(vec)})
    values = {"vec": [1, 2], "unit": "kg"}
    assert stub.call("describe", values, {"unit": 8}, handle=handle) == (
        0,
        {"result": {"mean": 1.5, "total": 3}, "unit": "k!"},
    )
    assert stub.call("fail", {"status": 77}, {}, handle=handle) == (77, {})
    assert stub.close(handle) == 0


def test_a_dmahandle_travels_from_c_to_c(session: Session, calculator: Document) -> None:
    """Offset and length arrive; the length was registered, and asked for (idl.md 6.5)."""
    (interface,) = calculator.interfaces
    install(session, c_skeleton(calculator, interface, CALCULATOR_IN_C), calculator.library)
    transport = SessionTransport(session)
    stub = Stub(build(calculator).stub, interface, transport)
    _, handle = stub.open(interface.uri)
    memory = transport.share(session.empty(4096, np.uint8), 64, 100)
    status, _ = stub.call("fill", {"value": 7}, {"memory": memory}, handle=handle)
    assert status == 0
    stub.close(handle)


def test_a_newer_stub_is_refused_by_the_c_skeleton(session: Session, calculator: Document) -> None:
    """The version check is the skeleton's own: AEE_ESTUBSKELVERMISMATCH (idl.md 7)."""
    (interface,) = calculator.interfaces
    install(session, c_skeleton(calculator, interface, CALCULATOR_IN_C), calculator.library)
    stub = Stub(build(calculator).stub, interface, SessionTransport(session))
    status, _ = stub.open(interface.uri.replace("_idlver=1.2.0", "_idlver=1.3.0"))
    assert as_unsigned(status) == VERSION_MISMATCH


def twice(method: Method, inputs: dict[str, Any], rooms: dict[str, int]) -> Mapping[str, Any] | int:
    """The implementation of `plain`, in Python."""
    if rooms["result"] < 2 * len(inputs["given"]):
        return 5
    return {"result": [2 * int(one) % 256 for one in inputs["given"]] * 2}


def test_a_plain_interface_is_opened_by_its_name(session: Session) -> None:
    """Without handles: the stub opens the module at its first call, and once (idl.md 5.4).  The
    implementation behind this skeleton in C is Python, which runs on the DSP."""
    document = parse(PLAIN, name="plain.idl")
    (interface,) = document.interfaces
    transport = SessionTransport(session)
    stub = Stub(build(document).stub, interface, transport)
    install(session, c_skeleton(document, interface, twice), document.library)
    values = {"given": b"abc", "text": "x"}
    for _ in range(2):
        status, results = stub.call("twice", values, {"result": 6})
        assert (status, bytes(results["result"])) == (0, bytes([194, 196, 198] * 2))
    assert stub.call("twice", values, {"result": 5})[0] == 5
    assert len(transport.opened) == 1


def test_without_a_module_each_call_says_so(session: Session) -> None:
    """A stub that cannot open its module returns AEE_EINVHANDLE (idl.md 5.4)."""
    document = parse(PLAIN, name="plain.idl")
    (interface,) = document.interfaces
    stub = Stub(build(document).stub, interface, SessionTransport(session))
    values = {"given": b"abc", "text": "x"}
    assert stub.call("twice", values, {"result": 6})[0] == 0x2C
