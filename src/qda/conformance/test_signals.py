"""Signals of vendors' kernels (spec/dspqueue.md): numbers on which a program waits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from errno import EBUSY, EINTR, EINVAL, ENODEV, ENOENT, ETIMEDOUT

import pytest

from qda.conformance.interface import OpenNode, call
from qda.uapi.legacy import FOR_EVER

pytestmark = pytest.mark.dialects("legacy-signals", why="there are no signals")

USES = "DESTROY", "WAIT", "CANCEL_WAIT"


def ask(node: OpenNode, what: str, number: int, **more: int) -> int:
    return int(call(node, f"DSPSIGNAL_{what}", number=number, **more)[0])


def test_a_signal_is_created_once(session_node: OpenNode) -> None:
    assert ask(session_node, "CREATE", 1023) == 0
    assert ask(session_node, "CREATE", 1023) == -EBUSY
    assert ask(session_node, "DESTROY", 1023) == 0
    assert ask(session_node, "CREATE", 1023) == 0


@pytest.mark.parametrize("what", ["CREATE", "SIGNAL", *USES])
def test_there_are_1024(session_node: OpenNode, what: str) -> None:
    assert ask(session_node, what, 1024) == -EINVAL


@pytest.mark.parametrize("what", USES)
def test_what_was_not_created_is_enoent(session_node: OpenNode, what: str) -> None:
    assert ask(session_node, what, 7) == -ENOENT


def test_any_may_be_sent(session_node: OpenNode) -> None:
    assert ask(session_node, "SIGNAL", 1000) == 0


def test_a_wait_has_its_time(session_node: OpenNode) -> None:
    assert ask(session_node, "CREATE", 2) == 0
    assert ask(session_node, "WAIT", 2, timeout=0) == -ETIMEDOUT
    assert ask(session_node, "WAIT", 2, timeout=2000) == -ETIMEDOUT


@pytest.mark.parametrize("end", ["CANCEL_WAIT", "DESTROY"])
def test_a_wait_is_ended(session_node: OpenNode, end: str) -> None:
    """One that is cancelled stays so until it is destroyed."""
    assert ask(session_node, "CREATE", 3) == 0
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, session_node, "WAIT", 3, timeout=FOR_EVER)
        assert ask(session_node, end, 3) == 0
        assert waiting.result() in ((-EINTR,) if end == "CANCEL_WAIT" else (-EINTR, -ENOENT))
    after = -EINTR if end == "CANCEL_WAIT" else -ENOENT
    assert ask(session_node, "WAIT", 3, timeout=FOR_EVER) == after


def test_without_a_session_there_are_none(node: OpenNode) -> None:
    assert ask(node, "CREATE", 1) == -ENODEV


def test_the_driver_says_that_it_has_them(node: OpenNode) -> None:
    for attribute, has in ((130, 1), (258, 0), (259, 1)):
        status, answer = call(node, "GET_DSP_INFO", attribute_id=attribute)
        assert (int(status), answer.capability) == (0, has)
