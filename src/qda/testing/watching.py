"""Watches tests with a virtual DSP: what it prints and logs, what it dies of, what they leave."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from qda.client.unheld import settle
from qda.errors import Refusal
from qda.fastrpc.obituary import Obituary
from qda.testing.census import PAGES, census, leaks
from qda.testing.choices import Choice
from qda.testing.machine import WatchedMachine
from qda.virtual import load_profile, stands_in

__all__ = ["hooks", "watched"]


@contextmanager
def watched(item: pytest.Item, choice: Choice, threads: bool = False) -> Iterator[WatchedMachine]:
    """A virtual system for a test, which it must leave as it was; skips the test on hardware."""
    if choice.device is not None:
        pytest.skip(f"needs a virtual device, and --dsp-device is {choice.device}")
    watching = hooks(item.config)
    machine = watching.machine(choice.profile, threads)
    machine.dialect = choice.dialect
    before = watching.held(machine)
    watching.begin(item, machine)
    try:
        with stands_in(machine, threads):
            yield machine
    finally:
        problems = watching.end(item, machine, before)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def hooks(config: pytest.Config) -> Watching:
    """Those of a run, from the first test on that needs them."""
    found = config.pluginmanager.get_plugin(Watching.__name__)
    if isinstance(found, Watching):
        return found
    made = Watching()
    config.pluginmanager.register(made, Watching.__name__)
    config.add_cleanup(made.close)
    return made


class Watching:
    """The hooks of tests with a DSP, and the virtual systems of a run."""

    def __init__(self) -> None:
        self._machines: dict[tuple[str, bool], WatchedMachine] = {}
        self._current: list[WatchedMachine] = []
        self._failed: set[pytest.Item] = set()
        self._open = ExitStack()

    def machine(self, profile: str, threads: bool) -> WatchedMachine:
        """The system of a profile: tests share it, each with sessions of its own."""
        found = self._machines.get((profile, threads))
        if found is None or found.closed:
            found = self._machines[profile, threads] = WatchedMachine(
                load_profile(profile), threads
            )
            self._open.callback(found.close)
        return found

    def held(self, machine: WatchedMachine) -> Counter[str]:
        """What a system holds, less what is there because DSPs have come up: pages for any of this
        process's systems, since nobody can tell them apart."""
        found = census(machine)
        found.subtract(machine.booted)
        found[PAGES] -= sum(
            other.booted[PAGES] for other in self._machines.values() if other is not machine
        )
        return found

    def close(self) -> None:
        """End all DSPs."""
        self._open.close()

    def begin(self, item: pytest.Item, machine: WatchedMachine) -> None:
        """A test has a system from now on."""
        self._current.append(machine)

    def end(self, item: pytest.Item, machine: WatchedMachine, before: Counter[str]) -> list[str]:
        """A test gives its system back; what is wrong with it, unless it has failed anyway."""
        machine.deliver()
        self._current.remove(machine)
        problems = _deaths(item, machine.mourn())
        machine.forget()
        if item in self._failed:  # what it holds is in its traceback
            self._failed.discard(item)
            return []
        left = leaks(before, self.held(machine))
        if left:
            gc.collect()
            settle()
            left = leaks(before, self.held(machine))
        if left:
            problems.append(f"the test has left behind: {', '.join(left)}")
        return problems

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        """Deliver what is printed while fixtures are made."""
        __tracebackhide__ = True
        yield from self._phase(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """Deliver what is printed while the test runs; it fails if its DSP has died."""
        __tracebackhide__ = True
        yield from self._phase(item)
        words = [line for machine in self._current for line in _deaths(item, machine.mourn())]
        if words:
            pytest.fail("\n".join(words), pytrace=False)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        """Deliver what is printed while fixtures are given back."""
        __tracebackhide__ = True
        yield from self._phase(item)

    def _phase(self, item: pytest.Item) -> Generator[None]:
        __tracebackhide__ = True
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):
                self._failed.add(item)  # of Ctrl-C there is no report
            _show_once(item.config, error)
            raise
        finally:
            for machine in self._current:
                machine.deliver()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Remember which tests have failed."""
        if call.when != "teardown" and call.excinfo is not None:
            self._failed.add(item)
        return (yield)


def _deaths(item: pytest.Item, found: list[Obituary]) -> list[str]:
    """The words in which a test fails whose DSP has died and should not have."""
    mark = item.get_closest_marker("dsp")
    if mark is not None and mark.kwargs.get("dies"):
        return []
    words = [line for one in found for line in one.report]
    return (
        [*words, "If that is what the test is about: @pytest.mark.dsp(dies=True)"] if words else []
    )


def _show_once(config: pytest.Config, error: BaseException) -> None:
    """Take the lines of a DSP's log that an error shows out of what pytest shows beside it."""
    handler = getattr(config.pluginmanager.get_plugin("logging-plugin"), "report_handler", None)
    shown = Counter(line for refusal in _refusals(error) for line in _words(refusal))
    if handler is None or not shown:
        return
    kept = []
    for record in handler.records:
        words = record.getMessage()
        if record.name.startswith("qda.dsp.") and shown[words]:
            shown[words] -= 1
        else:
            kept.append(record)
    handler.reset()
    for record in kept:
        handler.handle(record)


def _refusals(error: BaseException | None) -> Iterator[Refusal]:
    """The refusals that pytest shows of an error."""
    while error is not None:
        if isinstance(error, Refusal):
            yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _refusals(one)
        hidden = error.__suppress_context__
        error = error.__cause__ or (None if hidden else error.__context__)


def _words(refusal: Refusal) -> Iterator[str]:
    """The lines of its log, as the logger has got them."""
    levels = logging.getLevelNamesMapping()
    for line in refusal.log:
        name, _, words = line.partition(" ")
        yield words if name in levels else line
