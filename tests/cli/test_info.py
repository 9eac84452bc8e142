from __future__ import annotations

import json
from pathlib import Path

import pytest

import qda as package
from qda.cli import systems
from qda.client import DeviceInfo
from qda.virtual import machine
from tests.cli.command import qda


def test_info_asks_every_dsp() -> None:
    found = json.loads(qda("info", "--profile", "sm8550", "--json").stdout)
    virtual = {system["domain"]: system for system in found if system["node"] == "virtual"}
    assert set(virtual) == {"adsp", "cdsp"}
    cdsp = virtual["cdsp"]
    assert cdsp["problem"] == ""
    assert cdsp["architecture"] == "v73"
    assert cdsp["capabilities"]["unsigned processes"] == 1
    assert cdsp["capabilities"]["architecture version"] == 0x73
    assert cdsp["stream_ids"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert cdsp["message_limit"] == 128 << 20


def test_info_prints_tables() -> None:
    printed = qda("info").stdout
    for words in (
        "Generic system",
        "cdsp",
        "rfc, v1,",
        "legacy-7.3",
        "up to 10 ms",
        "v73",
        "1-12 (12 banks)",
        "128 MiB",
    ):
        assert words in printed
    assert "architecture version" in printed
    assert "0x73" in printed


def test_info_takes_a_profile_of_ones_own(tmp_path: Path) -> None:
    text = 'title = "Mine"\n[[dsp]]\nname = "gdsp0"\nstream_ids = [9]\n[dsp.capabilities]\n77 = 5\n'
    (tmp_path / "mine.toml").write_text(text)
    printed = qda("info", "--profile", "mine.toml", directory=tmp_path).stdout
    for words in ("Mine", "gdsp0", "9 (1 bank)", "unknown", "attribute 77"):
        assert words in printed


def test_info_of_a_profile_that_does_not_exist() -> None:
    assert "there are generic" in qda("info", "--profile", "x", status=1).stderr


def test_unusable_nodes_are_listed_with_their_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [DeviceInfo("/dev/accel/accel0", "", "", "EACCES")]
    nodes += [DeviceInfo("/dev/accel/accel7", "cdsp", "rfc")]
    monkeypatch.setattr(package, "devices", lambda profile: nodes)
    refused, vanished = systems.survey("generic")
    assert (refused.problem, refused.capabilities, refused.stream_ids) == ("EACCES", None, None)
    assert "/dev/accel/accel7" in vanished.problem
    assert "ENOENT" in vanished.problem


def test_older_nodes_are_asked_without_a_session() -> None:
    """As the C library does (clients.md 6): a session would need a process that the DSP takes."""
    node = machine().open("adsp", "legacy")
    assert systems.ask_driver(node, "adsp") == {6: 0x66}
    with pytest.raises(package.DeviceError, match="EBADF"):
        systems.ask_driver(node, "adsp")


@pytest.mark.parametrize(("dialect", "has"), [("legacy", False), ("legacy-7.3", True)])
def test_poll_mode_is_found_by_switching_it_off(dialect: str, has: bool) -> None:
    """versions.md 6: a driver before 7.3 does not know the command."""
    assert systems.has_poll_mode(machine().open("adsp", dialect), "adsp") is has


def test_profiles_lists_every_system() -> None:
    printed = qda("profiles").stdout
    for name in ("generic", "qcs6490", "sm8550", "sm8650"):
        assert name in printed
    assert "1-8, 12-14" in printed
