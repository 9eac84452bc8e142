"""SET_OPTION, which the older driver has since 7.3: what no client should ask, and when."""

from __future__ import annotations

import threading
from errno import EINVAL, EOPNOTSUPP

import pytest

from qda.conformance.interface import (
    OpenNode,
    Target,
    call,
    command,
    create_session,
    inline,
    invoke,
    issue,
)
from qda.conformance.memory import Memory
from qda.conformance.skeletons import Probe

pytestmark = pytest.mark.dialects("legacy-7.3", why="there are no options")

POLL_MODE = 1
HIGHEST = 0xFFFFFFFF


def switch(node: OpenNode, **values: int) -> int:
    """SET_OPTION; its result.  Skips where the system has no poll mode."""
    result, _ = call(node, "SET_OPTION", **values)
    if result == -EOPNOTSUPP:
        pytest.skip("this system has no poll mode")
    return result


def echoes(node: OpenNode, probe: int, count: int) -> int:
    """How many of so many calls bring their bytes back."""
    good = 0
    for number in range(count):
        sent, came = Memory(number.to_bytes(4, "little")), Memory(4)
        result = invoke(node, probe, Probe.ECHO, [inline(sent)], [inline(came)])
        good += result == 0 and came.word == number
    return good


@pytest.mark.parametrize(
    "wrong",
    [{"request_id": one, "value": 1} for one in (0, 2, HIGHEST)]
    + [{"request_id": POLL_MODE, "value": one} for one in (2, 1 << 31, HIGHEST)],
    ids=str,
)
def test_an_option_that_there_is_not_is_einval(node: OpenNode, wrong: dict[str, int]) -> None:
    """versions.md 6."""
    assert switch(node, request_id=POLL_MODE, value=1) == 0
    assert switch(node, **wrong) == -EINVAL


@pytest.mark.parametrize("index", range(6))
def test_what_is_reserved_is_0(node: OpenNode, index: int) -> None:
    """versions.md 6: each of the six words, and it comes back as it went."""
    assert switch(node, request_id=POLL_MODE, value=0) == 0
    for word in (1, 1 << 31):
        data = bytearray(32)
        data[0] = POLL_MODE
        data[8 + 4 * index : 12 + 4 * index] = word.to_bytes(4, "little")
        given = bytes(data)
        assert issue(node, command(node, "SET_OPTION").code, data) == -EINVAL
        assert data == given


def test_an_option_is_the_open_files(target: Target) -> None:
    """Before a session, in one, and after a call; another file has its own."""
    with target.open() as node, target.open() as other:
        for _ in range(2):
            assert switch(node, request_id=POLL_MODE, value=1) == 0
        for opened in (node, other):
            create_session(opened)
        assert switch(node, request_id=POLL_MODE, value=0) == 0
        assert switch(other, request_id=POLL_MODE, value=1) == 0


def test_options_change_while_calls_are_under_way(session_node: OpenNode, probe: int) -> None:
    """Each call waits as it began, and none is lost."""
    good: list[int] = []
    callers = [
        threading.Thread(target=lambda: good.append(echoes(session_node, probe, 40)))
        for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    for value in range(60):
        assert switch(session_node, request_id=POLL_MODE, value=value & 1) == 0
    for caller in callers:
        caller.join()
    assert good == [40] * 3
