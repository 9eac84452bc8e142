"""Poll mode: SET_OPTION of the older driver since 7.3 (spec/versions.md 6)."""

from __future__ import annotations

import struct
from errno import EINVAL

import pytest

from qda.conformance.interface import OpenNode, call, inline, invoke
from qda.conformance.memory import Memory
from qda.conformance.skeletons import Probe
from qda.fastrpc.handles import Fixed

pytestmark = pytest.mark.dialects("legacy-7.3", why="there is no SET_OPTION")

POLL_MODE = 1


def set_option(node: OpenNode, request: int, value: int, reserved: bytes = bytes(24)) -> int:
    asked = {"request_id": request, "value": value}
    return int(call(node, "SET_OPTION", reserved=reserved, **asked)[0])


@pytest.mark.parametrize("request_id", [0, 2, 0xFFFFFFFF])
def test_any_other_option_is_einval(node: OpenNode, request_id: int) -> None:
    assert set_option(node, request_id, 1) == -EINVAL


@pytest.mark.parametrize("value", [2, 0xFFFFFFFF])
def test_poll_mode_is_on_or_off(node: OpenNode, value: int) -> None:
    assert set_option(node, POLL_MODE, value) == -EINVAL


@pytest.mark.parametrize("place", [0, 11, 23])
def test_what_is_reserved_must_be_0(node: OpenNode, place: int) -> None:
    reserved = bytearray(24)
    reserved[place] = 0x80
    assert set_option(node, POLL_MODE, 1, bytes(reserved)) == -EINVAL


def test_poll_mode_needs_no_session(node: OpenNode) -> None:
    assert [set_option(node, POLL_MODE, value) for value in (1, 1, 0)] == [0, 0, 0]


def test_poll_mode_changes_no_result(session_node: OpenNode, probe: int) -> None:
    """It may be switched between calls, and a refused switch changes nothing."""
    for value in (1, 1, 0, 1, 0, 0):
        assert set_option(session_node, POLL_MODE, value) == 0
        source, room = Memory(b"some words"), Memory(10)
        assert invoke(session_node, probe, Probe.ECHO, [inline(source)], [inline(room)]) == 0
        assert room.content == b"some words"
        assert set_option(session_node, POLL_MODE, 7) == -EINVAL


def test_a_client_may_tell_the_dsp_too(session_node: OpenNode) -> None:
    """Spec 6.7: the C library does, by a module of the process."""
    session_node.target.require_virtual("a DSP decides itself what it takes")
    asked = struct.pack("<II", 1, 10_000)
    assert invoke(session_node, Fixed.CURRENT_PROCESS1, 9, [inline(Memory(asked))]) == 0
