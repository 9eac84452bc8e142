"""Clients that mix two meanings of fd: refused as on a kernel, or served if the server is told."""

from __future__ import annotations

import logging
from errno import EINVAL, ENOMEM
from pathlib import Path

import pytest

from qda.errors import UsageError
from qda.shim.server import DeviceServer
from tests.shim.system import Programs, System, needs_library, serving
from tests.system import new_machine


@needs_library
def test_mixing_is_refused(system: System, programs: Programs) -> None:
    """clients.md 9: the number is a handle of another object, in which the address does not lie.
    MAP looks at no address, and maps that other object."""
    said = system.run(programs.build("mixed")).split()
    refused = str(EINVAL)
    assert said[:6] == ["invoke", refused, "map", refused, "unmap", refused]
    assert said[6] == "allocate" and said[7] in (str(EINVAL), str(ENOMEM))


@needs_library
def test_mixing_can_be_served_and_is_logged(
    programs: Programs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """clients.md 9, 13.7: the address says which memory is meant."""
    with serving(tmp_path, mixed=True) as system, caplog.at_level(logging.WARNING, "qda.shim"):
        for program in ("mixed", "calculator"):
            said = system.run(programs.build(program))
            assert said in ("invoke 0\nmap 0\nunmap 0\nallocate 0\n", "")
        system.settle()
    assert [record.message for record in caplog.records if "fail on a kernel" in record.message]
    assert len(caplog.records) == 1


def test_only_handles_can_be_mixed_with_descriptors(tmp_path: Path) -> None:
    """In dialect V1 descriptors are what is meant."""
    machine = new_machine()
    with pytest.raises(UsageError, match="rfc"):
        DeviceServer(machine, tmp_path / "server", dialect="v1", mixed=True)
    machine.close()
    assert list(tmp_path.iterdir()) == []
