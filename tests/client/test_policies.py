"""Who may do what, and systems that refuse: each with what the user is told (R20, R21, U3)."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import qda
from qda.cli.systems import ask_driver
from qda.client import start_session
from qda.driver.memory import is_admin
from qda.driver.node import LocalNode
from qda.driver.policy import POLICIES, Asked
from qda.errors import DeviceError
from qda.virtual import machine
from tests.waiting import until

REFUSING = "refusing"


@pytest.fixture(autouse=True, scope="module")
def closed() -> Iterator[None]:
    """The system is this module's."""
    yield
    machine(REFUSING).close()


@pytest.fixture(params=[False, True], ids=["anybody", "admin"])
def admin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this process counts as one with CAP_SYS_ADMIN."""
    monkeypatch.setattr("qda.driver.memory.is_admin", lambda pid, tid: request.param)
    return bool(request.param)


def refusal(domain: str, **more: object) -> DeviceError:
    """The refusal of a session."""
    with pytest.raises(DeviceError) as refused:
        qda.open(domain, device="virtual", profile=REFUSING, **more).close()  # type: ignore[arg-type]
    return refused.value


def refusal_of_a_call(session: qda.Session) -> int:
    """The errno of a call; 0 if the DSP still answers."""
    try:
        session.invoke(0x300, 2)
    except DeviceError as error:
        return error.errno or 0
    except qda.DspError:
        return 0
    raise AssertionError("there is no such module")


@pytest.mark.parametrize("dialect", ["rfc", "handle", "legacy"])
@pytest.mark.parametrize(("process", "attributes"), [("root", 0), ("user", 0), ("user", 0x48)])
def test_what_needs_privileges(admin: bool, dialect: str, process: str, attributes: int) -> None:
    """versions.md 5.2: attach, signed and privileged processes; in dialect handle, where attach is
    a hole, by the switch that this system has."""
    wanted = {"dialect": dialect, "process": process, "attributes": attributes}
    if admin:
        qda.open("adsp", device="virtual", profile=REFUSING, **wanted).close()  # type: ignore[arg-type]
        return
    refused = refusal("adsp", **wanted)
    assert refused.errno == errno.EPERM
    assert "CAP_SYS_ADMIN" in refused.cause
    assert "unsigned" in refused.next_step


def test_an_unsigned_process_of_ones_own_needs_nothing(admin: bool) -> None:
    """versions.md 5.2."""
    for dialect in ("rfc", "legacy"):
        qda.open("adsp", device="virtual", profile=REFUSING, dialect=dialect).close()


def test_a_system_without_memory_for_the_remote_heap(admin: bool) -> None:
    """R21: static processes, of which the first lends the DSP that memory."""
    refused = refusal("adsp", dialect="legacy", process="audio")
    assert refused.errno == errno.ENOMEM
    assert "remote heap" in refused.cause
    assert "memory-region" in refused.next_step


def test_nobody_attaches_where_only_applications_are(admin: bool) -> None:
    """R20: whatever the rights."""
    for dialect, process in (("rfc", "root"), ("legacy", "sensors"), ("legacy", "audio")):
        refused = refusal("cdsp", dialect=dialect, process=process)
        assert refused.errno == errno.EACCES
        assert "applications" in refused.cause
        assert 'process="user"' in refused.next_step


def test_a_device_whose_attach_is_a_hole_says_so() -> None:
    """versions.md 3: the kernel of dialect handle has none."""
    with pytest.raises(DeviceError, match="EINVAL") as refused:
        qda.open("cdsp", device="virtual", dialect="handle", process="root")
    assert "hole" in refused.value.cause
    assert "attaches" in refused.value.next_step


def test_static_and_sensors_processes_are_the_older_drivers() -> None:
    """R21: there they are served, elsewhere they are not to be had."""
    for process in ("sensors", "audio"):
        with qda.open("adsp", device="virtual", dialect="legacy", process=process) as session:
            assert session.dialect == "legacy"
        with pytest.raises(qda.UsageError, match="dialect rfc has none"):
            qda.open("adsp", device="virtual", process=process)
    with pytest.raises(qda.UsageError, match=r"process 'sensor'.*sensors"):
        qda.open("adsp", device="virtual", process="sensor")  # type: ignore[arg-type]


def test_a_dsp_that_does_not_tell_its_capabilities() -> None:
    """Spec 3.5: on both drivers' nodes; sessions work all the same."""
    with pytest.raises(DeviceError, match="ask for attribute 1 on cdsp"):
        ask_driver(machine(REFUSING).open("cdsp", "legacy"), "cdsp")
    qda.open("cdsp", device="virtual", profile=REFUSING).close()


def test_a_node_that_may_not_be_opened() -> None:
    """U9: its errno, and what the path is."""
    with pytest.raises(OSError, match="/dev/fastrpc-cdsp cannot be opened") as refused:
        machine(REFUSING).open_node("/dev/fastrpc-cdsp", "legacy")
    assert refused.value.errno == errno.EACCES
    machine(REFUSING).open_node("/dev/fastrpc-cdsp-secure", "legacy").close()


def test_the_plain_node_of_a_compute_dsp() -> None:
    """Spec 5.1, the policy of systems that say nothing else: for unsigned processes."""
    reach = partial(machine().open_node, dialect="legacy")
    node = LocalNode("virtual cdsp", "/dev/fastrpc-cdsp", reach)
    with pytest.raises(DeviceError, match="ECONNREFUSED") as refused:
        start_session(node, "cdsp", "legacy", "user", 0, None)
    assert "unsigned" in refused.value.cause
    assert "secure node" in refused.value.next_step


def test_a_policy_can_be_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    """R20: by an object of one's own, which is asked before anything is made."""
    seen: list[Asked] = []

    class Mine:
        def refusal(self, asked: Asked) -> tuple[int, str] | None:
            seen.append(asked)
            return (errno.EROFS, "not today") if asked.attributes == 0x10 else None

    device = machine(REFUSING).devices["cdsp"]
    monkeypatch.setattr(device, "policy", Mine())
    before = device.census()
    assert refusal("cdsp", attributes=0x10).errno == errno.EROFS
    assert device.census() == before
    qda.open("cdsp", device="virtual", profile=REFUSING, process="root").close()
    assert [asked.wanted.name for asked in seen] == ["PROCESS", "ROOT"]
    assert set(POLICIES) == {"nodes", "privileges", "applications"}


def test_switches_of_a_profile_are_those_of_its_devices(tmp_path: Path) -> None:
    """versions.md 5.2: EBUSY without a bank, EPIPE once the DSP is gone, in any dialect."""
    file = tmp_path / "switched.toml"
    file.write_text(
        'title = "Switched"\n[[dsp]]\nname = "cdsp"\nstream_ids = [1]\n'
        'switches = { without_bank = "EBUSY", removed = "EPIPE" }\n'
    )
    system = machine(str(file))
    try:
        with qda.open("cdsp", device="virtual", profile=str(file)) as session:
            with pytest.raises(DeviceError, match="EBUSY"):
                qda.open("cdsp", device="virtual", profile=str(file))
            os.kill(system.pids[0], signal.SIGKILL)
            until(lambda: refusal_of_a_call(session) == errno.EPIPE)
    finally:
        system.close()


def test_the_right_is_that_of_the_calling_thread() -> None:
    """As a kernel asks: CapEff of the thread; nobody who is not there has it."""
    told = [is_admin(os.getpid(), threading.get_native_id())]
    status = Path("/proc/thread-self/status").read_text()
    held = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    assert told == [bool(int(held, 16) >> 21 & 1)]
    assert not is_admin(os.getpid(), 1 << 22)
