"""What the tests of the driver share: a caller that may be interrupted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.driver.structures import Interrupted


@pytest.fixture
def client() -> Iterator[Interrupted]:
    """A caller that gets the signals that a test gives it."""
    caller = Interrupted()
    yield caller
    caller.close()
