"""A guest that does not boot is told so, and does not take the time of each rule."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from qda.agent import AgentGone
from qda.cli import laboratory
from qda.cli.laboratory import Laboratory
from qda.kernel.kernel import Kernel
from qda.kernel.machine import Tools
from qda.kernel.run import Ended, Plan

PLAN = Plan(Kernel(Path("Image")), (), (), {}, ())
TOOLS = Tools("", "", "")


class Broken:
    """A guest that ends before it answers."""

    def __init__(self, plan: Plan, tools: Tools) -> None:
        ours, theirs = socket.socketpair()
        theirs.close()
        self.channels: Sequence[socket.socket] = [ours]

    def end(self) -> Ended:
        for channel in self.channels:
            channel.close()
        return Ended(None, "", (), 0, {}, late=False)


def test_guests_that_do_not_boot_are_started_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is ended; the rules after that are told at once."""
    monkeypatch.setattr(laboratory, "Inhabited", Broken)
    guests = Laboratory(PLAN, TOOLS, {})
    for _ in range(3):
        with pytest.raises(AgentGone, match="the guest has not booted"):
            guests.open("/dev/null", None)
    with pytest.raises(AgentGone, match="3 guests in a row have not booted"):
        guests.open("/dev/null", None)
    guests.close()
    assert len(guests.ended) == 3
