"""Which node is chosen: both drivers' nodes may be there (R22)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import qda
from qda.client import DeviceInfo, discovery, start_session
from qda.client.discovery import find_node, kernel_devices
from qda.virtual import machine


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of /dev."""
    monkeypatch.setattr(discovery, "FOLDER", str(tmp_path))
    (tmp_path / "accel").mkdir()
    return tmp_path


def accel(monkeypatch: pytest.MonkeyPatch, dev: Path, *devices: DeviceInfo) -> None:
    """Nodes in the accel directory that are what they are said to be."""
    known = {}
    for device in devices:
        (dev / device.path).touch()
        path = str(dev / device.path)
        known[path] = DeviceInfo(path, device.domain, device.dialect, device.problem)
    monkeypatch.setattr(discovery, "_accel_device", known.__getitem__)


def forbid(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Nodes that this user may not open."""
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.basename(path) not in names)


def test_without_nodes_there_is_none(dev: Path) -> None:
    assert kernel_devices() == []
    assert find_node("cdsp") is None
    assert find_node("cdsp", "legacy") is None


def test_accel_comes_first_then_secure_then_plain(
    dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R22: and one that is asked for by its dialect comes before all."""
    (dev / "fastrpc-cdsp").touch()
    assert find_node("cdsp") == str(dev / "fastrpc-cdsp")
    (dev / "fastrpc-cdsp-secure").touch()
    assert find_node("cdsp") == str(dev / "fastrpc-cdsp-secure")
    accel(monkeypatch, dev, DeviceInfo("accel/accel0", "cdsp", "v1"))
    assert find_node("cdsp") == str(dev / "accel/accel0")
    assert find_node("cdsp", "v1") == str(dev / "accel/accel0")
    assert find_node("cdsp", "legacy") == str(dev / "fastrpc-cdsp-secure")
    assert find_node("adsp") is None


def test_accel_node_of_another_dsp_does_not_hide_the_older_node(
    dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """clients.md 5: taking accel0 without a word gives a client the wrong DSP."""
    (dev / "fastrpc-cdsp").touch()
    accel(
        monkeypatch,
        dev,
        DeviceInfo("accel/accel0", "adsp", "rfc"),
        DeviceInfo("accel/accel1", "", "", "another driver's"),
    )
    assert find_node("cdsp") == str(dev / "fastrpc-cdsp")


def test_plain_node_is_taken_where_the_secure_one_is_forbidden(
    dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """clients.md 6: as the C library does."""
    for name in ("fastrpc-cdsp", "fastrpc-cdsp-secure"):
        (dev / name).touch()
    forbid(monkeypatch, "fastrpc-cdsp-secure")
    assert find_node("cdsp") == str(dev / "fastrpc-cdsp")
    assert [device.problem for device in kernel_devices()] == ["EACCES", ""]


def test_only_forbidden_nodes_are_an_error(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """design.md, Finding a device: no reason to go virtual."""
    (dev / "fastrpc-cdsp-secure").touch()
    forbid(monkeypatch, "fastrpc-cdsp-secure")
    with pytest.raises(qda.DeviceError) as refused:
        find_node("cdsp")
    assert refused.value.errno == errno.EACCES
    assert find_node("adsp") is None
    assert find_node("cdsp", "rfc") is None


def test_listing_does_not_open_the_older_nodes(dev: Path) -> None:
    """Spec 5.1: an open file takes one of the DSP's context banks.  Opening a pipe would block."""
    os.mkfifo(dev / "fastrpc-sdsp")
    assert kernel_devices() == [DeviceInfo(str(dev / "fastrpc-sdsp"), "sdsp", "legacy")]


@pytest.mark.parametrize(
    ("dialect", "path", "words"),
    [
        ("rfc", "/dev/fastrpc-cdsp-secure", "speaks legacy, not rfc"),
        ("legacy", "/dev/accel/accel1", "speaks rfc, not legacy"),
    ],
)
def test_dialect_must_be_the_nodes(dialect: str, path: str, words: str) -> None:
    """A node of one driver cannot be spoken to as one of the other."""
    node = machine().open("cdsp", "legacy" if "fastrpc" in path else "rfc")
    assert node.path == path
    with pytest.raises(qda.UsageError, match=words):
        start_session(node, "cdsp", dialect, "user", 8, None)
    with pytest.raises(OSError, match="closed"):
        node.ioctl(0, bytearray())


def test_a_node_says_its_dsp() -> None:
    """The older driver's by its name."""
    node = machine().open("adsp", "legacy")
    with pytest.raises(qda.UsageError, match="leads to adsp, not to cdsp"):
        start_session(node, "cdsp", None, "user", 8, None)
