"""A protection domain that dies before it has lanes leaves nothing of its session."""

from __future__ import annotations

import errno
import gc
from contextlib import closing

import pytest

from qda.driver.peer import Peer
from tests.system import census, new_machine, open_file
from tests.waiting import until


def test_session_without_lanes_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is that of the lanes."""

    def refuse(peer: Peer, count: int) -> None:
        raise OSError(errno.ENODEV, "it has died")

    gc.collect()  # what other tests have dropped is not to go while this one counts
    with closing(new_machine()) as machine:
        open_file(machine).close()
        before = census(machine)
        monkeypatch.setattr(Peer, "add_lanes", refuse)
        with pytest.raises(OSError) as failed:
            open_file(machine)
        assert failed.value.errno == errno.ENODEV
        until(lambda: census(machine) == before, 10)
