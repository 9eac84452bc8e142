"""The front of the older FastRPC driver's nodes, `/dev/fastrpc-DOMAIN[-secure]`.

Its commands are put into those of the session, buffer and call objects that the accelerator's front
uses (R1).  What differs is decided here: how buffers are named, when a context bank is taken, which
errno says that the DSP is gone (spec/fastrpc.md 5).
"""

from __future__ import annotations

import errno
import os
import struct
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Self

from qda import limits
from qda.driver import control
from qda.driver.banks import Attachment
from qda.driver.device import Device, Lacking
from qda.driver.execution import execute
from qda.driver.file import OpenFile, set_polls
from qda.driver.front import FileFront, Place, T
from qda.driver.handlers import Handlers
from qda.driver.invoke import invoke, without_session
from qda.driver.mapping import Mapping
from qda.driver.memory import Client
from qda.driver.objects import BufferObject
from qda.driver.policy import Wanted, tell
from qda.driver.sharing import Uses
from qda.driver.signals import Signals
from qda.errors import UNSUPPORTED, as_signed
from qda.fastrpc import control as requests
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.mapping import MapKind
from qda.fastrpc.payload import PhysicalPage
from qda.interrupts import Section
from qda.layout import Record
from qda.memory import ClientAddress, align
from qda.rpmsg import PeerGone
from qda.uapi import LEGACY, Command, Interface, legacy

__all__ = ["LegacyFile", "LegacyFront"]


_MEBI = 1 << 20

_SIGNALS = legacy.DSP_SIGNALS, legacy.DRIVER_SIGNALS

_HANDLERS: Handlers[LegacyFront] = Handlers()
"""FREE_DMA_BUFF has never had any."""


class LegacyFile(OpenFile):
    """An open file of the older driver.  `secure` is True for the node of privileged programs.

    OSError EBUSY if the DSP has no free context bank, or too many open files.
    """

    tags_calls = True
    _signals: Signals | None = None
    images_need_fd = True

    def __init__(self, device: Device, client_id: int, secure: bool, dialect: Interface) -> None:
        super().__init__(device, client_id, dialect)
        self.secure = secure
        if device.count(LegacyFile) >= limits.LEGACY_SESSIONS:
            raise OSError(errno.EBUSY, f"{device.name} has {limits.LEGACY_SESSIONS} open files")
        if self.semantics.bank_at_open:
            self.take_bank(self.semantics.without_bank)

    def hold_fd(self, fd: int, client: Client, uses: Uses, address: int = 0) -> Attachment:
        """Hold the memory behind a DMA-BUF descriptor, which is remembered nowhere.

        OSError EINVAL for anything that is no DMA-BUF, ENOMEM; `unknown_file` for no descriptor.
        """
        with Uses() as made:
            buffer = self._adopt(fd, client, made, self.semantics.unknown_file)
            return self.take_bank(self.semantics.import_without_bank).attach(buffer, uses)

    def hold_argument(self, fd: int, client: Client, uses: Uses, address: int) -> Attachment:
        """The same, and the memory stays mapped until its addresses are needed (2.11): a call that
        names it again, by whatever number, costs no more than others."""
        with Uses() as made:
            buffer = self._adopt(fd, client, made)
            with self.lock:
                return self.hold(self.pass_buffer(buffer), uses)

    def _adopt(
        self, fd: int, client: Client, uses: Uses, unknown: int = errno.EINVAL
    ) -> BufferObject:
        refused = unknown
        try:
            with Section():
                descriptor = client.descriptor(fd)
                refused = errno.EINVAL
                return self.device.objects.adopt(descriptor, uses)
        except OSError as error:
            raise OSError(refused, f"fd {fd} cannot be mapped: {error}") from error

    @property
    def signals(self) -> Signals:
        """Its signals, which begin when they are first asked for.  OSError ENODEV."""
        with self.starting:
            if self.session is None:
                raise Lacking(errno.ENODEV, "the file has no session")
            if self._signals is None:
                try:
                    endpoint = self.session.peer.link.open_signals()
                except PeerGone as error:
                    raise OSError(errno.ENODEV, "the DSP is gone") from error
                self._signals = Signals(endpoint, self.client_id)
            return self._signals

    def end_signals(self) -> None:
        """End them, and whoever waits.  Idempotent."""
        if self._signals is not None:
            self._signals.close()

    def disown(self) -> None:
        """See `OpenFile.disown`."""
        super().disown()
        if self._signals is not None:
            self._signals.disown()

    def allocate(self, size: int, uses: Uses) -> Attachment:
        """Hold new memory, no more than the bank has room for.  OSError ENOMEM."""
        with Uses() as made:
            buffer = self.device.objects.create(size, made)
            return self.take_bank(self.semantics.without_bank).attach(buffer, uses)


class LegacyFront(FileFront[LegacyFile]):
    """An open file of the older driver, as a program reaches it."""

    def __init__(self, file: LegacyFile, dialect: Interface) -> None:
        super().__init__(file, legacy.INVOKE.code)
        self.dialect = dialect

    @classmethod
    def open(cls, device: Device, secure: bool, dialect: Interface = LEGACY) -> Self:
        """Open a node, the secure or the plain one, of a driver that speaks `dialect`.  OSError
        ENODEV, EBUSY."""
        return cls(
            device.open(lambda client_id: LegacyFile(device, client_id, secure, dialect)), dialect
        )

    def ioctl(self, client: Client, code: int, address: ClientAddress) -> int:
        """See `Front.ioctl`.  The command is found by its complete code; what it has changed in its
        structure is written back if it succeeds (spec/fastrpc.md 5.2)."""
        command = self.dialect.find(code)
        if command is None or command not in _HANDLERS:
            return -errno.ENOTTY
        with self.section(command):
            return self._carry_out(command, client, address)

    def _carry_out(self, command: Command[Record], client: Client, address: ClientAddress) -> int:
        handler = _HANDLERS[command]
        if command.record is None:
            result = self.run(handler, client, None)
        else:
            given = client.read(address, command.size)
            if given is None:
                return -errno.EFAULT
            record = command.record.unpack(given)
            result = -self._breach(record) or self.run(handler, client, record)
            answer = record.pack()
            if result == 0 and answer != given and not client.write(address, answer):
                result = -errno.EFAULT
        return result

    def _breach(self, record: Record) -> int:
        """The errno of the first field with an illegal value, or 0."""
        if not record.breach():
            return 0
        fields = (
            field for field in record.fields if not field.is_legal(getattr(record, field.name))
        )
        wrong = {field.name: field.breach for field in fields}
        semantics = self.file.semantics
        if "size" in wrong and isinstance(record, legacy.AllocDmaBuffer | legacy.MapNew):
            wrong["size"] = semantics.senseless_size
        if isinstance(record, legacy.MapFd) and not semantics.looks_at_offsets:
            wrong.pop("offset", None)
        return next(iter(wrong.values()), 0)

    def section(self, command: Command[Record]) -> AbstractContextManager[None]:
        """See `FileFront.section`: a wait for a signal takes as long as a call."""
        if command.record is legacy.WaitSignal:
            return nullcontext()
        return super().section(command)

    def close(self, client: Client | None = None) -> None:
        """See `Front.close`."""
        self.file.end_signals()
        super().close(client)

    def mmap(self, length: int, offset: int, place: Place[T]) -> T:
        """The node cannot be mapped, only its memory's descriptors.  OSError ENODEV."""
        raise OSError(errno.ENODEV, "this node cannot be mapped: map the DMA-BUF")


@_HANDLERS.takes(legacy.ALLOC_DMA_BUFF)
def _alloc_dma_buff(front: LegacyFront, client: Client, request: legacy.AllocDmaBuffer) -> int:
    with Uses() as uses:  # from its end on the memory is the descriptor's
        attachment = front.file.allocate(request.size, uses)
        request.fd = client.install(attachment.buffer.descriptor, os.O_RDWR)
    return 0


@_HANDLERS.takes(legacy.SET_OPTION)
def _set_option(front: LegacyFront, client: Client, request: legacy.SetOption) -> int:
    if not front.file.device.limits.poll_mode:
        raise OSError(errno.EOPNOTSUPP, "the DSP has no poll mode")
    set_polls(front.file, bool(request.value))
    return 0


@_HANDLERS.takes(legacy.INVOKE)
def _invoke(front: LegacyFront, client: Client, request: legacy.InvokeLegacy) -> int:
    return invoke(front.file, client, request)


@_HANDLERS.bare(legacy.INIT_ATTACH)
def _init_attach(front: LegacyFront, client: Client) -> int:
    return control.attach(front.file, client)


@_HANDLERS.takes(legacy.CREATE)
def _create(front: LegacyFront, client: Client, request: legacy.CreateLegacy) -> int:
    file = front.file
    memory = align(max(2 * _MEBI, 4 * request.filelen), _MEBI)  # spec 3.2
    return control.create(file, client, request, memory)


@_HANDLERS.takes(legacy.MAP_NEW)
def _map_new(front: LegacyFront, client: Client, request: legacy.MapNew) -> int:
    file, session = front.file, front.file.session
    if session is None:
        return without_session(file)
    with Uses() as uses:
        attachment = file.allocate(request.size, uses)
        session.announce(attachment)
        page = PhysicalPage(address=attachment.address, size=attachment.buffer.size)
        call = requests.map_legacy(file.client_id, request.flags, 0, page)
        mapping = Mapping(MapKind.LEGACY, -1, -1, 0, request.size, uses)
        return control.add_mapping(file, session, client, call, mapping, request)


@_HANDLERS.takes(legacy.UNMAP_NEW)
def _unmap_new(front: LegacyFront, client: Client, request: legacy.UnmapNew) -> int:
    file, session = front.file, front.file.session
    if session is None:
        return without_session(file)
    wanted = (MapKind.LEGACY, request.vaddrout, request.size)
    mapping = file.mappings.take(lambda it: (it.request, it.address, it.size) == wanted)
    call = requests.unmap_legacy(file.client_id, mapping.address, mapping.size)
    return control.remove_mapping(file, session, client, call, mapping)


@_HANDLERS.bare(legacy.INIT_ATTACH_SNS)
def _init_attach_sns(front: LegacyFront, client: Client) -> int:
    return control.attach(front.file, client, ProtectionDomain.SENSORS)


@_HANDLERS.takes(legacy.INIT_CREATE_STATIC)
def _init_create_static(front: LegacyFront, client: Client, request: legacy.CreateStatic) -> int:
    name = client.read(ClientAddress(request.name), request.namelen)
    if name is None:
        raise OSError(errno.EFAULT, "the name cannot be read")
    file, device = front.file, front.file.device
    if request.memlen and not device.limits.remote_heap:
        why = "ENOMEM: no memory is reserved for the remote heap"
        tell(client, f"{Wanted.STATIC.value} on {device.name}: {why}")
        raise OSError(errno.ENOMEM, why)
    with file.starting, device.lending, Uses() as lent, ExitStack() as undo:
        control.may(file, client, Wanted.STATIC)
        process = name.partition(b"\0")[0]
        session = control.start(file, ProtectionDomain.USER, undo, process)
        heap = None
        if device.remote_heap is None and request.memlen:
            heap = _remote_heap(device, request.memlen, lent)
            session.announce(heap)
        page = PhysicalPage(address=heap.address, size=heap.buffer.size) if heap else None
        result, _ = execute(session, client, requests.create_static(file.client_id, name, page))
        if result == 0:
            file.session = session
            undo.pop_all()
            if heap is not None:
                device.remote_heap, device.lent = heap, lent
                lent.keep()
        return result


def _remote_heap(device: Device, size: int, uses: Uses) -> Attachment:
    with Uses() as made:
        return device.memory.attach(device.objects.create(size, made), uses)


@_HANDLERS.takes(legacy.MEM_MAP)
def _mem_map(front: LegacyFront, client: Client, request: legacy.MapFd) -> int:
    file, session = front.file, front.file.session
    if session is None:
        return without_session(file)
    with Uses() as uses:
        held = file.hold_fd(request.fd, client, uses)
        looks = file.semantics.looks_at_offsets
        offset = request.offset if looks else 0
        if looks and offset + request.length > held.buffer.size:
            raise OSError(errno.EINVAL, "offset and length do not fit the memory")
        session.announce(held)
        page = PhysicalPage(address=held.address, size=held.buffer.size)
        call = requests.mem_map(
            file.client_id, request.fd, offset, request.flags, request.vaddrin, page
        )
        mapping = Mapping(MapKind.ATTR, request.fd, request.fd, 0, request.length, uses)
        return control.add_mapping(file, session, client, call, mapping, request)


@_HANDLERS.takes(legacy.MEM_UNMAP)
def _mem_unmap(front: LegacyFront, client: Client, request: legacy.UnmapFd) -> int:
    file, session = front.file, front.file.session
    if session is None:
        return without_session(file)
    wanted = (MapKind.ATTR, request.vaddr)
    mapping = file.mappings.take(
        lambda it: (it.request, it.address) == wanted and (request.fd < 0 or request.fd == it.fd)
    )
    call = requests.mem_unmap(file.client_id, mapping.told, mapping.address, mapping.size)
    return control.remove_mapping(file, session, client, call, mapping)


@_HANDLERS.takes(legacy.GET_DSP_INFO)
def _get_dsp_info(front: LegacyFront, client: Client, request: legacy.Capability) -> int:
    request.capability = 0
    if front.dialect.has("DSPSIGNAL_WAIT") and request.attribute_id in _SIGNALS:
        request.capability = 1  # our DSP has them where the driver does
        return 0
    if request.attribute_id not in range(1, 256):
        return 0  # that the DSP is there, which only the program knows
    device = front.file.device
    channel = device.channel  # raises if the DSP is gone
    if front.file.semantics.caches_capabilities and device.told is not None:
        told_by, words = device.told
        if told_by is channel:
            request.capability = words[request.attribute_id - 1]
            return 0
    session = device.kernel_session
    result, outputs = execute(session, client, requests.capabilities())
    if result and device.tells_nothing is not channel:  # once: libraries ask again and again
        device.tells_nothing = channel
        status = f"the DSP refuses with {result & 0xFFFFFFFF:#x}"
        tell(client, f"ask for the capabilities of {device.name}: {status}")
    if result == as_signed(UNSUPPORTED):
        raise OSError(errno.EOPNOTSUPP, "the DSP has no such question")
    if result == 0:
        words = struct.unpack(f"<{len(outputs[0]) // 4}I", outputs[0])
        device.told = channel, words
        request.capability = words[request.attribute_id - 1]
    return result


@_HANDLERS.takes(legacy.CREATE_SIGNAL)
def _create_signal(front: LegacyFront, client: Client, request: legacy.CreateSignal) -> int:
    front.file.signals.create(request.number)
    return 0


@_HANDLERS.takes(legacy.DESTROY_SIGNAL)
def _destroy_signal(front: LegacyFront, client: Client, request: legacy.DestroySignal) -> int:
    front.file.signals.destroy(request.number)
    return 0


@_HANDLERS.takes(legacy.SEND_SIGNAL)
def _send_signal(front: LegacyFront, client: Client, request: legacy.SendSignal) -> int:
    front.file.signals.send(request.number)
    return 0


@_HANDLERS.takes(legacy.WAIT_SIGNAL)
def _wait_signal(front: LegacyFront, client: Client, request: legacy.WaitSignal) -> int:
    front.file.signals.wait(client, request.number, request.timeout)
    return 0


@_HANDLERS.takes(legacy.CANCEL_WAIT)
def _cancel_wait(front: LegacyFront, client: Client, request: legacy.CancelWait) -> int:
    front.file.signals.cancel(request.number)
    return 0
