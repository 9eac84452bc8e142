"""What most tests begin with."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from qda.driver import LocalClient
from qda.dsp import spawn
from tests.system import System, new_machine


def pytest_configure() -> None:
    """An example may take as long as it takes: the machine may be busy, and no test judges time.

    In the background of a shell, Ctrl-C is ignored; the tests of Ctrl-C need it.  Nor is a `make`
    that a test starts a part of the one that may have started the tests.
    """
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
        os.environ.pop(name, None)
    settings.register_profile(
        "any time", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any time")
    spawn.WARM += ("pytest",)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What has been made until here stays: a collection by a test that counts what is left does not
    look through eight thousand tests each time, which takes longer than most of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def warm(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a file of tests imports, a processor has before it forks: each protection domain that
    gets a class of the file would import it again.  Hypothesis takes as long as all the rest of a
    processor, and few need it."""
    with pytest.MonkeyPatch.context() as patch:
        if "given" in vars(request.module):
            patch.setattr(spawn, "WARM", (*spawn.WARM, "hypothesis"))
        yield


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
