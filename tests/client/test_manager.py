"""Opening and closing modules: which entrance is asked, and what a refusal is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest

import qda
from qda.client.host.listener import ListenerThreads
from qda.client.host.modules import HostModules
from qda.client.manager import ModuleManager
from qda.errors import (
    BAD_HANDLE,
    BAD_PARAMETER,
    BAD_STATE,
    INTERRUPTED,
    NO_SUCH_MODULE,
    PROCESS_DIED,
    UNABLE_TO_LOAD,
    UNSUPPORTED,
)
from qda.fastrpc.remotectl import CloseAnswer, OpenAnswer
from qda.virtual import Machine
from tests.system import open_session

OTHER_REFUSALS = [
    1,
    PROCESS_DIED,
    BAD_STATE,
    BAD_PARAMETER,
    UNABLE_TO_LOAD,
    INTERRUPTED,
    0x80000401,
    0x8000042D,
    0xFFFFFFFF,
]
MISSING = [UNSUPPORTED, BAD_HANDLE, NO_SUCH_MODULE, 0x14, 0x2C, 0x3E, 0x80000600]


class Dsp:
    """Answers calls of the manager; `refusals` are the statuses of its entrances."""

    def __init__(self, refusals: dict[int, int], error: int = 0) -> None:
        self.refusals, self.error = refusals, error
        self.asked: list[tuple[int, int]] = []

    def __call__(
        self, operation: str, handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]
    ) -> None:
        self.asked.append((handle, method))
        status = self.refusals.get(handle, 0)
        if status:
            raise qda.DspError(operation, "cdsp", status)
        opening = len(ins) == 2
        answer = OpenAnswer(handle=0x777, error=self.error) if opening else CloseAnswer(error=0)
        outs[0][:] = answer.pack()
        outs[1][:5] = b"said\0"


@pytest.mark.parametrize("status", MISSING, ids=hex)
def test_a_dsp_without_the_newer_entrance_is_asked_at_the_older_one(status: int) -> None:
    """And from then on only there (6.4)."""
    dsp = Dsp({8: status})
    manager = ModuleManager(dsp, "cdsp")
    assert manager.open("x") == 0x777
    manager.close(0x777, "x")
    assert dsp.asked == [(8, 2), (0, 0), (0, 1)]


@pytest.mark.parametrize("status", OTHER_REFUSALS, ids=hex)
def test_no_other_refusal_is_asked_for_twice(status: int) -> None:
    """The work may have been done, and the second answer would hide the first."""
    dsp = Dsp({8: status})
    manager = ModuleManager(dsp, "cdsp")
    for ask in (lambda: manager.open("x"), lambda: manager.close(5, "x")):
        with pytest.raises(qda.DspError) as caught:
            ask()
        assert caught.value.status == status
    assert dsp.asked == [(8, 2), (8, 3)]


@pytest.mark.parametrize("status", [*MISSING, *OTHER_REFUSALS], ids=hex)
def test_the_older_entrance_is_the_last(status: int) -> None:
    """Its refusal is the answer."""
    dsp = Dsp({8: UNSUPPORTED, 0: status})
    with pytest.raises(qda.DspError) as caught:
        ModuleManager(dsp, "cdsp").open("x")
    assert caught.value.status == status
    assert dsp.asked == [(8, 2), (0, 0)]


@pytest.mark.parametrize("error", [*MISSING, *OTHER_REFUSALS], ids=hex)
def test_the_error_in_an_answer_is_final(error: int) -> None:
    """The manager worked, and says why the module could not be opened (6.4)."""
    dsp = Dsp({}, (error ^ 0x80000000) - 0x80000000)
    with pytest.raises(qda.DspError, match="said") as caught:
        ModuleManager(dsp, "cdsp").open("x")
    assert caught.value.status == error
    assert dsp.asked == [(8, 2)]


@pytest.mark.parametrize("status", OTHER_REFUSALS, ids=hex)
def test_a_dsp_that_refuses_to_call_hosts_is_not_asked_twice(status: int) -> None:
    """The listener has two entrances as well (7.1)."""
    asked = []

    def invoke(handle: int, method: int, ins: Sequence[Any], outs: Sequence[Any]) -> int:
        asked.append(handle)
        return status

    assert ListenerThreads(invoke, HostModules(), "old").start() == status
    assert asked == [7]


class Deadly(qda.Skeleton, name="deadly"):
    """Takes its process along, when it is opened or closed."""

    def open(self, uri: str) -> None:
        if "_now=1" in uri:
            os._exit(1)

    def close(self) -> None:
        os._exit(1)


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_a_module_that_kills_its_process_is_reported_as_that(
    machine: Machine, dialect: str
) -> None:
    """39, as for any call in flight; what follows finds the process dead (U7)."""
    with open_session(machine, dialect) as session:
        session.install(Deadly)
        uri = "file:///libdeadly_skel.so?deadly_skel_handle_invoke&_modver=1.0&_now=1"
        with pytest.raises(qda.DspError) as caught:
            session.load(uri)
        assert caught.value.status == PROCESS_DIED
        with pytest.raises(qda.DspError) as caught:
            session.load(uri)
        assert caught.value.status == BAD_STATE
    with open_session(machine, dialect) as session:
        module = session.load(Deadly)
        with pytest.raises(qda.DspError) as caught:
            module.close()
        assert caught.value.status == PROCESS_DIED
