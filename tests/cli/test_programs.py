"""`qda run` and `qda serve`: other programs on virtual devices."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import PROGRAM, environment, processes_with, qda
from tests.shim.conftest import programs as programs  # the fixture
from tests.shim.system import SKELETONS, Programs, needs_library
from tests.waiting import until

pytestmark = needs_library

QUERY = """
import qda
with qda.open("cdsp", device="/dev/accel/accel1") as session:
    numbers = session.empty(4, "i4")
    numbers[:] = 2
    answer = bytearray(8)
    module = session.load("file:///libcalculator_skel.so?calculator_skel_handle_invoke&_modver=1.0")
    module.invoke(2, [b"\\4\\0\\0\\0", numbers], [answer])
    print(session.node, session.dialect, int.from_bytes(answer, "little"))
"""


@contextmanager
def started(*arguments: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """`qda ARGUMENTS...` while the block runs; nothing is left of it, whatever happens there."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        env=environment(**variables),
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    return qda("run", *(str(argument) for argument in arguments), status=status)


def test_python_programs_use_the_nodes_by_system_calls() -> None:
    """R1: the same client, through open, ioctl and mmap of libc."""
    ran = run("--dialect=v1", f"--skeletons={SKELETONS}", sys.executable, "-c", QUERY)
    assert ran.stdout == "/dev/accel/accel1 v1 8\n"
    assert ran.stderr == ""


def test_without_a_server_the_nodes_go_and_the_program_goes_on() -> None:
    """The server is loaded when the program opens a node, and that may fail like anything else."""
    broken = "import sys; sys.modules['qda.shim.server'] = None"
    script = "cat {0} 2>/dev/null || while test -e {0}; do sleep 0.01; done; echo gone"
    ran = qda("run", "--", "sh", "-c", script.format("/dev/accel/accel1"), before=broken)
    assert ran.stdout == "gone\n"
    assert ran.stderr.startswith("qda: no device server: ")


REMOVE = """
import os, shutil, tempfile
folder = tempfile.mkdtemp()
os.makedirs(f"{folder}/a/b")
open(f"{folder}/a/b/c", "w").close()
shutil.rmtree(folder)
print(os.path.exists(folder))
"""


def test_folders_of_the_host_are_removed() -> None:
    """Relative to an open folder, too: that is how trees of folders are removed."""
    assert run("--", sys.executable, "-c", REMOVE).stdout == "False\n"


TAKE_ALL = """
import fcntl, os, struct
refused = 0
for _ in range(20):
    node = os.open("/dev/accel/accel1", os.O_RDWR)
    try:
        fcntl.ioctl(node, 0xC0106441, bytearray(struct.pack("=IIQ", 0, 0, 4096)))
    except OSError:
        refused += 1
print(os.getpid(), refused)
"""


def test_a_program_without_a_context_bank_is_told_once_who_has_them() -> None:
    """It gets only an errno, each time; on standard error stands what to do."""
    ran = run("--", sys.executable, "-c", TAKE_ALL)
    process, refused = ran.stdout.split()
    told = f"qda: {20 - int(refused)} of {20 - int(refused)} context banks of profile generic are "
    assert ran.stderr.startswith(f"{told}in use, by process {process}: close sessions")
    assert ran.stderr.count("\n") == 1 and int(refused) > 1


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_forty_programs_at_once_share_twelve_banks(programs: Programs, tmp_path: Path) -> None:
    """`make -j40`, of programs that know nothing of each other."""
    names = " ".join(f"program{number}" for number in range(40))
    makefile = tmp_path / "Makefile"
    makefile.write_text(f"all: {names}\n{names}:\n\t@{programs.build('session')} && echo $@\n")
    ran = run("--banks=12", "--", "make", "-s", "-j40", "-C", tmp_path)
    assert sorted(ran.stdout.split()) == sorted(names.split()) and ran.stderr == ""


def test_banks_and_waiting_are_chosen() -> None:
    """What a kernel does, at once; and who is refused is told of both."""
    ran = run("--banks=3", "--wait=0", "--", sys.executable, "-c", TAKE_ALL)
    assert ran.stdout.split()[1] == "17"
    assert ran.stderr.startswith("qda: 3 of 3 context banks of profile generic are in use")
    assert "(--banks)" in ran.stderr


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)]
)
def test_exit_status_is_the_programs(script: str, status: int) -> None:
    """As shells give it: 128 + n after signal n."""
    run("--", "sh", "-c", script, status=status)


def test_program_that_cannot_be_started(tmp_path: Path) -> None:
    """127 if there is none, 126 if it cannot be executed."""
    assert "No such file" in run("nowhere-to-be-found", status=127).stderr
    (tmp_path / "text").write_text("text")
    assert "Permission denied" in run(tmp_path / "text", status=126).stderr


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--skeletons=/nowhere"], "not a folder"),
        (["--profile=nowhere"], "profile 'nowhere'"),
        (["--mixed", "--dialect=v1"], "only in dialect rfc"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, status 1, and nothing is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ran = run(*options, "true", status=1)
    assert complaint in ran.stderr and len(ran.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


RAW = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) { return syscall(SYS_openat, AT_FDCWD, "/dev/accel/accel0", O_RDWR) >= 0; }
"""


def compiled(folder: Path, *options: str) -> Path:
    """A program that asks the system by itself.  Skips without a compiler for it."""
    source = folder / "raw.c"
    source.write_text(RAW)
    command = ["gcc", str(source), "-o", str(folder / "raw"), *options]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"gcc {' '.join(options)} makes no program here")
    return folder / "raw"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "has opened no node; what a program asks"),
        (("-static",), "sees no nodes, as it is linked statically"),
    ],
)
@pytest.mark.parametrize("shell", [False, True])
def test_a_program_that_cannot_see_nodes_is_told_of(
    tmp_path: Path, options: tuple[str, ...], words: str, shell: bool
) -> None:
    """Once, at the end, with what to do; a child that asks by itself cannot be known."""
    program = compiled(tmp_path, *options)
    command = ["sh", "-c", f"{program}; {program}"] if shell else [program]
    ran = run("--", *command)
    if shell and not options:
        assert ran.stderr == ""
    else:
        assert ran.stderr.startswith(f"qda: raw {words}") and ran.stderr.count("\n") == 1


def test_a_limit_that_is_too_low_for_a_dsp_is_told() -> None:
    """The program gets ENOMEM alone, and the limit is that of `qda run`."""
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))"
    ran = qda("run", "--", "sh", "-c", "exec 9<>/dev/accel/accel0", before=limited, status=2)
    assert "qda: /dev/accel/accel0: RLIMIT_AS allows 2048 MiB of addresses" in ran.stderr


LOST = {
    "env -i ls /dev/accel": "qda: ls was started without LD_PRELOAD",
    "env -u QDA_SOCKET ls /dev/accel": "qda: ls was started without LD_PRELOAD",
    "env LD_PRELOAD=libm.so.6 ls /dev/accel": "qda: ls was started with an LD_PRELOAD of its own",
}


@pytest.mark.parametrize("options", [(), ("--trace",)], ids=["", "traced"])
@pytest.mark.parametrize("command", LOST)
def test_a_program_that_has_lost_the_library_is_told_of(
    command: str, options: tuple[str, ...]
) -> None:
    """With who has lost it, and what to do."""
    ran = run(*options, "--", "sh", "-c", f"{command} 2>/dev/null; true")
    assert ran.stderr.startswith(LOST[command]) and ran.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")
def test_a_program_of_another_user_is_told_of() -> None:
    """It may not use what is the server's user's."""
    command = "setpriv --reuid=65534 --clear-groups cat /dev/accel/accel0 2>/dev/null; true"
    ran = run("--", "sh", "-c", command)
    assert ran.stderr.startswith("qda: cat runs as another user than qda")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "ls /dev/accel /dev/null >/dev/null; cat /dev/null; make -v >/dev/null 2>&1; true",
        "test -e /dev/accel/accel9; true",
        "env -i true; exec 9<>/dev/fastrpc-cdsp",
        "LD_PRELOAD=libm.so.6:$LD_PRELOAD ls / >/dev/null",
    ],
)
def test_nothing_is_told_of_programs_that_see_the_nodes(command: str) -> None:
    """Nor if one has used them: then the others had no need to."""
    assert run("--", "sh", "-c", command).stderr == ""


FULL = """
import errno, os
made = 0
def refuse(name, *rest, **more):
    global made
    made += 1
    if made > {0}:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    return mkdir(name, *rest, **more)
mkdir, os.mkdir = os.mkdir, refuse
"""


@pytest.mark.parametrize("room", range(4))
def test_a_full_disk_is_told_in_a_sentence(room: int) -> None:
    """Whichever folder cannot be made: which disk, and what to do; nothing is left."""
    with tempfile.TemporaryDirectory(dir="/tmp") as short:  # as paths of sockets have to be
        before = f"import os; os.environ['TMPDIR'] = {short!r}\n" + FULL.format(room)
        ran = qda("run", "--", "true", before=before, status=1)
        assert ran.stderr.startswith(f"qda: {short}: there is no place for the device server: No s")
        assert "free some room" in ran.stderr and ran.stderr.count("\n") == 1
        assert os.listdir(short) == []


def test_no_folder_for_temporary_files_is_told_in_a_sentence() -> None:
    """All disks are full, or no file may have a byte."""
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    ran = qda("run", "--", "true", before=before, status=1)
    assert ran.stderr.startswith("qda: there is no place for the device server: No usable temp")
    assert "free some room" in ran.stderr and ran.stderr.count("\n") == 1


@pytest.mark.parametrize("trace", ["--trace", "--trace=summary"])
def test_a_trace_on_a_full_disk_is_told_of_once(trace: str) -> None:
    """And the program's status is its own."""
    program = "exec 3<>/dev/accel/accel0; exec 4<>/dev/accel/accel1; exit 7"
    ran = run(trace, "--trace-file=/dev/full", "--", "sh", "-c", program, status=7)
    words = "No space left on device: the trace is not whole"
    assert ran.stderr == f"qda: --trace-file /dev/full: {words}\n"


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_what_is_closed_of_the_standard_files_is_closed_for_the_program(closed: str) -> None:
    """Nothing else gets their numbers here, so nothing is printed into it."""
    program = "test -c /dev/accel/accel0 && exec 9<>/dev/accel/accel0 && ls /proc/$$/fd"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", PROGRAM, "run"]
    done = subprocess.run(
        [*command, "--", "sh", "-c", program],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    there = done.stdout.split()
    assert "1" in there and "9" in there
    assert ("0" in there, "2" in there) == ("<" not in closed, "2" not in closed)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/proc/nothing/socket", "No such file or directory; choose a folder that exists"),
        ("/etc/passwd/socket", "Not a directory; choose a folder"),
        (f"/tmp/{'x' * 200}", "longer than a socket's path"),
    ],
)
def test_a_bad_place_for_the_socket_is_told_in_a_sentence(place: str, words: str) -> None:
    """`qda serve` ends with it, before anything is made."""
    ran = qda("serve", "--socket", place, status=1)
    assert words in ran.stderr and ran.stderr.count("\n") == 1


def test_a_trace_that_cannot_be_written_is_told_in_a_sentence() -> None:
    """Before the program starts."""
    ran = run("--trace", "--trace-file=/proc/nothing/trace", "--", "echo", "started", status=1)
    words = "No such file or directory: there is no folder /proc/nothing"
    assert ran.stderr == f"qda: --trace-file /proc/nothing/trace: {words}\n"
    assert ran.stdout == ""


def test_options_after_the_program_are_the_programs() -> None:
    """With and without "--"."""
    assert run("echo", "--trace", "--profile").stdout == "--trace --profile\n"
    assert run("--", "printf", "%s", "--trace").stdout == "--trace"


def test_environment_and_signals_are_the_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals go on to the program; when it has ended, nothing is left."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = 'trap "exit 5" USR1; echo $DSP_LIBRARY_PATH; while :; do sleep 0.05; done'
    variables = {"DSP_LIBRARY_PATH": "/x", "QDA_TEST_MARKER": str(tmp_path)}
    with started("run", f"--skeletons={SKELETONS}", "sh", "-c", script, **variables) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{SKELETONS};/x\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(50) == 5
    until(lambda: not processes_with(f"QDA_TEST_MARKER={tmp_path}"))
    assert list(tmp_path.iterdir()) == []


def test_signals_that_python_ignores_are_not_ignored_by_programs() -> None:
    """Broken pipes end programs as usual."""
    command = ["sh", "-c", "grep SigIgn /proc/self/status"]
    plain = subprocess.run(command, capture_output=True, text=True).stdout
    spawned = run(*command).stdout
    # Of what posix_spawn of glibc itself ignores, its own signals 32 and 33, programs know nothing.
    known = (1 << 31) - 1
    assert int(spawned.split()[1], 16) & known == int(plain.split()[1], 16) & known


def with_ignored(name: str, *command: str) -> int:
    """The exit status of `qda run` where a signal is ignored, as by nohup."""
    made = [sys.executable, "-c", PROGRAM, "run", "--", *command]
    before = f"import os, signal; signal.signal(signal.{name}, signal.SIG_IGN); "
    script = f"{before}os.execv({made[0]!r}, {made!r})"
    return subprocess.run([sys.executable, "-c", script], env=environment(), timeout=60).returncode


def test_what_is_ignored_before_stays_ignored() -> None:
    """As in a shell's background."""
    ask = "grep -q '^SigIgn:.*[13579bdf]$' /proc/self/status"  # bit 0 is SIGHUP
    assert with_ignored("SIGHUP", "sh", "-c", ask) == 0


def test_the_exit_status_is_there_also_if_children_are_ignored() -> None:
    """The kernel forgets it where SIGCHLD is ignored."""
    assert with_ignored("SIGCHLD", "sh", "-c", "exit 7") == 7


def test_trace_decodes_each_call(programs: Programs, tmp_path: Path) -> None:
    """From the declarations of the records, like strace."""
    trace = tmp_path / "trace"
    program = programs.build("calculator")
    run("--trace", f"--trace-file={trace}", f"--skeletons={SKELETONS}", program)
    text = re.sub(r"0x[0-9a-f]{9,}", "ADDRESS", trace.read_text())
    text = re.sub(r"\[\d+/\d+\]", "[WHO]", re.sub(r"<0\.\d+>", "<TIME>", text))
    for line in (
        '[WHO] open("/dev/accel/accel1", O_RDWR|O_CLOEXEC) = 0',
        "[WHO] ioctl(3</dev/accel/accel1>, DRM_IOCTL_QDA_GEM_CREATE, "
        "{handle=1, pad=0, size=20000}) = 0 <TIME>",
        "[WHO] mmap(3</dev/accel/accel1>, 20000 bytes from ADDRESS) = 0",
        "[WHO] ioctl(3</dev/accel/accel1>, DRM_IOCTL_QDA_INVOKE, {handle=0x7ffffff0, "
        "sc=0x00000000 (method 0), args=0x0}) = 0x8000042c AEE_EBADHANDLE <TIME>",
        "args=[{ptr=ADDRESS, length=4, fd=-1, attr=0x0}, {ptr=ADDRESS, length=8, fd=1, attr=0x0}",
        "= -1 EFAULT (Bad address) <TIME>",
    ):
        assert line in text


def test_trace_has_the_release_of_what_a_program_leaves_open(
    programs: Programs, tmp_path: Path
) -> None:
    """The trace ends after the last node, and the program's status is its own."""
    trace = tmp_path / "trace"
    program = programs.build("threads")
    assert run(f"--trace-file={trace}", "--trace", f"--skeletons={SKELETONS}", program).stderr == ""
    assert trace.read_text().endswith("the last descriptor of </dev/accel/accel1> is closed\n")


def test_trace_of_the_wire_has_messages_and_payloads(programs: Programs) -> None:
    """From the declarations of what crosses the channel (spec 2, 3)."""
    program = programs.build("calculator", "legacy")
    trace = run("--trace=wire", f"--skeletons={SKELETONS}", program).stderr
    assert "in 0: fastrpc_create_process_inbuf {client_id=" in trace
    assert re.search(
        r"cdsp <- \{client_id=0, tid=\d+, context=0x\w+, handle=1, scalars=0x70400", trace
    )
    assert re.search(r"cdsp <-   in 1: 32 bytes: 03000000 ffffffff 04000000", trace)
    assert re.search(r"cdsp ->   out 2: 8 bytes: 13000000 00000000", trace)
    assert re.search(r"20000 bytes at device address 0x\w+", trace)
    assert "DMA_HEAP_IOCTL_ALLOC, {len=20000, fd=" in trace
    assert "the last descriptor of </dev/fastrpc-cdsp-secure> is closed" in trace


def test_serve_prints_variables_for_shells(programs: Programs, tmp_path: Path) -> None:
    """Programs that are started elsewhere are let in by them; SIGTERM ends it all, status 0."""
    socket = tmp_path / "a socket"
    with started("serve", "--socket", socket, "--skeletons", SKELETONS) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        script = "".join(lines) + f"{shlex.quote(str(programs.build('calculator')))}"
        assert subprocess.run(["sh", "-c", script]).returncode == 0
        process.terminate()
        assert process.wait(50) == 0
    assert list(tmp_path.iterdir()) == []


CONFORMANCE = {
    "rfc": "/dev/accel/accel1",
    "v1": "/dev/accel/accel1",
    "handle": "/dev/accel/accel1",
    "legacy": "/dev/fastrpc-cdsp-secure",
    "legacy-7.3": "/dev/fastrpc-cdsp-secure",
}

CALLS = ("invoke", "mappings", "poll")

WAYS = {"lanes": ("core", "buffers", "prime", *CALLS), "no-lanes": CALLS}
"""What depends on the way in, and on the way of calls: all other requests go to the server in any
case.  All: `qda run python -m pytest src/qda/conformance --device=...`."""

WITHOUT_LANES = CONFORMANCE if "QDA_EVERYWHERE" in os.environ else ("rfc", "legacy")
"""The dialects that go both ways: the driver's handlers differ in others, the way to them does not.
With QDA_EVERYWHERE in the environment all of them."""


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("dialect", "way"),
    [
        *((dialect, "lanes") for dialect in CONFORMANCE),
        *((dialect, "no-lanes") for dialect in WITHOUT_LANES),
    ],
)
def test_conformance_suite_passes_through_the_library(dialect: str, way: str) -> None:
    """The rules that hold for the device in this process hold by real system calls, whether the
    program calls on lanes or through the server."""
    options = [f"--{way}", f"--dialect={dialect}"]
    files = [f"src/qda/conformance/test_{name}.py" for name in WAYS[way]]
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    device = [f"--device={CONFORMANCE[dialect]}", "--hostile"]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, "run", *options, *suite, *device],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=environment(),
    )
    assert ran.returncode == 0, ran.stdout


REFUSED = """
import os
from qda.linux import ioctl
from qda.uapi import V1
from qda.uapi.accel import InvokeElementV1
from qda.linux import address_of

node = os.open("/dev/accel/accel1", os.O_RDWR)
element = bytearray(InvokeElementV1(ptr=1, length=1 << 40, fd=-7).pack())
for key, fields in (
    ("GEM_CREATE", {"size": 0}),
    ("GEM_CREATE", {"size": 1, "pad": 3}),
    ("MAP", {"request": 9}),
    ("INVOKE", {"handle": 3, "scalars": 0x02010000, "arguments": address_of(element)}),
):
    command = V1.by_key[key]
    try:
        ioctl(node, command.code, bytearray(command.record(**fields).pack()))
    except OSError:
        pass
"""


def test_trace_says_which_rule_an_einval_is_about(tmp_path: Path) -> None:
    """The records know them."""
    trace = tmp_path / "trace"
    run("--dialect=v1", "--trace", f"--trace-file={trace}", sys.executable, "-c", REFUSED)
    text = trace.read_text()
    for rule in (
        "size is 0: 1 to 2^64 - 4096",
        "pad is 3: must be 0",
        "request is 9: 1 (LEGACY) or 2 (ATTR)",
        "argument 0: length is 1099511627776: ",
    ):
        assert f"= -1 EINVAL (Invalid argument: {rule}" in text


DIES = """
import qda
class Dies(qda.Skeleton):
    @qda.method(2)
    def die(self):
        self.dsp.log.warning("about to die")
        import os; os._exit(3)
with qda.open("cdsp", device="/dev/accel/accel1") as session, session.load(Dies) as module:
    try:
        module.invoke(2)
    except qda.DspError as error:
        print(hex(error.status))
        print(error.detail, *error.log, *error.backtrace, *session.read_log(), sep="\\n")
    try:
        module.invoke(2)
    except qda.DspError as error:
        print(error.detail)
"""


def test_how_a_protection_domain_has_died_is_printed() -> None:
    """Once, with the process whose it was, also if the program ends at once; and its library asks
    for the words, so that its errors and its log have them, too."""
    ran = run("--", sys.executable, "-c", DIES)
    status, detail, log, *told = ran.stdout.splitlines()
    assert status == "0x27"
    assert detail == "the protection domain has ended itself: exit status 3, in die at <string>:7"
    assert log == "WARNING about to die"
    assert [line for line in told if line == detail] == [detail] * 2
    assert told[0] == "Backtrace of Python (most recent call last):"
    first, *more = ran.stderr.splitlines()
    words = r"qda: process \d+, cdsp: the protection domain has ended itself: exit status 3, in die"
    assert re.match(words, first), ran.stderr
    assert "Backtrace of Python (most recent call last):" in more
    assert ran.stderr.count("exit status 3") == 1
