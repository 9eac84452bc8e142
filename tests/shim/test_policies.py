"""What systems refuse, to C programs: the errno, and words for who runs them (R20, R21, U3)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from errno import EACCES, ENOMEM, EPERM

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


def test_what_a_system_lacks_is_refused_to_everybody(refusing: System, programs: Programs) -> None:
    """R21: a static process needs memory for the remote heap."""
    answers = told(refusing, programs, "with", "/dev/fastrpc-adsp")
    assert answers["static"] == f"errno {ENOMEM}"
    assert answers["unsigned"] == "result 0"


def test_a_device_for_applications(refusing: System, programs: Programs) -> None:
    """R20; and a DSP whose question for capabilities fails."""
    answers = told(refusing, programs, "with", "/dev/fastrpc-cdsp-secure")
    no = f"errno {EACCES}"
    assert [answers[name] for name in ("attach", "sensors", "static")] == [no] * 3
    assert answers["capability"] == f"errno {EPERM}"
    assert answers["unsigned"] == "result 0"


def test_a_node_that_may_not_be_opened(refusing: System, programs: Programs) -> None:
    """As the mode of a node would have it."""
    answers = told(refusing, programs, "with", "/dev/fastrpc-cdsp")
    assert answers == {"/dev/fastrpc-cdsp": f"errno {EACCES}"}
