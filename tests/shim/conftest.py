"""Fixtures: the programs, compiled once, and a system for each dialect of the nodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from qda.uapi import ACCEL_DIALECTS
from tests.shim.system import Programs, System, serving


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


class Systems:
    """Systems by the dialect of the accelerator's nodes, started when they are first asked for.

    `lanes` says whether programs may call without the server.
    """

    def __init__(self, factory: pytest.TempPathFactory, stack: ExitStack, lanes: bool) -> None:
        self._factory, self._stack, self.lanes = factory, stack, lanes
        self._started: dict[str, System] = {}

    def of(self, dialect: str) -> System:
        """The older driver's nodes are in each of them."""
        accel = dialect if dialect in ACCEL_DIALECTS else "rfc"
        if accel not in self._started:
            folder = self._factory.mktemp(accel)
            self._started[accel] = self._stack.enter_context(
                serving(folder, dialect=accel, lanes=self.lanes)
            )
        return self._started[accel]


@pytest.fixture(scope="module", params=["lanes", "server"])
def systems(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Systems]:
    """Programs call on lanes, or each call goes through the server: the same tests for both."""
    with ExitStack() as stack:
        yield Systems(tmp_path_factory, stack, request.param == "lanes")


@pytest.fixture
def system(systems: Systems) -> Iterator[System]:
    """A system of dialect RFC, in which a test leaves nothing."""
    found = systems.of("rfc")
    yield found
    found.settle()
