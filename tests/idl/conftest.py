"""What tests of interfaces on the virtual device share: a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qda.client import Session
from qda.virtual import Machine
from tests.system import open_session


@pytest.fixture
def session(machine: Machine) -> Iterator[Session]:
    """A session with a user protection domain of its own."""
    with open_session(machine) as found:
        yield found
