"""What the driver asks of the DSP by itself: sessions and mappings."""

from __future__ import annotations

import errno
import logging
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Protocol

from qda import limits
from qda.driver.banks import Attachment
from qda.driver.device import Lacking
from qda.driver.execution import Answer, Late, execute, post
from qda.driver.file import OpenFile
from qda.driver.mapping import Mapping
from qda.driver.memory import Client
from qda.driver.objects import BufferObject
from qda.driver.peer import Died
from qda.driver.places import locate
from qda.driver.policy import POLICIES, Asked, Wanted, check
from qda.driver.session import Session
from qda.driver.sharing import Uses
from qda.errors import MAP_FAILED, as_signed
from qda.fastrpc import control
from qda.fastrpc.control import ControlCall, MapResponse
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.mapping import MADE_BY_DSP, MapKind
from qda.fastrpc.payload import Argument, Backing, PhysicalPage
from qda.uapi.accel import InitCreate, MemMap, MemUnmap

__all__ = [
    "add_mapping",
    "attach",
    "create",
    "map_memory",
    "may",
    "release",
    "remove_mapping",
    "start",
    "unmap_memory",
]

_log = logging.getLogger("qda.driver")


def attach(file: OpenFile, client: Client, kind: ProtectionDomain = ProtectionDomain.ROOT) -> int:
    """INIT_ATTACH: a session with the root protection domain, or with that for sensors.  OSError
    EBUSY, ENODEV, ENOMEM."""
    wanted = Wanted.ROOT if kind is ProtectionDomain.ROOT else Wanted.SENSORS
    with file.starting, ExitStack() as undo:
        may(file, client, wanted)
        session = start(file, kind, undo)
        result, _ = execute(session, client, control.attach(file.client_id))
        if result == 0:
            file.session = session
            undo.pop_all()
        return result


def create(
    file: OpenFile, client: Client, request: InitCreate, memory_size: int = limits.PROCESS_MEMORY
) -> int:
    """CREATE: a protection domain of the file's own, with memory and perhaps an image.

    OSError EBUSY if the file has a session (H22), EINVAL and EFAULT for the image, ENOMEM.
    """
    with file.starting, Uses() as uses, Uses() as lent, ExitStack() as undo:
        if file.session is not None:
            raise OSError(errno.EBUSY, "the file has a session already")
        may(file, client, Wanted.PROCESS, request.attrs)
        image, held = _image(file, client, request, uses)
        memory = _init_memory(file, memory_size, lent)
        session = start(file, ProtectionDomain.USER, undo)
        session.announce(memory)
        if held is not None:
            session.announce(held)
        call = control.create(
            file.client_id,
            client.comm,
            request.filelen,
            PhysicalPage(address=memory.address, size=memory.buffer.size),
            request.attrs,
            request.siglen,
        )
        result, _ = execute(session, client, call, image)
        if result == 0:
            file.session, file.lent = session, lent
            lent.keep()
            undo.pop_all()
        return result


def may(file: OpenFile, client: Client, wanted: Wanted, attributes: int = 0) -> None:
    """OSError unless the device's policy lets the client begin such a session through the file."""
    device = file.device
    policy = POLICIES["privileges"] if file.semantics.privileged else device.policy
    refuses = device.limits.secure
    check(policy, device.name, Asked(wanted, client, attributes, file.secure, refuses))


def start(file: OpenFile, kind: ProtectionDomain, undo: ExitStack, name: bytes = b"") -> Session:
    """Connect a file that has no session yet, with the static process of that name if there is one.
    OSError EBUSY, ENODEV, ENOMEM."""
    if file.session is not None:
        raise OSError(errno.EBUSY, "the file has a session already")
    session = file.start_session(kind, name)
    undo.callback(session.close)
    return session


def _init_memory(file: OpenFile, size: int, uses: Uses) -> Attachment:
    bank = file.take_bank(file.semantics.without_bank)
    with Uses() as made:
        return bank.attach(BufferObject.create(size, made), uses)


def _image(
    file: OpenFile, client: Client, request: InitCreate, uses: Uses
) -> tuple[Argument, Attachment | None]:
    """The shell image as an argument, and the buffer that it lies in, if any (H20)."""
    image = Argument(request.file, request.filelen, request.filefd)
    if not request.filelen:
        return image._replace(fd=0), None
    any_negative = file.descriptors and not file.images_need_fd
    if request.filefd == 0 or (any_negative and request.filefd < 0):
        end = request.file + request.filelen
        if end >> 64:
            raise OSError(errno.EINVAL, "address and length of the image wrap")
        if end > client.limit:
            raise OSError(errno.EFAULT, "the image is not in user space")
        return image._replace(fd=0), None
    try:
        held = file.hold_fd(request.filefd, client, uses, request.file)
    except OSError as error:
        is_none = file.images_need_fd and error.errno == errno.EBADF
        refused = errno.EBADF if is_none else errno.EINVAL
        raise OSError(refused, f"filefd {request.filefd} names no buffer") from error
    if request.filelen > held.buffer.size:
        raise OSError(errno.EINVAL, "the image is longer than its buffer")
    if request.file:
        return locate(image, held, client), held
    return image._replace(backing=Backing(held.address, held.buffer.size)), held


def map_memory(file: OpenFile, client: Client, request: MemMap) -> int:
    """MAP: make a buffer, or memory that the DSP has asked for, appear at a DSP address.

    OSError ENOENT or EBADF, EINVAL for what does not fit the buffer (H23), ENODEV without session.
    """
    session = _session(file)
    legacy = request.request == MapKind.LEGACY
    with Uses() as uses:
        page = PhysicalPage()
        if request.fd > 0:
            held = file.hold_fd(request.fd, client, uses, request.vaddrin)
            if (0 if legacy else request.offset) + request.size > held.buffer.size:
                raise OSError(errno.EINVAL, "offset and size do not fit the buffer")
            session.announce(held)
            page = PhysicalPage(address=held.address, size=held.buffer.size)
        elif not legacy or request.flags not in MADE_BY_DSP:
            raise OSError(errno.EINVAL, f"fd {request.fd} names no buffer")
        if legacy:
            call = control.map_legacy(file.client_id, request.flags, request.vaddrin, page)
        else:
            call = control.mem_map(
                file.client_id, request.told, request.offset, request.flags, request.vaddrin, page
            )
        mapping = Mapping(request.request, request.fd, request.told, 0, request.size, uses)
        return add_mapping(file, session, client, call, mapping, request)


class Placed(Protocol):
    """A request whose answer is an address."""

    vaddrout: int


def add_mapping(
    file: OpenFile,
    session: Session,
    client: Client,
    call: ControlCall,
    mapping: Mapping,
    request: Placed,
) -> int:
    """Have the DSP map what `mapping` describes.  If it does, the file keeps it, with what it uses,
    and `request` gets the address; returns the DSP's result.  What it maps when nobody waits for it
    any more, it is asked to unmap."""
    late = Late(mapping.uses, partial(_undo, file, session, mapping))
    result, outputs = execute(session, client, call, late=late)
    if result == as_signed(MAP_FAILED) and session.peer.make_room():
        result, outputs = execute(session, client, call, late=late)
    if result == 0:
        request.vaddrout = MapResponse.unpack(outputs[0]).address
        file.mappings.add(replace(mapping, address=request.vaddrout))
        mapping.uses.keep()
    return result


def _undo(file: OpenFile, session: Session, mapping: Mapping, held: Uses, answer: Answer) -> None:
    """Have the DSP unmap what it has mapped too late; it is held till then."""
    result, outputs = answer
    if result == 0:
        address = MapResponse.unpack(outputs[0]).address
        if mapping.request == MapKind.LEGACY:
            call = control.unmap_legacy(file.client_id, address, mapping.size)
        else:
            call = control.mem_unmap(file.client_id, mapping.told, address, mapping.size)
        post(session, call, held)


def unmap_memory(file: OpenFile, client: Client, request: MemUnmap) -> int:
    """MUNMAP: undo a MAP.  OSError EINVAL for what is not mapped (H23).

    Legacy requests name it by address and size, others by fd and address, or by fd alone with
    address 0.
    """
    session = _session(file)
    size, fd = request.size, request.fd
    if request.request == MapKind.LEGACY:
        address = request.vaddrout
        wanted = (MapKind.LEGACY, address, size)
        mapping = file.mappings.take(lambda it: (it.request, it.address, it.size) == wanted)
        call = control.unmap_legacy(file.client_id, address, size)
    else:
        address = request.vaddr
        mapping = file.mappings.take(
            lambda it: (it.request, it.fd) == (request.request, fd) and address in (0, it.address)
        )
        call = control.mem_unmap(file.client_id, mapping.told, address, size)
    return remove_mapping(file, session, client, call, mapping)


def remove_mapping(
    file: OpenFile, session: Session, client: Client, call: ControlCall, mapping: Mapping
) -> int:
    """Have the DSP undo a mapping that has been taken out of the file, and which goes back if it
    does not; returns the DSP's result.  If it does when nobody waits for it any more, the mapping
    is taken out again."""

    def late(held: Uses, answer: Answer) -> None:
        if answer[0] == 0 and file.mappings.drop(mapping):
            mapping.uses.release()

    with ExitStack() as undo:
        undo.callback(file.mappings.add, mapping)
        result, _ = execute(session, client, call, late=Late(mapping.uses, late))
        if result == 0:
            undo.pop_all()
            mapping.uses.release()
        return result


def _session(file: OpenFile) -> Session:
    if file.session is None:
        raise Lacking(errno.ENODEV, "the file has no session: INIT_ATTACH or CREATE comes first")
    return file.session


def release(file: OpenFile, client: Client | None = None) -> None:
    """RELEASE to the DSP, whether or not the file has a session (spec 3.4), which then ends with
    every call under way.  Never fails: a dead DSP needs no message (R11)."""
    try:
        session = file.session or file.device.kernel_session
        execute(session, client, control.release(file.client_id))
    except (OSError, Died) as error:
        _log.debug("release of client %d: %s", file.client_id, error)
    finally:
        if file.session is not None:
            file.session.close()
