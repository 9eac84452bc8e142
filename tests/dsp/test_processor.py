"""What opening a session costs its protection domain."""

import os

from qda import limits
from tests.system import children_of, new_machine, open_session


def test_a_protection_domain_has_one_thread_besides_its_lanes() -> None:
    """The thread that it begins with serves its session: another would make each open longer."""
    system = new_machine()
    try:
        with open_session(system):
            root, ours = sorted(children_of(system.pids[0]))
            assert len(os.listdir(f"/proc/{ours}/task")) == 1 + limits.LANES
            assert len(os.listdir(f"/proc/{root}/task")) == 2 + limits.LANES
    finally:
        system.close()


def test_protection_domains_have_their_windows_at_one_address() -> None:
    """They begin with what the processor has made, also with its addresses."""
    system = new_machine()
    try:
        with open_session(system), open_session(system):
            windows = {window_of(child) for child in children_of(system.pids[0])}
            assert windows == {window_of(system.pids[0])}
    finally:
        system.close()


def window_of(process: int) -> int:
    """The lowest address that a process has."""
    with open(f"/proc/{process}/maps") as maps:
        return int(maps.readline().partition("-")[0], 16)
