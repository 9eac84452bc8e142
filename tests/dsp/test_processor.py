"""What opening a session costs its protection domain."""

import os
import subprocess
import sys

from qda import limits
from tests.system import children_of, new_machine, open_session

TERMINAL = """
import fcntl, os, termios
import qda

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
modes = termios.tcgetattr(0)
modes[3] |= termios.TOSTOP
termios.tcsetattr(0, termios.TCSANOW, modes)


class Writer(qda.Skeleton):
    @qda.method(2)
    def write(self) -> None:
        os.write(2, b"from the DSP")


with qda.open("cdsp", device="virtual") as session, session.load(Writer) as writer:
    writer.invoke(2)
"""


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


def test_a_dsp_is_in_the_process_session_of_its_program_and_in_no_group_with_it() -> None:
    """Ctrl-C is not for it, and a CPU goes from hand to hand: Linux may give sessions shares."""
    system = new_machine()
    try:
        with open_session(system):
            processes = [system.pids[0], *children_of(system.pids[0])]
            assert {os.getsid(process) for process in processes} == {os.getsid(0)}
            assert os.getpgid(0) not in {os.getpgid(process) for process in processes}
    finally:
        system.close()


def test_a_dsp_writes_to_a_terminal_where_who_is_in_the_background_is_to_stop() -> None:
    ours, theirs = os.openpty()
    try:
        subprocess.run(
            [sys.executable, "-c", TERMINAL],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            timeout=60,
            check=True,
        )
        assert os.read(ours, 64) == b"from the DSP"
    finally:
        os.close(ours)
        os.close(theirs)


def window_of(process: int) -> int:
    """The lowest address that a process has."""
    with open(f"/proc/{process}/maps") as maps:
        return int(maps.readline().partition("-")[0], 16)
