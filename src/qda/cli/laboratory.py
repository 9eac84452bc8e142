"""A guest with our agent in it: the kernel's driver, for a test that runs here."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import qda.agent
from qda.agent import Agent, AgentGone, GuestNode, Mirror
from qda.kernel.inhabited import Inhabited
from qda.kernel.kernel import compiled
from qda.kernel.machine import Tools
from qda.kernel.run import Ended, Plan
from qda.uapi import Interface

__all__ = ["AGENT", "THREADS", "Laboratory", "agent_file", "tried"]

AGENT = "/qda/agent"
"""Where the agent stands in the guest."""
THREADS = 8
"""How many requests the guest can have under way."""
_PLACE = "-Wl,-Ttext-segment=0x200000000000"
"""Where nothing of a process is that the agent has to look like."""
_PATIENCE = 40
"""Seconds that a request may take."""
_BOOT = 150
"""Seconds in which a guest has booted: the first process waits for nodes for 30 of them."""
_ATTEMPTS = 3
"""Guests in a row that may fail to boot, before no rule is worth another."""


def agent_file(tools: Tools) -> bytes:
    """The agent, compiled for the guest.  UsageError."""
    return compiled(Path(qda.agent.__file__).with_name("agent.c"), tools, _PLACE)


class Laboratory:
    """A guest, booted when it is first needed; see `qda.conformance.interface.Elsewhere`."""

    def __init__(self, plan: Plan, tools: Tools, nodes: dict[str, str]) -> None:
        self._plan, self._tools, self._nodes = plan, tools, nodes
        self._guest: Inhabited | None = None
        self._mirror: Mirror | None = None
        self._failed = 0
        self.ended: list[Ended] = []

    def node_of(self, domain: str) -> str:
        """The path of a DSP's node."""
        return self._nodes[domain]

    def open(self, path: str, dialect: Interface | None) -> GuestNode:
        """Open a node.  DeviceError."""
        return GuestNode(self.mirror, path, dialect)

    @property
    def mirror(self) -> Mirror:
        """This process in the guest; in a new one if the last has ended.  AgentGone."""
        if self._mirror is not None and self._mirror.agent.gone:
            self.close()
        if self._mirror is None:
            self._mirror = self._booted()
        return self._mirror

    def _booted(self) -> Mirror:
        if self._failed == _ATTEMPTS:
            raise AgentGone(f"{_ATTEMPTS} guests in a row have not booted")
        self._guest = Inhabited(self._plan, self._tools)
        agent = Agent(self._guest.channels, _BOOT)
        try:
            mirror = Mirror(agent)
        except AgentGone as error:
            self._failed += 1
            self.close()
            raise AgentGone("the guest has not booted") from error
        agent.patience = _PATIENCE
        self._failed = 0
        return mirror

    def close(self) -> None:
        """End the guest."""
        if self._guest is not None:
            self.ended.append(self._guest.end())
        self._guest = self._mirror = None


def tried(laboratory: Laboratory, told: list[str]) -> int:
    """Run the suite on the guest's driver and on ours; pytest's exit status, which does not count
    rules whose outcomes are the same.  AgentGone if the guest does not boot."""
    import pytest

    from qda.conformance.compared import Compared

    class Registers:
        """Gives the guest to the suite."""

        def pytest_configure(self, config: pytest.Config) -> None:
            config.pluginmanager.register(laboratory, "qda-elsewhere")

    with tempfile.TemporaryDirectory() as examples:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = examples
        compared = Compared()
        assert laboratory.mirror
        pytest.main(told, plugins=[compared, Registers()])
    return compared.status
