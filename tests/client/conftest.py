"""Sessions for the tests of the host's side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qda.client import Session
from qda.virtual import Machine
from tests.client.hosts import Worker, worker
from tests.system import open_session


@pytest.fixture(scope="module")
def session(machine: Machine) -> Iterator[Session]:
    """A session that serves its host's side, for tests that provide what they need."""
    with open_session(machine) as found:
        found.install(Worker)
        found.serve_host()
        yield found


@pytest.fixture(scope="module")
def remote(session: Session) -> Iterator[Any]:
    with session.load(worker) as opened:
        yield opened


@pytest.fixture
def fresh(machine: Machine) -> Iterator[Session]:
    """A session of the test's own."""
    with open_session(machine) as found:
        found.install(Worker)
        yield found
