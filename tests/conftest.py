"""Options of the whole suite, and what most of its tests begin with.

Options stand here because pytest reads options only from conftest files that it finds before it
parses the command line: for a run from the root that is this one, not those of the directories
below.  Write a path with "=" (`--device=/dev/accel/accel0`): while pytest looks for these files,
it does not know the option yet, and would take a path that stands alone for one of tests.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from qda.driver import LocalClient
from tests.system import System, new_machine


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "tests of the device interface (tests/conformance)")
    group.addoption(
        "--device",
        default="virtual",
        metavar="NODE",
        help='device under test: "virtual" (default), or a path such as /dev/accel/accel0',
    )
    group.addoption(
        "--hostile",
        action="store_true",
        help="on a kernel's device, also make the requests that corrupt a kernel whose driver "
        "does not refuse them (always made on the virtual device)",
    )


def pytest_configure() -> None:
    """An example may take as long as it takes: the machine may be busy, and no test judges time.

    In the background of a shell, Ctrl-C is ignored; the tests of Ctrl-C need it.
    """
    settings.register_profile(
        "any time", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any time")
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def machine() -> Iterator[System]:
    """A system of its own for the tests of a file."""
    system = new_machine()
    yield system
    system.close()


@pytest.fixture
def client() -> Iterator[LocalClient]:
    """This process as the caller of a driver."""
    caller = LocalClient()
    yield caller
    caller.close()
