"""The older driver's front, from the driver's side: what goes to the DSP, and what is left."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from pathlib import Path

import pytest

from qda import limits
from qda.driver import Client, Front, LegacyFront, LocalClient
from qda.driver import session as driver_session
from qda.driver.banks import Attachment
from qda.driver.call import Call
from qda.driver.lanes import Lane, Memory
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.control import MemUnmapRequest, Method
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import ContextId, InvokeMessage
from qda.fastrpc.scalars import Scalars
from qda.layout import Record
from qda.uapi import LEGACY
from qda.uapi.accel import GEM_CREATE, GemCreate
from qda.uapi.legacy import (
    POLL_MODE,
    SET_OPTION,
    AllocDmaBuffer,
    Capability,
    CreateLegacy,
    CreateStatic,
    InvokeLegacy,
    MapFd,
    MapNew,
    SetOption,
    UnmapFd,
)
from qda.virtual import Machine, load_profile
from tests.driver import structures
from tests.driver.structures import Interrupted
from tests.system import census, children_of, new_machine
from tests.waiting import until

NODE = "/dev/fastrpc-cdsp-secure"
UNKNOWN = as_signed(BAD_HANDLE)
AUDIO = ctypes.create_string_buffer(b"audiopd")


@pytest.fixture(autouse=True, scope="module")
def booted(machine: Machine) -> None:
    """The DSP is up before anything is counted."""
    machine.open("cdsp").close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[InvokeMessage]:
    """The messages of all sessions from here on."""
    messages: list[InvokeMessage] = []
    real = driver_session.Session.send

    def send(self: driver_session.Session, call: Call, message: bytes) -> None:
        messages.append(InvokeMessage.unpack(message))
        real(self, call, message)

    monkeypatch.setattr(driver_session.Session, "send", send)
    return messages


def run(front: Front, client: Client, key: str, record: Record | None = None) -> int:
    """A command on a record, in place; its result."""
    return structures.run(front, client, LEGACY.command(key), record)


def create(front: Front, client: Client) -> None:
    assert run(front, client, "CREATE", CreateLegacy(filefd=-1)) == 0


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("INIT_ATTACH", ProtectionDomain.ROOT),
        ("INIT_ATTACH_SNS", ProtectionDomain.SENSORS),
        ("CREATE", ProtectionDomain.USER),
        ("INIT_CREATE_STATIC", ProtectionDomain.USER),
    ],
)
def test_every_message_names_the_kind_of_the_files_process(
    machine: Machine,
    client: LocalClient,
    sent: list[InvokeMessage],
    key: str,
    kind: ProtectionDomain,
) -> None:
    """Spec 2.8, 3.1: unlike on the accelerator's node, where only CREATE does."""
    records = {
        "CREATE": CreateLegacy(filefd=-1),
        "INIT_CREATE_STATIC": CreateStatic(namelen=8, name=ctypes.addressof(AUDIO)),
    }
    front = machine.open_node(NODE)
    assert run(front, client, key, records.get(key)) == 0
    assert run(front, client, "INVOKE", InvokeLegacy(handle=0x1234)) == UNKNOWN
    assert run(front, client, "MAP_NEW", MapNew(flags=8, size=1)) == 0
    front.close(client)
    assert len(sent) == 4  # RELEASE is the last
    contexts = [ContextId.decode(message.context) for message in sent]
    assert {context.domain for context in contexts if context} == {kind}


@pytest.mark.parametrize(("dialect", "times"), [("legacy", 3), ("legacy-7.3", 1)])
def test_capabilities_are_asked_for_once_since_7_3(
    client: LocalClient, monkeypatch: pytest.MonkeyPatch, dialect: str, times: int
) -> None:
    """versions.md 6: by any file, until the DSP starts again."""
    asked: list[int] = []
    real = driver_session.Session.send

    def send(self: driver_session.Session, call: Call, message: bytes) -> None:
        asked.append(InvokeMessage.unpack(message).handle)
        real(self, call, message)

    machine = new_machine()
    try:
        monkeypatch.setattr(driver_session.Session, "send", send)
        for start in range(1, 3):
            for attribute in (6, 3, 6):
                front = machine.open_node(NODE, dialect)
                request = Capability(domain=3, attribute_id=attribute)
                assert run(front, client, "GET_DSP_INFO", request) == 0
                assert request.capability == {6: 0x73, 3: 1}[attribute]
                front.close(client)
            assert asked.count(Fixed.UTILITIES) == times * start
            machine.devices["cdsp"].stop()
    finally:
        machine.close()


@pytest.mark.parametrize(
    ("key", "told"), [("CREATE", [limits.POLL, 0, limits.POLL]), ("INIT_ATTACH", [0, 0, 0])]
)
def test_poll_mode_is_for_user_protection_domains(
    machine: Machine,
    client: LocalClient,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    told: list[int],
) -> None:
    """versions.md 6: whether it was switched on before the session began or later."""
    polls: list[int] = []
    monkeypatch.setattr(driver_session.Session, "poll", lambda self, time: polls.append(time))
    front = machine.open_node(NODE, "legacy-7.3")

    def switch(value: int) -> int:
        request = SetOption(request_id=POLL_MODE, value=value)
        return structures.run(front, client, SET_OPTION, request)

    assert switch(1) == 0
    assert run(front, client, key, CreateLegacy(filefd=-1) if key == "CREATE" else None) == 0
    assert [switch(0), switch(1), switch(2)] == [0, 0, -errno.EINVAL]
    assert polls == told
    front.close(client)


@pytest.mark.parametrize("before", [(1 << 32) - 1, (1 << 48) - 2, (1 << 48) - 1])
def test_sequence_numbers_begin_again(
    machine: Machine,
    client: LocalClient,
    sent: list[InvokeMessage],
    monkeypatch: pytest.MonkeyPatch,
    before: int,
) -> None:
    """versions.md 6: they have 48 bits of the context word, and leave the others alone."""
    front = machine.open_node(NODE, "legacy-7.3")
    create(front, client)
    with monkeypatch.context() as patch:
        patch.setattr(Lane, "sent", property(lambda lane: before))
        assert run(front, client, "INVOKE", InvokeLegacy(handle=0x1234)) == UNKNOWN
    word = sent[-1].context
    assert (word >> 16, word & 0xFF) == ((before + 1) % (1 << 48), ProtectionDomain.USER)
    assert run(front, client, "INVOKE", InvokeLegacy(handle=0x1234)) == UNKNOWN
    front.close(client)


def test_first_static_process_hands_the_remote_heap_over(client: LocalClient) -> None:
    """Spec 3.1, 3.2: once for each start of the DSP, which has it until it stops."""
    system = new_machine()
    device = system.devices["cdsp"]
    request = CreateStatic(namelen=8, memlen=3 << 20, name=ctypes.addressof(AUDIO))
    try:
        for _ in range(2):
            before = device.census().objects
            for _ in range(3):
                front = system.open_node(NODE)
                assert run(front, client, "INIT_CREATE_STATIC", request) == 0
                front.close(client)
                assert device.remote_heap is not None
                assert device.remote_heap.buffer.size == 3 << 20
                assert device.census().objects == before + 1
            device.stop()
            assert (device.remote_heap, device.census().objects) == (None, before)
    finally:
        system.close()


def test_static_process_that_fails_takes_the_remote_heap_back(
    machine: Machine, client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R10: the next attempt hands it over."""
    request = CreateStatic(namelen=8, memlen=3 << 20, name=ctypes.addressof(AUDIO))

    def fails(*_: object) -> None:
        raise OSError(errno.ENOMEM, "on purpose")

    before = census(machine)
    for name in ("announce", "message", "send"):
        front = machine.open_node("/dev/fastrpc-cdsp")
        with monkeypatch.context() as patch:
            patch.setattr(driver_session.Session, name, fails)
            assert run(front, client, "INIT_CREATE_STATIC", request) == -errno.ENOMEM
        front.close(client)
        assert machine.devices["cdsp"].remote_heap is None
        assert census(machine) == before


def test_memory_of_the_process_grows_with_its_image(machine: Machine, client: LocalClient) -> None:
    """Spec 3.2: 2 MiB, or four times the image in whole MiB."""
    image = bytearray((1 << 20) + 5)
    address = ctypes.addressof(ctypes.c_char.from_buffer(image))
    for length, mebi in ((0, 2), (1 << 19, 2), ((1 << 19) + 1, 3), (len(image), 5)):
        front = machine.open_node(NODE)
        assert isinstance(front, LegacyFront)
        assert run(front, client, "CREATE", CreateLegacy(filelen=length, file=address)) == 0
        (memory,) = front.file.lent.held
        assert isinstance(memory, Attachment)
        assert memory.buffer.size == mebi << 20
        front.close(client)


def test_unmapping_says_what_was_mapped(
    machine: Machine, client: LocalClient, sent: list[InvokeMessage]
) -> None:
    """clients.md 6: a program may unmap with fd -1; the DSP is told the fd."""
    front = machine.open_node(NODE)
    create(front, client)
    memory = AllocDmaBuffer(size=4096)
    assert run(front, client, "ALLOC_DMA_BUFF", memory) == 0
    fd = memory.fd
    mapped = MapFd(fd=fd, length=100, flags=2)
    assert run(front, client, "MEM_MAP", mapped) == 0
    address = mapped.vaddrout
    requests = []
    real = driver_session.Session.message

    def message(self: driver_session.Session, call: object, size: int) -> Memory:
        memory = real(self, call, size)  # type: ignore[arg-type]
        requests.append(memory)
        return memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver_session.Session, "message", message)
        assert run(front, client, "MEM_UNMAP", UnmapFd(fd=-1, vaddr=address)) == 0
    assert Scalars.decode(sent[-1].scalars).method == Method.MEM_UNMAP
    packed = bytes(requests[0].view[:1024])
    expected = MemUnmapRequest(
        client_id=front.file.client_id,  # type: ignore[attr-defined]
        fd=fd,
        address=address,
        length=100,
    )
    assert expected.pack() in packed
    os.close(fd)
    front.close(client)


def test_a_dsp_has_14_open_files_at_most(tmp_path: Path) -> None:
    """Spec 5.1: however many context banks there are; the accelerator's node has no such limit."""
    profile = tmp_path / "many.toml"
    banks = list(range(1, 21))
    profile.write_text(f'title = "Many"\n[[dsp]]\nname = "cdsp"\nstream_ids = {banks}\n')
    system = Machine(load_profile(str(profile)))
    try:
        fronts = [system.open_node(NODE) for _ in range(limits.LEGACY_SESSIONS - 1)]
        fronts.append(system.open_node("/dev/fastrpc-cdsp"))
        held = system.devices["cdsp"].census()
        assert (limits.LEGACY_SESSIONS, held.banks) == (14, 14)
        for path in (NODE, "/dev/fastrpc-cdsp"):
            with pytest.raises(OSError, match="14 open files") as refused:
                system.open_node(path)
            assert refused.value.errno == errno.EBUSY
        assert system.devices["cdsp"].census() == held
        system.open_node("/dev/accel/accel0").close()
        fronts.pop().close()
        system.open_node(NODE).close()
    finally:
        system.close()


def test_both_drivers_share_the_context_banks(machine: Machine, client: LocalClient) -> None:
    """R1: one engine, two front ends."""
    device = machine.devices["cdsp"]
    free = len(device.limits.stream_ids)
    fronts = [machine.open_node(NODE) for _ in range(free)]
    accel = machine.open_node("/dev/accel/accel1")
    request = GemCreate(size=4096)
    assert structures.run(accel, client, GEM_CREATE, request) == -errno.ENOMEM
    fronts.pop().close()
    assert structures.run(accel, client, GEM_CREATE, request) == 0
    with pytest.raises(OSError, match=f"{free} of {free} context banks of cdsp are in use"):
        machine.open_node(NODE)
    for front in (accel, *fronts):
        front.close()


def test_interrupted_call_is_resumed_and_not_sent_twice(
    machine: Machine, client: Interrupted, sent: list[InvokeMessage]
) -> None:
    """R24: the same thread with the same request goes back to waiting."""
    front = machine.open_node(NODE)
    create(front, client)
    sent.clear()
    client.signals = 2
    request = InvokeLegacy(handle=0x1234)
    assert run(front, client, "INVOKE", request) == -errno.EINTR
    assert run(front, client, "INVOKE", request) == -errno.EINTR
    assert run(front, client, "INVOKE", request) == UNKNOWN
    assert len(sent) == 1
    front.close(client)


COMMANDS: list[tuple[str, Record | None]] = [
    ("INVOKE", InvokeLegacy(handle=0x1234)),
    ("MAP_NEW", MapNew(flags=8, size=4096)),
    ("GET_DSP_INFO", Capability(attribute_id=6)),
    ("CREATE", CreateLegacy(filefd=-1)),
    ("INIT_ATTACH", None),
    ("INIT_ATTACH_SNS", None),
]


@pytest.mark.parametrize("has_session", [True, False])
def test_every_command_says_epipe_once_the_dsp_is_gone(
    client: LocalClient, has_session: bool
) -> None:
    """Spec 2.9, 8.4: by it the C library knows that its session has ended."""
    system = new_machine()
    try:
        front = system.open_node(NODE)
        if has_session:
            create(front, client)
        processes = children_of(system.pids[0])
        os.kill(system.pids[0], signal.SIGKILL)
        until(lambda: not any(map(runs, processes)))
        for key, record in COMMANDS:
            busy = has_session and key in ("CREATE", "INIT_ATTACH", "INIT_ATTACH_SNS")
            assert run(front, client, key, record) == -(errno.EBUSY if busy else errno.EPIPE), key
        front.close(client)
        again = system.open_node(NODE)
        create(again, client)
        again.close(client)
    finally:
        system.close()


def runs(pid: int) -> bool:
    """Whether a process still executes anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "XZ"
    except OSError:
        return False


def test_nothing_is_left_of_what_a_file_has_made(machine: Machine, client: LocalClient) -> None:
    """R11: memory that a program has is its own; everything else goes with the file."""
    before = census(machine)
    fronts = [machine.open_node(NODE) for _ in range(3)]
    for front in fronts:
        create(front, client)
        memory = AllocDmaBuffer(size=100_000)
        assert run(front, client, "ALLOC_DMA_BUFF", memory) == 0
        fd = memory.fd
        for _ in range(4):
            assert run(front, client, "MEM_MAP", MapFd(fd=fd, length=1)) == 0
            assert run(front, client, "MAP_NEW", MapNew(flags=0x1000, size=70_000)) == 0
        os.close(fd)
    for front in fronts:
        front.close(client)
        assert run(front, client, "INVOKE", InvokeLegacy(handle=3)) == -errno.EBADF
    assert census(machine) == before
