"""Files, environment, memory and log of the host, for code on the DSP."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

import qda
from qda.client import Session
from qda.errors import UNABLE_TO_LOAD
from qda.virtual import Machine
from tests.client.hosts import (
    Book,
    Worker,
    worker,
)
from tests.system import census, open_session


def test_a_skeleton_reads_and_writes_files_of_the_host(remote: Any, tmp_path: Path) -> None:
    """As with `open`; what is not there is an errno."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("äöü\n" * 20000)
    assert remote.copy(str(source), str(target)) == 80000
    assert target.read_text() == source.read_text()
    with pytest.raises(qda.DspError, match="ENOENT"):
        remote.copy(str(tmp_path / "none"), str(target))


def test_a_file_that_is_dropped_is_closed_with_the_session(fresh: Session, tmp_path: Path) -> None:
    """The collector of the DSP calls nobody: not to close, nor to write what was left."""
    (tmp_path / "f").touch()
    fresh.serve_host()
    fresh.load(worker).drop(str(tmp_path / "f"))
    assert (tmp_path / "f").read_text() == ""
    before = len(os.listdir("/proc/self/fd"))
    fresh.close()
    assert len(os.listdir("/proc/self/fd")) < before


def test_a_skeleton_has_the_environment_of_the_host(
    remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables as they are now, however long; a missing one is not there."""
    monkeypatch.setenv("QDA_TEST", "x" * 1000)
    assert remote.environment("QDA_TEST", 2000) == "x" * 1000
    assert remote.environment("QDA_NOT_THERE", 100) == "nothing"
    assert "QDA_COPY" not in os.environ


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_the_dsp_gets_memory_on_request(machine: Machine, dialect: str) -> None:
    """Of all kinds; mapped while the reverse call is open, and given back (7.6)."""
    with open_session(machine, dialect) as session:
        session.install(Worker)
        session.serve_host()
        remote = session.load(worker)
        before = census(machine).device
        for flags in (4, 8, 6, 0x1000, 0x3000, 0x10000, 0):
            assert remote.request(10000, flags) == 7
            assert census(machine).device == before


@pytest.mark.parametrize("size", [0, -1, 1 << 40])
def test_senseless_requests_for_memory_are_refused(remote: Any, size: int) -> None:
    """Nothing is allocated."""
    with pytest.raises((qda.DspError, qda.UsageError)):
        remote.request(size, 0)


def test_a_whole_file_is_mapped_under_an_fd(remote: Any, tmp_path: Path) -> None:
    """`fopen_fd` (7.5)."""
    file = tmp_path / "data"
    file.write_bytes(b"abc" * 5000)
    start, size = remote.load(str(file), 3)
    assert (bytes(start), size) == (b"abc", 15000)


def test_each_message_reaches_the_logger_once(
    fresh: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """Those from before the host listened too, and `read_log` still has them (U5)."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    remote = fresh.load(worker)
    remote.say("read")
    assert fresh.read_log() == ["WARNING read"]
    remote.say("early")
    fresh.serve_host()
    remote.say("late\n" + "x" * 500)
    fresh.provide(Book)
    remote.note("the log goes the same way, and is there before")
    assert fresh.read_log() == ["WARNING early", "WARNING late", "x" * 500]
    fresh.close()
    said = [one.getMessage() for one in caplog.records if one.name == "qda.dsp.cdsp"]
    assert said[:3] == ["read", "early", "late"]
    assert "".join(said[3:]) == "x" * 500
    early = next(one for one in caplog.records if one.getMessage() == "early")
    assert (early.levelno, early.filename) == (logging.WARNING, "hosts.py")


class NoLog(qda.Skeleton, name="adspmsgd_apps"):
    """In place of what takes the log."""

    def open(self, uri: str) -> None:
        raise qda.StatusError(UNABLE_TO_LOAD, "there is none")


def test_a_host_that_takes_no_log_is_not_asked_again(machine: Machine) -> None:
    """hexagonrpcd has no such module, and says so; calls go on (7.4)."""
    with open_session(machine) as session:
        session.install(Worker)
        session.provide(Book, NoLog)
        remote = session.load(worker)
        remote.say("nobody hears it")
        assert remote.note("x") == 1
