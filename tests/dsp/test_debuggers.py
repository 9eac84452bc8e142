"""What looks into a skeleton in C from outside: debuggers and checkers of memory.

The recipes of docs/when-it-goes-wrong.md are run with that page; here is what they stand on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

import qda
from qda.client import RemoteModule
from tests.idl.native.compiler import find_compiler

WITHOUT_PIDFDS = """
import errno, os
def pidfd_open(pid, flags=0):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
os.pidfd_open = pidfd_open
"""

DIES = """
import os
import qda
class Victim(qda.Skeleton):
    @qda.method(2)
    def pid(self, out):
        import os
        out[:] = os.getpid().to_bytes(4, "little")
    @qda.method(3)
    def die(self):
        import os
        os._exit(3)
with qda.open("cdsp", device="virtual") as other, qda.open("cdsp", device="virtual") as session:
    with session.load(Victim) as victim:
        try:
            victim.invoke(3)
        except qda.DspError as error:
            print(error.detail)
    with other.load(Victim) as bystander:
        print(int.from_bytes(bystander.invoke(2, [], [4])[0], "little") != os.getpid())
"""


@pytest.fixture
def without_pidfds(tmp_path: Path) -> dict[str, str]:
    """The environment of programs that have no pidfds, as under valgrind before 3.21."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_PIDFDS)
    return {**os.environ, "PYTHONPATH": os.fspath(tmp_path)}


def test_a_dsp_lives_and_dies_without_pidfds(without_pidfds: dict[str, str]) -> None:
    """The end of a protection domain is known by the end of its channel."""
    program = [sys.executable, "-c", DIES]
    ran = subprocess.run(program, capture_output=True, text=True, env=without_pidfds, timeout=50)
    assert ran.stdout.splitlines()[0].startswith(
        "the protection domain has ended itself: exit status 3, in die"
    ), ran.stderr
    assert ran.stdout.splitlines()[1:] == ["True"]
    assert ran.stderr == ""


SOURCE = """
#include <unistd.h>
int doubled_skel_invoke(unsigned scalars, int **arguments)
{
    int result = *arguments[0] * 2;
    *arguments[2] = scalars >> 24 == 2 ? result : getpid();
    return 0;
}
"""


@pytest.fixture
def doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteModule]:
    """A skeleton that was built with symbols, on a DSP that has found its file."""
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("there is no C compiler")
    (tmp_path / "doubled.c").write_text(SOURCE)
    command = [compiler, "-g", "-O0", "-shared", "-fPIC", "doubled.c", "-o", "libdoubled_skel.so"]
    subprocess.run(command, check=True, cwd=tmp_path)
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    uri = "file:///libdoubled_skel.so?doubled_skel_invoke"
    with qda.open("cdsp", device="virtual") as session, session.load(uri) as module:
        yield module


@pytest.mark.skipif(shutil.which("gdb") is None, reason="there is no gdb")
def test_a_debugger_stops_in_a_skeleton_and_shows_its_source(doubled: RemoteModule) -> None:
    """Attached to its protection domain, which goes on when the debugger has gone."""
    four = (4).to_bytes(4, "little")
    pid = int.from_bytes(doubled.invoke(3, [four], [4])[0], "little")
    assert Path(f"/proc/{pid}/comm").read_text() == "qda cdsp user\n"
    words = ["break doubled_skel_invoke", "continue", "next", "print result", "list", "detach"]
    commands = [argument for word in words for argument in ("-ex", word)]
    with subprocess.Popen(
        ["gdb", "-q", "-nx", "-batch", "-p", str(pid), *commands],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as debugger:
        assert debugger.stdout is not None
        before = list(takewhile(lambda line: "Breakpoint 1 at" not in line, debugger.stdout))
        if "ptrace: " in "".join(before):
            pytest.skip("processes may not be attached to here")
        result = doubled.invoke(2, [four], [4], timeout=50)[0]
        told = debugger.stdout.read()
    assert int.from_bytes(result, "little") == 8
    assert "doubled_skel_invoke (" in told and "doubled.c:5" in told
    assert "$1 = 8" in told and "int result = *arguments[0] * 2;" in told
