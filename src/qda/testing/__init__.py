"""A plugin for pytest: sessions with a virtual DSP, or with a real one, as fixtures.

    def test_sum(dsp):
        remote = dsp.load(Calculator)
        assert remote.sum([1, 2, 3]) == 6

pytest finds it by its entry point.  Every test run on a machine that has QDA loads this module,
which therefore imports nothing of ours: what fixtures need is loaded by the first that is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qda.client import Session
    from qda.testing.choices import Choice
    from qda.testing.machine import WatchedMachine

__all__ = ["dsp", "dsp_choice", "dsp_debug", "virtual_machine"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, for a run or in the configuration."""
    group = parser.getgroup("dsp", "sessions with a DSP (qda.testing)")
    group.addoption(
        "--dsp-device",
        metavar="NODE",
        help="run on this node, such as /dev/accel/accel1, instead of virtual devices",
    )
    for name, what in (("profile", "systems that are virtual"), ("dialect", "device interfaces")):
        words = f"{what} on which tests run, each on all of them: names, or all"
        group.addoption(f"--dsp-{name}", action="append", metavar="NAME", help=words)
        parser.addini(f"dsp_{name}s", words, type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        "dsp(domain, profiles, dialects, dies): the DSP of a test, by default cdsp; the systems and"
        ' dialects that it is for, names or "all"; and whether its DSP may die',
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each system and dialect that is asked for."""
    if "dsp_choice" in metafunc.fixturenames:
        from qda.testing.choices import choices_for

        found = choices_for(metafunc.definition)
        if len(found) > 1:  # a single one is nothing that a test's name need tell
            metafunc.parametrize("dsp_choice", found, ids=str, indirect=True)


@pytest.fixture
def dsp_choice(request: pytest.FixtureRequest) -> Choice:
    """The DSP that a test is for: its domain, system and dialect, or a device node."""
    from qda.testing.choices import choices_for

    choice: Choice = getattr(request, "param", None) or choices_for(request.node)[0]
    return choice


@pytest.fixture
def virtual_machine(request: pytest.FixtureRequest, dsp_choice: Choice) -> Iterator[WatchedMachine]:
    """A virtual system, which is also what `qda.open` leads to while the test runs.

    Its DSPs print and log where the test does.  What the test leaves behind there is an error of
    it, and so is a DSP that has died, unless it is marked with dsp(dies=True).
    """
    from qda.testing.watching import watched

    with watched(request.node, dsp_choice) as machine:
        yield machine


@pytest.fixture
def dsp(request: pytest.FixtureRequest, dsp_choice: Choice) -> Iterator[Session]:
    """A session with a DSP: a process of its own there.

    With --dsp-device it is one of that node, else one of `virtual_machine`.
    """
    from qda.opening import open as open_session

    __tracebackhide__ = True
    if dsp_choice.device is None:
        request.getfixturevalue("virtual_machine")
    else:
        from qda.testing.watching import hooks

        hooks(request.config)
    device = dsp_choice.device or "virtual"
    with open_session(dsp_choice.domain, device=device, profile=dsp_choice.profile) as session:
        yield session
        session.log.follow()  # the rest, of hardware all


@pytest.fixture
def dsp_debug(request: pytest.FixtureRequest, dsp_choice: Choice) -> Iterator[Session]:
    """A session with a DSP that is threads of the test's process: for debuggers, for coverage, and
    for skeletons that share objects with the test."""
    from qda.opening import open as open_session
    from qda.testing.watching import watched

    domain, profile = dsp_choice.domain, dsp_choice.profile
    with (
        watched(request.node, dsp_choice, threads=True),
        open_session(domain, device="virtual", profile=profile, debug=True) as session,
    ):
        yield session
