"""Modules that come with a process: a method is found by its complete scalars, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.dsp.builtin import BuiltIn, Domain, handles, put, put_record, put_text, read
from qda.dsp.process import Process
from qda.errors import BAD_PARAMETER, UNSUPPORTED, StatusError
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import Response
from qda.fastrpc.scalars import Scalars

NOBODY = cast(Domain, None)
"""The module below asks its domain for nothing."""


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """A protection domain without sessions."""
    found = Process(ProtectionDomain.USER, "cdsp", {}, window=1 << 20)
    yield found
    found.end()


class Example(BuiltIn, name="example"):
    """One method under two scalars, one with a status."""

    @handles(Scalars(0, 1, 1), Scalars(2, 1, 1))
    def copy(self, source: memoryview, target: memoryview) -> None:
        target[:] = source

    @handles(Scalars(1))
    def refuse(self) -> int:
        return 7


@pytest.mark.parametrize("first", [0, 2, -2])
def test_a_table_serves_at_every_handle(first: int) -> None:
    """With numbers that much higher, and the same arguments (1.3)."""
    module, target = Example(NOBODY, first), bytearray(1)
    for number in (0, 2):
        call = Scalars(number + first, 1, 1)
        assert module.invoke(call, [memoryview(b"x"), memoryview(target)]) == 0
    assert target == b"x"
    assert module.invoke(Scalars(1 + first), []) == 7


@pytest.mark.parametrize(
    "scalars",
    [Scalars(0), Scalars(0, 2), Scalars(0, 1, 2), Scalars(0, 1, 1, 1), Scalars(0, 1, 1, 0, 0, 1)],
)
def test_a_call_of_another_shape_runs_no_method(scalars: Scalars) -> None:
    """It is as unknown as another number."""
    with pytest.raises(StatusError, match="example has no") as caught:
        Example(NOBODY).invoke(scalars, [memoryview(b"x")] * scalars.length)
    assert caught.value.status == UNSUPPORTED


@given(
    st.sampled_from(Fixed),
    st.builds(
        Scalars,
        st.integers(0, 31),
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 1),
        st.integers(0, 1),
    ),
)
def test_a_fixed_module_answers_any_shape_with_a_status(
    process: Process, handle: Fixed, scalars: Scalars
) -> None:
    """Empty buffers are too short for every record; no method of ours fails."""
    module = process.modules.find(handle, 0)
    with suppress(StatusError):  # anything else would be "the method failed"
        module.invoke(scalars, [memoryview(bytearray())] * scalars.length)


def test_a_record_needs_its_bytes_and_a_text_takes_what_there_is() -> None:
    """In both directions."""
    record = Response(context=1, result=2)
    room = memoryview(bytearray(16))
    put_record(room, record)
    assert read(Response, room) == record
    for use in (lambda: read(Response, room[:15]), lambda: put_record(room[:15], record)):
        with pytest.raises(StatusError) as caught:
            use()
        assert caught.value.status == BAD_PARAMETER
    put(room[:3], b"abcdef")
    assert bytes(room[:4]) == b"abc\0"
    put_text(room[:4], "wörter")
    assert bytes(room[:4]) == "wö".encode() + b"\0"
    put_text(room[:0], "nothing")
