"""The server's place in the file system, its protocol, and clients that are not of the library."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from errno import EBADF, EFAULT, EINVAL
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.core import version
from qda.errors import UsageError
from qda.linux import address_of
from qda.shim import lending
from qda.shim.launch import additions
from qda.shim.library import find_library
from qda.shim.protocol import Answer, Kind, Operation, Request, c_header
from qda.shim.server import DeviceServer
from qda.uapi import accel, drm
from qda.virtual import Machine
from tests.shim.conftest import Systems
from tests.shim.system import Programs, System, needs_library, serving

ROOT = Path(__file__).parents[2]


@needs_library
def test_older_library_is_lent_no_lanes(
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said in one sentence, and its calls go through the server."""
    monkeypatch.setattr(version, "VERSION", version.VERSION + 1)
    with serving(tmp_path) as system:
        (said,) = caplog.messages
        assert "compiled from other sources, so every call goes through the server" in said
        made: list[object] = []
        monkeypatch.setattr(lending, "ProgramLease", made.append)
        system.run(programs.build("calculator"))
        assert not made


def test_header_of_the_library_is_that_of_the_declarations() -> None:
    """One source: `python -m qda.shim.protocol > native/preload/protocol.h`."""
    assert (ROOT / "native/preload/protocol.h").read_text() == c_header()


def test_preload_library_is_small() -> None:
    """It knows descriptors and memory, not devices: some fourteen hundred lines.  Calls on lanes,
    a thousand, stand in files of their own, and so do the functions of libc that every file has,
    with the telling of programs that see no nodes."""
    folder = ROOT / "native/preload"
    sources = {*folder.glob("*.[ch]")} - {folder / "protocol.h"}
    calling = {folder / name for name in ("direct.c", "kept.c", "lease.c", "lease.h")}
    names = "buffer", "change", "file", "other", "spawn", "stream", "unseen", "working"
    any_file = {folder / f"{name}.c" for name in names}
    assert calling < sources and any_file < sources
    for part, limit in ((sources - calling - any_file, 1420), (calling, 1020), (any_file, 1100)):
        assert sum(len(source.read_text().splitlines()) for source in part) < limit


def test_two_servers_do_not_share_a_place(machine: Machine, tmp_path: Path) -> None:
    """The second is refused, and the first stays as it is."""
    server = DeviceServer(machine, tmp_path / "server")
    listed = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="another device server"):
        DeviceServer(machine, tmp_path / "server")
    assert sorted(tmp_path.rglob("*")) == listed
    server.close()
    server.close()
    assert list(tmp_path.iterdir()) == []


def test_place_that_a_crash_has_left_is_taken_over(machine: Machine, tmp_path: Path) -> None:
    """A stale socket and a mirror without an owner."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stale:
        stale.bind(str(tmp_path / "server"))
    (tmp_path / "server.dev").mkdir()
    DeviceServer(machine, tmp_path / "server").close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_a_socket_is_replaced(machine: Machine, tmp_path: Path) -> None:
    """A file of somebody else's is not removed."""
    (tmp_path / "server").write_text("precious")
    with pytest.raises(UsageError, match="not a socket"):
        DeviceServer(machine, tmp_path / "server")
    assert (tmp_path / "server").read_text() == "precious"


def test_path_that_no_socket_can_have_is_refused(machine: Machine, tmp_path: Path) -> None:
    """Before anything is made."""
    with pytest.raises(UsageError, match=str(limits.SOCKET_PATH)):
        DeviceServer(machine, tmp_path / ("x" * limits.SOCKET_PATH))
    assert list(tmp_path.iterdir()) == []


def test_failed_start_leaves_nothing(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: every step of the set-up broken in turn."""
    before = len(os.listdir("/proc/self/fd"))
    for step in ("bind", "listen", "socketpair"):
        with monkeypatch.context() as broken:
            target = socket if step == "socketpair" else socket.socket
            broken.setattr(target, step, _refuse)
            with pytest.raises(OSError, match="broken"):
                DeviceServer(machine, tmp_path / "server")
        assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def _refuse(*_: object) -> None:
    raise OSError("broken")


def _connect(server: DeviceServer) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(20)
    connection.connect(str(server.socket))
    assert Answer.unpack(connection.recv(Answer.byte_size)).kind == Kind.WELCOME
    return connection


@needs_library
@given(messages=st.lists(st.binary(max_size=2 * Request.byte_size), max_size=3))
def test_nonsense_ends_a_connection_and_nothing_else(
    systems: Systems, messages: list[bytes]
) -> None:
    """Whatever is sent: the connection ends, the server serves the next."""
    system = systems.of("rfc")
    with _connect(system.server) as connection:
        for message in messages:
            try:
                connection.send(message)
            except OSError:
                break
        connection.shutdown(socket.SHUT_WR)
    with _connect(system.server):
        pass


@given(
    values=st.fixed_dictionaries(
        {
            "operation": st.sampled_from(list(Operation)),
            "descriptor": st.integers(-1, 1 << 20),
            "flags": st.integers(0, (1 << 32) - 1),
            "code": st.integers(0, (1 << 64) - 1),
            "argument": st.integers(0, (1 << 64) - 1),
            "token": st.binary(max_size=32),
            "name": st.sampled_from([b"", b"accel/accel0", b"dma_heap", b"../x", b"\xff"]),
        }
    )
)
@needs_library
def test_any_request_is_answered_or_ends_the_connection(
    systems: Systems, values: dict[str, Any]
) -> None:
    """Nothing a client sends is trusted: not tokens, not addresses."""
    system = systems.of("rfc")
    with _connect(system.server) as connection:
        connection.send(Request(number=1, tid=os.getpid(), **values).pack())
        if values["operation"] in (Operation.INTERRUPT, Operation.INSTALLED):
            return
        message, descriptors, _, _ = socket.recv_fds(connection, Answer.byte_size, 4)
        for descriptor in descriptors:
            os.close(descriptor)
        assert not message or Answer.unpack(message).number == 1


def _ask(connection: socket.socket, **values: Any) -> tuple[int, list[int]]:
    """Result of a request, and the descriptors that come with it."""
    connection.send(Request(number=1, tid=os.getpid(), **values).pack())
    message, descriptors, _, _ = socket.recv_fds(connection, Answer.byte_size, 4)
    return Answer.unpack(message).result, descriptors


def test_token_is_of_use_only_with_the_descriptor(machine: Machine, tmp_path: Path) -> None:
    """Everybody can read it in /proc/net/unix; who is given the descriptor may use it."""
    query = drm.CORE.commands[0]
    record = bytearray(query.record().pack()) if query.record else bytearray()
    with ExitStack() as stack:
        server = DeviceServer(machine, tmp_path / "server")
        stack.callback(server.close)
        connection, other = (stack.enter_context(_connect(server)) for _ in range(2))
        opened = {"operation": Operation.OPEN, "name": b"accel/accel0", "flags": os.O_RDWR}
        result, [node] = _ask(connection, **opened)
        assert result == 0
        request = {"code": query.code, "argument": address_of(record)}
        with socket.socket(fileno=node) as held:
            token = held.getsockname().split(b"/")[1]
            assert f"@qda/{token.decode()}/" in Path("/proc/net/unix").read_text()
            sender, receiver = socket.socketpair()
            stack.enter_context(sender)
            stack.enter_context(receiver)
            socket.send_fds(sender, [b"."], [node])
        for operation in (Operation.IOCTL, Operation.MMAP):
            for number in (-1, 0, node, other.fileno(), 1 << 20):
                asked = {"operation": operation, "token": token, "descriptor": number}
                assert _ask(other, **asked, **request) == (-EBADF, [])
        [given] = socket.recv_fds(receiver, 1, 1)[1]
        stack.callback(os.close, given)
        asked = {"operation": Operation.IOCTL, "token": token, "descriptor": given}
        assert _ask(other, **asked, **request) == (0, [])


def test_structure_travels_with_its_request(machine: Machine, tmp_path: Path) -> None:
    """It goes back with the answer, and nothing is read or written at its address."""
    create, elsewhere = accel.GEM_CREATE, accel.GEM_CREATE.code | 0x7F
    with ExitStack() as stack:
        server = DeviceServer(machine, tmp_path / "server")
        stack.callback(server.close)
        connection = stack.enter_context(_connect(server))
        opened = {"operation": Operation.OPEN, "name": b"accel/accel0", "flags": os.O_RDWR}
        node = stack.enter_context(socket.socket(fileno=_ask(connection, **opened)[1][0]))
        asked = Request(
            operation=Operation.IOCTL,
            number=7,
            tid=os.getpid(),
            descriptor=node.fileno(),
            token=node.getsockname().split(b"/")[1],
            argument=1 << 40,  # there is no memory
        )

        def answer(code: int, structure: bytes) -> tuple[int, bytes]:
            asked.code = code
            connection.send(asked.pack() + structure)
            message = connection.recv(1000)
            return Answer.unpack(message).result, message[Answer.byte_size :]

        request = accel.GemCreate(size=5000)
        assert answer(create.code, request.pack()) == (
            0,
            accel.GemCreate(handle=1, size=5000).pack(),
        )
        assert answer(elsewhere, request.pack()) == (-EINVAL, b"")
        assert answer(create.code, b"") == (-EFAULT, b"")


@needs_library
def test_thread_of_another_process_is_refused(system: System) -> None:
    """The server goes by SO_PEERCRED: a client cannot name somebody else's thread."""
    with _connect(system.server) as connection:
        connection.send(Request(operation=Operation.OPEN, tid=1, name=b"accel/accel0").pack())
        assert connection.recv(Answer.byte_size) == b""


@needs_library
def test_program_that_uses_no_node_behaves_the_same(system: System, tmp_path: Path) -> None:
    """U12: listings, descriptors, errors; other nodes are left alone."""
    (tmp_path / "accel").mkdir()
    (tmp_path / "accel" / "accel0").write_text("a file")
    script = (
        "ls -laR /usr/include/linux; find /etc -newer /etc/passwd; cat accel/accel0; "
        "stat accel/accel0; echo x > accel/system; cat accel/system; cd accel; cat ./accel0; "
        "stat -c %t:%T /dev/null /dev/zero; ls /dev/shm; "
        "cat /nowhere; ls /dev/accelerator; readlink /proc/self/exe; ulimit -n; ls /proc/self/fd"
    )
    command = ["sh", "-c", script]
    plain = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    preloaded = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=system.environment()
    )
    assert preloaded.stdout == plain.stdout
    assert preloaded.stderr == plain.stderr
    assert preloaded.returncode == plain.returncode


@needs_library
def test_library_without_a_server_does_nothing() -> None:
    """Without the variable every path is the system's."""
    variables = {"LD_PRELOAD": str(find_library())}
    run = subprocess.run(
        [sys.executable, "-c", "import os; os.stat('/dev/fastrpc-cdsp')"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
    )
    assert "FileNotFoundError" in run.stderr


@needs_library
def test_library_goes_behind_others() -> None:
    """What is preloaded already stays, and comes first."""
    made = additions(Path("/x"), {"LD_PRELOAD": "libother.so"})
    assert made["LD_PRELOAD"] == f"libother.so:{find_library()}"
    assert additions(Path("/x"), {})["LD_PRELOAD"] == str(find_library())


@needs_library
def test_what_the_user_tells_address_sanitizer_comes_last() -> None:
    """Of two settings it takes the later one."""
    made = additions(Path("/x"), {"ASAN_OPTIONS": "verify_asan_link_order=1"})
    assert made["ASAN_OPTIONS"] == "verify_asan_link_order=0:verify_asan_link_order=1"
    assert additions(Path("/x"), {})["ASAN_OPTIONS"] == "verify_asan_link_order=0"
