"""The threads that listen, and a DSP that says what it likes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.client.host.listener import ListenerThreads
from qda.client.host.modules import HostModules, Opened
from qda.errors import BAD_STATE
from qda.fastrpc.listener import LISTENER, LISTENER1, MoreAnswer, NextAnswer, NextRequest
from qda.fastrpc.nested import pack_request, unpack_reply
from qda.fastrpc.scalars import Scalars
from tests.client.hosts import (
    AnyModule,
    host_threads,
)


class Dsp:
    """Answers `next2` with given requests, and keeps what the host brings."""

    def __init__(self, requests: Sequence[tuple[NextAnswer, bytes]], more: bytes | None) -> None:
        self.requests, self.more = list(requests), more
        self.results: list[tuple[int, int, bytes]] = []

    def __call__(self, handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        assert handle == LISTENER1.handle
        if method == LISTENER1.init2.method:
            return 0
        if method == LISTENER1.more.method:
            if self.more is None:
                return 14
            outs[0][:4] = MoreAnswer(length=len(self.more)).pack()
            room = outs[1]
            room[: len(self.more)] = self.more[: len(room)]
            return 0
        brought = NextRequest.unpack(ins[0])
        self.results.append((brought.context, brought.result, bytes(ins[1])))
        if not self.requests:
            return BAD_STATE
        answer, stream = self.requests.pop(0)
        outs[0][:] = answer.pack()
        outs[1][: len(stream)] = stream
        return 0


def served(requests: Sequence[tuple[NextAnswer, bytes]], more: bytes | None = None) -> Dsp:
    dsp, modules = Dsp(requests, more), HostModules()
    modules.provide("files", lambda _: Opened(AnyModule(), lambda: None))
    threads = ListenerThreads(dsp, modules, "hostile")
    assert threads.start() == 0
    threads.stop()
    assert "hostile host" not in [one.name for one in host_threads()]
    return dsp


def asks(scalars: Scalars, stream: bytes, handle: int = 0, length: int | None = None) -> Any:
    size = len(stream) if length is None else length
    return NextAnswer(context=9, handle=handle, scalars=scalars.word, length=size), stream


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (asks(Scalars(0, 1), b""), 0xE),
        (asks(Scalars(0, 1), b"\xff\xff\xff\xff"), 0xE),
        (asks(Scalars(0, 0, 2), b"\xff\xff\xff\xff" * 2), 0xE),
        (asks(Scalars(0, 0, 0, 1), b""), 0xE),
        (asks(Scalars(0), b"", length=-1), 0xE),
        (asks(Scalars(0), b"", length=limits.STREAM + 1), 0xE),
        (asks(Scalars(0), b"", length=5000), 0xE),
        (asks(Scalars(0), b"", handle=77), 0x2C),
        (asks(Scalars(9), b""), 0x14),
        (asks(Scalars(0, 2, 2), pack_request([b"", b""], [8, 8])), 0xE),
        (asks(Scalars(0, 2, 2), pack_request([bytes(8), b"no end"], [8, 8])), 0xE),
        (asks(Scalars(1, 1, 2), pack_request([bytes(8)], [0, 8])), 0xE),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_with_an_error(
    request_: tuple[NextAnswer, bytes], status: int
) -> None:
    """And the host goes on."""
    good = asks(Scalars(1, 1, 2), pack_request([bytes(8)], [4, 8]))
    dsp = served([request_, good])
    assert [(context, result) for context, result, _ in dsp.results] == [
        (0, -1),
        (9, status),
        (9, 0),
    ]
    assert len(unpack_reply(dsp.results[-1][2], [4, 8])) == 2


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, 3), st.binary(max_size=80))
def test_any_request_is_answered(word: int, handle: int, stream: bytes) -> None:
    """Whatever the scalars and the bytes are."""
    answer = NextAnswer(context=9, handle=handle, scalars=word, length=len(stream))
    assert len(served([(answer, stream)]).results) == 2


def test_a_dsp_that_has_handle_3_only_is_served_there() -> None:
    """As the C library falls back (7.2)."""
    called = []

    def invoke(handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        called.append((handle, method))
        return 0 if (handle, method) == (3, LISTENER.init2.method) else 0x80000600

    threads = ListenerThreads(invoke, HostModules(), "old")
    assert threads.start() == 0
    threads.stop()
    assert called[:3] == [(7, 5), (3, 3), (3, 4)]
    assert threads.start() == 0  # and nothing runs after the end
    assert "old host" not in [one.name for one in host_threads()]
