"""The DSP's side finds the same arguments, or the same fault, in C and in Python."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qda.core import Woken, twin
from qda.fastrpc.message import InvokeMessage
from qda.fastrpc.payload import metadata_size
from qda.fastrpc.scalars import Scalars
from tests.core.ends import CLIENT, DEVICE, compiled, connect, needs_compiled

SLOT = 65536
NEAR = DEVICE + SLOT

lengths = st.one_of(st.integers(0, 300), st.integers(0, (1 << 64) - 1))
sizes = st.one_of(st.just(4096), st.integers(0, 8192), st.integers(0, (1 << 64) - 1))


@st.composite
def messages(
    draw: st.DrawFn, handles: Sequence[int] = (5, 6, 1, 0xFFFFFFFF), lowest: int = DEVICE - 4096
) -> tuple[InvokeMessage, bytes]:
    """A message and the metadata in its slot, much of it nonsense.

    `lowest` is the first address on the bus that it may name on purpose.
    """
    addresses = st.one_of(
        st.integers(NEAR, NEAR + SLOT),
        st.integers(lowest, DEVICE + (17 << 20)),
        st.integers(0, (1 << 64) - 1),
    )
    scalars = Scalars(
        2,
        draw(st.integers(0, 3)),
        draw(st.integers(0, 3)),
        draw(st.integers(0, 2)),
        draw(st.integers(0, 2)),
    )
    count = scalars.length
    remote = [draw(addresses if i % 2 == 0 else lengths) for i in range(2 * count)]
    listed = []
    for index in range(count):
        listed.append(draw(st.sampled_from([0, 1, 1, 1, 2])))
        listed.append(draw(st.sampled_from([index, index, 0, 7, 0xFFFFFFFF])))
    pages = [draw(addresses if i % 2 == 0 else sizes) for i in range(2 * count)]
    metadata = struct.pack(f"<{2 * count}Q{2 * count}I{2 * count}Q", *remote, *listed, *pages)
    message = InvokeMessage(
        client_id=draw(st.sampled_from([CLIENT, CLIENT, CLIENT, 0, 8])),
        tid=draw(st.integers(-(1 << 31), (1 << 31) - 1)),
        context=1 << 4,
        handle=draw(st.sampled_from(handles)),
        scalars=scalars.word,
        address=draw(st.one_of(st.just(NEAR), st.just(NEAR), addresses)),
        size=draw(st.sampled_from([4096, 4096, metadata_size(count), metadata_size(count) - 1, 0])),
    )
    return message, metadata


@needs_compiled
@given(st.lists(messages(), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_both_find_the_same(calls: list[tuple[InvokeMessage, bytes]]) -> None:
    """Where each argument lies, byte for byte, or which status refuses them, and in which order
    faults are found."""
    found: list[list[Any]] = []
    for dsp in (twin, compiled):
        seen: list[Any] = []

        def method(
            handle: int, scalars: int, tid: int, arguments: Any, seen: list[Any] = seen
        ) -> int:
            seen.append((handle, scalars, tid, _copied(arguments)))
            return 0

        with connect(twin, dsp, method, 0) as ends:
            ends.memory[SLOT : 2 * SLOT] = bytes(range(256)) * (SLOT // 256)
            for message, metadata in calls:
                ends.memory[SLOT : SLOT + len(metadata)] = metadata
                ends.pool.send(1, message.pack())
                assert ends.pool.wait(1) == Woken.RUNG
        found.append(seen)
    assert found[0] == found[1]


def _copied(arguments: Any) -> Any:
    if isinstance(arguments, int):
        return arguments
    return [_one(argument) for argument in arguments]


def _one(argument: Any) -> Any:
    if isinstance(argument, memoryview):
        return bytes(argument[:300]), len(argument), argument.readonly
    *words, view = argument
    return (*words, view if view is None else _one(view))


@pytest.mark.parametrize("count", [1, 15, 255])
@needs_compiled
def test_as_many_arguments_as_a_call_can_have(count: int) -> None:
    """255 buffers each way, 15 handles each way."""
    handles = min(count, 15)
    scalars = Scalars(2, count, count, handles, handles)
    for dsp in (twin, compiled):
        lengths: list[int] = []

        def method(
            handle: int, scalars: int, tid: int, arguments: Any, lengths: list[int] = lengths
        ) -> int:
            lengths[:] = [len(item) for item in arguments]
            return 0

        with connect(twin, dsp, method, 0) as ends:
            assert ends.call(5, scalars.word, size=SLOT) == 0
        assert lengths == [0] * (2 * count) + [5] * (2 * handles)
