"""A server's place where others can write: nothing of theirs is trusted, nothing of ours is theirs.

The shared folder of these tests is sticky and open to everyone, as /tmp is.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from errno import EACCES
from pathlib import Path

import pytest

from qda.errors import UsageError
from qda.shim.launch import environment
from qda.shim.place import Place
from qda.shim.protocol import Request
from qda.shim.server import DeviceServer
from qda.virtual import Machine
from tests.shim.system import needs_library
from tests.system import children_of

STRANGER = 65534
"""A user who has nothing to do with ours: nobody."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder like /tmp, which other users can reach, unlike those that pytest makes."""
    with tempfile.TemporaryDirectory(prefix="qda-test-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file that stays as it is, and where it is, whatever happens."""
    file = tmp_path / "precious"
    file.write_text("precious")
    file.chmod(0o600)
    yield file
    assert file.read_text() == "precious"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def as_stranger(action: Callable[[], object]) -> int:
    """Run something as another user; returns 0 or the errno with which it has failed."""
    child = os.fork()
    if not child:
        problem = 255
        try:
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            action()
            problem = 0
        except OSError as error:
            problem = error.errno or 255
        finally:
            os._exit(problem)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Everything below a folder: its path, what it is, and how long."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), status.st_mode, status.st_size) for path, status in found]


def refused(machine: Machine, folder: Path, why: str) -> None:
    """A server in the folder is refused, and leaves everything as it is."""
    before, descriptors = listing(folder), len(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError, match=why):
        DeviceServer(machine, folder / "server")
    assert listing(folder) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def made(folder: Path) -> Path:
    """A folder as a server would have it, of our own user."""
    (folder / "server.dev" / "accel").mkdir(parents=True)
    return folder / "server.dev"


# What stands there already.


@needs_root
def test_folder_of_another_user_is_refused(machine: Machine, shared: Path, precious: Path) -> None:
    """Above all one with a link where a placeholder would be, which root would follow."""

    def prepare() -> None:
        (shared / "server.dev" / "accel").mkdir(parents=True)
        (shared / "server.dev" / "accel" / "accel0").symlink_to(precious)

    assert as_stranger(prepare) == 0
    refused(machine, shared, f"belongs to user {STRANGER}")


@needs_root
def test_folder_that_another_user_has_locked_is_refused_for_its_owner(
    machine: Machine, shared: Path
) -> None:
    """The reason is not that a server is there: there is none."""
    assert as_stranger((shared / "server.dev").mkdir) == 0
    refused(machine, shared, "belongs to user")


@needs_root
def test_socket_of_another_user_is_refused(machine: Machine, shared: Path) -> None:
    """Root could remove it, and its owner would wonder."""

    def bind() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as theirs:
            theirs.bind(str(shared / "server"))

    assert as_stranger(bind) == 0
    refused(machine, shared, f"belongs to user {STRANGER}")


@needs_root
def test_file_of_another_user_in_our_own_folder_is_refused(machine: Machine, shared: Path) -> None:
    """A folder that was open to everyone, for whatever reason."""
    folder = made(shared)
    (folder / "accel" / "accel0").touch()
    os.chown(folder / "accel" / "accel0", STRANGER, STRANGER)
    refused(machine, shared, f"accel0 belongs to user {STRANGER}")


@pytest.mark.parametrize("target", ["folder", "nowhere"])
def test_link_in_the_place_of_the_folder_is_refused(
    machine: Machine, shared: Path, target: str
) -> None:
    """Also one of our own, and one that leads nowhere."""
    (shared / "folder").mkdir()
    (shared / "server.dev").symlink_to(shared / target)
    refused(machine, shared, "not a folder")


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_other_things_in_the_place_of_the_folder_are_refused(
    machine: Machine, shared: Path, make: Callable[[Path], None]
) -> None:
    """A fifo is not waited for."""
    make(shared / "server.dev")
    refused(machine, shared, "not a folder")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path.touch])
def test_other_things_in_the_place_of_the_socket_are_refused(
    machine: Machine, shared: Path, make: Callable[[Path], None]
) -> None:
    """They are somebody's."""
    make(shared / "server")
    refused(machine, shared, "not a socket")


@pytest.mark.parametrize("target", ["socket", "nowhere"])
def test_link_in_the_place_of_the_socket_is_refused(
    machine: Machine, shared: Path, target: str
) -> None:
    """Also one to a socket that is stale, and one that leads nowhere."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(shared / "socket"))
    (shared / "server").symlink_to(shared / target)
    refused(machine, shared, "not a socket")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_socket_of_a_living_program_is_refused(
    machine: Machine, shared: Path, kind: socket.SocketKind
) -> None:
    """It is no leftover, though it is ours."""
    with socket.socket(socket.AF_UNIX, kind) as alive:
        alive.bind(str(shared / "server"))
        if kind != socket.SOCK_DGRAM:
            alive.listen(1)
        refused(machine, shared, "a program listens there")


def _folder_with_a_file(at: Path, _: Path) -> None:
    at.mkdir()
    (at / "file").touch()


PREPARED: dict[str, Callable[[Path, Path], None]] = {
    "link": lambda at, precious: at.symlink_to(precious),
    "dangling link": lambda at, precious: at.symlink_to(precious.with_name("nowhere")),
    "hard link": lambda at, precious: at.hardlink_to(precious),
    "fifo": lambda at, _: os.mkfifo(at),
    "folder with a file": _folder_with_a_file,
}


@pytest.mark.parametrize("prepared", PREPARED)
def test_nothing_but_placeholders_is_removed_from_a_folder(
    machine: Machine, shared: Path, precious: Path, prepared: str
) -> None:
    """In the place of a placeholder, beside a real leftover, which stays too."""
    folder = made(shared)
    (folder / "accel" / "accel1").touch()
    PREPARED[prepared](folder / "accel" / "accel0", precious)
    refused(machine, shared, "accel0.* was not made by a device server")


def test_folder_of_somebodys_work_is_refused(machine: Machine, shared: Path) -> None:
    """Its name is a chance, and in the end it would have been removed."""
    (shared / "server.dev").mkdir()
    (shared / "server.dev" / "notes.txt").touch()
    refused(machine, shared, "notes.txt was not made by a device server")


def test_leftovers_of_servers_are_taken_over(machine: Machine, shared: Path) -> None:
    """Also of another profile, and of a server whose files were open to everyone."""
    folder = made(shared)
    for name in ("accel/accel0", "accel/accel17", "fastrpc-cdsp7", "subsys_mdsp"):
        (folder / name).write_bytes(b"")
        os.truncate(folder / name, 261 << 20)
        (folder / name).chmod(0o666)
    folder.chmod(0o777)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(shared / "server"))
    server = DeviceServer(machine, shared / "server")
    assert not (folder / "accel" / "accel17").exists()
    assert closed_to_others(shared)
    server.close()
    assert list(shared.iterdir()) == []


def test_folder_where_everybody_can_remove_what_is_ours_is_refused(
    machine: Machine, shared: Path
) -> None:
    """Without the sticky bit no check would hold any longer than it takes."""
    shared.chmod(0o777)
    refused(machine, shared, "every user can remove")


# What is exchanged meanwhile.


class Exchanging:
    """Stands for `os` in the module: before its nth use of the file system another user exchanges
    the server's folder for a link, as only in a folder without the sticky bit one could."""

    def __init__(self, nth: int, folder: Path, target: Path) -> None:
        self.nth, self.folder, self.target = nth, folder, target
        self.uses = 0

    def __getattr__(self, name: str) -> object:
        found = getattr(os, name)
        if name not in ("close", "fchmod", "ftruncate", "mkdir", "open", "rmdir", "stat", "unlink"):
            return found
        self.uses += 1
        if self.uses == self.nth:
            if self.folder.is_dir():
                self.folder.rename(self.folder.with_name("aside"))
            self.folder.symlink_to(self.target)
        return found


def test_folder_may_be_exchanged_at_any_moment(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is never followed, whether the claim succeeds or not."""
    target = tmp_path / "target"
    (target / "accel").mkdir(parents=True)
    (target / "accel" / "accel1").write_text("precious")
    before = listing(target)
    for nth in range(1, 100):
        here = shared / str(nth)
        made(here)
        (here / "server.dev" / "accel" / "accel1").touch()
        exchanging = Exchanging(nth, here / "server.dev", target)
        with monkeypatch.context() as patched:
            patched.setattr("qda.shim.place.os", exchanging)
            try:
                place = Place(here / "server", lambda name: name.startswith("accel"))
                place.create("accel/accel0", 1 << 20)
                place.close()
            except (OSError, UsageError):
                pass
        assert listing(target) == before
        if exchanging.uses < nth:
            break
    else:
        pytest.fail("the claim has more steps than were tried")


# What others can do with what is ours.


def closed_to_others(folder: Path) -> bool:
    """Whether nothing in a folder can be read, written or listed by others."""
    return not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in folder.rglob("*"))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o177])
def test_nothing_of_a_server_is_open_to_others(machine: Machine, shared: Path, umask: int) -> None:
    """Whatever the umask; a lock would need no more than a look."""
    before = os.umask(umask)
    try:
        server = DeviceServer(machine, shared / "server")
    finally:
        os.umask(before)
    assert (shared / "server.dev" / "accel" / "accel0").is_file()
    assert closed_to_others(shared)
    server.close()
    assert list(shared.iterdir()) == []


@needs_root
@pytest.mark.parametrize(
    "attempt",
    [
        lambda place: (place / "server.dev/accel/accel0").write_text("x"),
        lambda place: os.open(place / "server.dev", os.O_RDONLY),
        lambda place: (place / "server.dev/fastrpc-cdsp9").touch(),
        lambda place: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(
            str(place / "server")
        ),
    ],
    ids=["write", "lock", "add", "connect"],
)
def test_other_users_reach_nothing_of_a_server(
    machine: Machine, shared: Path, attempt: Callable[[Path], object]
) -> None:
    """In a place like /tmp, with the most generous umask."""
    before = os.umask(0)
    try:
        server = DeviceServer(machine, shared / "server")
    finally:
        os.umask(before)
    assert as_stranger(lambda: shared.joinpath("try").touch()) == 0
    assert as_stranger(lambda: attempt(shared)) == EACCES
    server.close()


FOREIGN_SERVER = """
import os, socket, sys
from qda.shim.protocol import VERSION, Answer, Kind
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.setresuid(*[int(sys.argv[2])] * 3)
listener.bind(sys.argv[1])
listener.listen()
print("listening", flush=True)
connection, _ = listener.accept()
connection.send(Answer(kind=Kind.WELCOME, number=VERSION).pack())
print(len(connection.recv(1000)), flush=True)
"""


@needs_library
@needs_root
@pytest.mark.parametrize(
    ("user", "asked"), [(STRANGER, False), (0, True)], ids=["other user", "same user"]
)
def test_program_asks_nothing_of_a_server_of_another_user(
    shared: Path, user: int, asked: bool
) -> None:
    """Where a server was, another user may put one, to which a program would send its data."""
    command = [sys.executable, "-c", FOREIGN_SERVER, str(shared / "server"), str(user)]
    program = [sys.executable, "-c", "open('/dev/accel/accel0')"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "listening\n"
        run = subprocess.run(
            program, env=environment(shared / "server"), capture_output=True, text=True
        )
        assert int(server.stdout.readline()) == asked * Request.byte_size
    assert "No such device" in run.stderr


def test_server_whose_caretaker_was_killed_leaves_nothing(machine: Machine, shared: Path) -> None:
    """And its place is still its own."""
    before = children_of(os.getpid())
    server = DeviceServer(machine, shared / "server")
    [caretaker] = set(children_of(os.getpid())) - set(before)
    os.kill(caretaker, signal.SIGKILL)
    os.waitid(os.P_PID, caretaker, os.WEXITED | os.WNOWAIT)
    with pytest.raises(UsageError, match="another device server"):
        DeviceServer(machine, shared / "server")
    server.close()
    assert list(shared.iterdir()) == []


def test_end_of_a_server_removes_only_what_it_has_made(
    machine: Machine, shared: Path, precious: Path
) -> None:
    """What was put beside its files meanwhile stays, and so does where a link leads."""
    server = DeviceServer(machine, shared / "server")
    (shared / "server.dev" / "accel" / "link").symlink_to(precious)
    server.close()
    assert [path.name for path in shared.rglob("*")] == ["server.dev", "accel", "link"]
