"""What the DSP logs reaches the error that it belongs to, and the program's logger as it was."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

import qda


class Refuses(qda.Skeleton):
    """Cannot be opened."""

    def open(self, uri: str) -> None:
        raise ValueError("no way in")


class Fails(qda.Skeleton):
    """Has one method, which raises."""

    @qda.method(2)
    def fail(self) -> None:
        self.dsp.log.warning("it is about to fail")
        raise KeyError("another")


@pytest.mark.parametrize("debug", [False, True])
def test_a_failed_load_has_its_traceback_and_no_later_error_has_it(debug: bool) -> None:
    """Nor has the session's log, from which the error has taken it."""
    with qda.open("cdsp", device="virtual", debug=debug) as session:
        with pytest.raises(qda.DspError) as caught:
            session.load(Refuses)
        assert "Traceback (most recent call last):" in caught.value.log
        assert "no way in" in caught.value.log[-1]
        with session.load(Fails) as module, pytest.raises(qda.DspError) as caught:
            module.invoke(2)
        assert "no way in" not in str(caught.value)
        assert "another" in caught.value.log[-1]
        assert session.read_log() == []


def test_lines_keep_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    """In the program's logger; those of a traceback have that of its first line."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    with (
        qda.open("cdsp", device="virtual") as session,
        session.load(Fails) as module,
        pytest.raises(qda.DspError),
    ):
        module.invoke(2)
    said = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert said[0] == ("WARNING", "it is about to fail")
    assert said[1] == ("ERROR", "Traceback (most recent call last):")
    assert {level for level, _ in said[1:]} == {"ERROR"}


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_a_call_may_have_for_ever(timeout: float) -> None:
    """A time that the system cannot count is no limit."""
    assert qda.start(lambda: 7).result(timeout=timeout) == 7


TWICE = """
import qda
class Fails(qda.Skeleton):
    @qda.method(2)
    def fail(self):
        raise KeyError("once")
with qda.open("cdsp", device="virtual") as session:
    try:
        session.load("nothing")
    except qda.DspError:
        pass
    with session.load(Fails) as module:
        try:
            module.invoke(2)
        except qda.DspError as error:
            print("once" in error.log[-1])
"""


def test_what_an_error_says_is_not_printed_too() -> None:
    """Also not where the host listens, as it does once a module was looked for."""
    ran = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("True\n", "")
