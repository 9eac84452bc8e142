"""What systems refuse, to C programs: the errno, and words for who runs them (R20, R21, U3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from errno import EACCES, ECONNREFUSED, ENOMEM, EPERM
from pathlib import Path

import pytest

from tests.shim.system import Programs, System, needs_library, serving

pytestmark = needs_library


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with serving(tmp_path_factory.mktemp("refusing"), profile="refusing") as system:
        yield system


def told(system: System, programs: Programs, rights: str, path: str) -> dict[str, str]:
    """What the program says of a node, with its rights or without any."""
    printed = system.run(programs.build("policies", "legacy"), rights, path)
    system.settle()
    return dict(line.split(": ", 1) for line in printed.splitlines())


def test_what_needs_rights_is_eperm_without_them(
    refusing: System, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    """versions.md 5.2; the words stand where `qda run` shows them."""
    caplog.set_level(logging.WARNING, "qda.driver")
    answers = told(refusing, programs, "without", "/dev/fastrpc-adsp")
    no = f"errno {EPERM}"
    expected = {"attach": no, "sensors": no, "signed": no, "unsigned": "result 0"}
    assert {name: answers[name] for name in expected} == expected
    assert "may not attach to the root protection domain on adsp: EPERM" in caplog.text
    assert "CAP_SYS_ADMIN" in caplog.text


def test_what_a_system_lacks_is_refused_to_everybody(
    refusing: System, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    """R21: a static process needs memory for the remote heap."""
    caplog.set_level(logging.WARNING, "qda.driver")
    answers = told(refusing, programs, "with", "/dev/fastrpc-adsp")
    assert answers["static"] == f"errno {ENOMEM}"
    assert answers["unsigned"] == "result 0"
    assert (
        "static process on adsp: ENOMEM: no memory is reserved for the remote heap" in caplog.text
    )


def test_a_device_for_applications(
    refusing: System, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    """R20; and a DSP whose question for capabilities fails, which is told once."""
    caplog.set_level(logging.WARNING, "qda.driver")
    for _ in range(2):
        told(refusing, programs, "with", "/dev/fastrpc-cdsp-secure")
    assert caplog.text.count("ask for the capabilities of cdsp: the DSP refuses with 0xff") == 1
    assert "EACCES: this device is for applications, and nobody may" in caplog.text
    answers = told(refusing, programs, "with", "/dev/fastrpc-cdsp-secure")
    no = f"errno {EACCES}"
    assert [answers[name] for name in ("attach", "sensors", "static")] == [no] * 3
    assert answers["capability"] == f"errno {EPERM}"
    assert answers["unsigned"] == "result 0"


def test_a_node_that_may_not_be_opened(
    refusing: System, programs: Programs, caplog: pytest.LogCaptureFixture
) -> None:
    """As the mode of a node would have it."""
    caplog.set_level(logging.WARNING, "qda.shim")
    answers = told(refusing, programs, "with", "/dev/fastrpc-cdsp")
    assert answers == {"/dev/fastrpc-cdsp": f"errno {EACCES}"}
    assert "/dev/fastrpc-cdsp cannot be opened: Permission denied" in caplog.text


def test_the_plain_node_of_a_compute_dsp(
    programs: Programs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Spec 5.1, the policy of systems that say nothing else: unsigned processes, and whoever
    attaches."""
    caplog.set_level(logging.WARNING, "qda.driver")
    with serving(tmp_path) as system:  # its own, as the DSP keeps the remote heap
        printed = system.run(programs.build("policies", "legacy"), "without", "/dev/fastrpc-cdsp")
    answers = dict(line.split(": ", 1) for line in printed.splitlines())
    refused = {"signed": f"errno {ECONNREFUSED}"}
    assert answers == dict.fromkeys(answers, "result 0") | refused
    assert "ECONNREFUSED: the plain node is for unsigned processes" in caplog.text
