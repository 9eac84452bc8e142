"""What the tests of the DSP share: a machine, a session on it, threads."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from qda.client import Session
from qda.virtual import Machine
from tests.system import open_session


@pytest.fixture
def session(machine: Machine) -> Iterator[Session]:
    """A session with a user protection domain of its own."""
    with open_session(machine) as found:
        yield found


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads, for those who wait for each other."""
    with ThreadPoolExecutor() as found:
        yield found
