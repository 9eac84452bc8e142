"""What the driver asks of the DSP by itself: sessions and mappings."""

from __future__ import annotations

import errno
import logging
import threading
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from qda import limits
from qda.driver.file import Mapping, OpenFile
from qda.driver.memory import KERNEL, Client
from qda.driver.objects import Attachment, BufferObject
from qda.driver.packing import Contents, pack
from qda.driver.session import Call, Died, Session
from qda.fastrpc import control
from qda.fastrpc.control import ControlCall, MapResponse
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.mapping import MADE_BY_DSP, MapKind
from qda.fastrpc.message import ContextId, InvokeMessage
from qda.fastrpc.payload import Argument, Backing, PhysicalPage
from qda.memory import PAGE
from qda.uapi.accel import InitCreate, MemMap, MemUnmap

__all__ = [
    "add_mapping",
    "attach",
    "create",
    "execute",
    "map_memory",
    "raise_deferred",
    "release",
    "remove_mapping",
    "start",
    "unmap_memory",
]

_log = logging.getLogger("qda.driver")


_OWN_BYTES = 0xFFFF_8000_0000_0000
"""Where the driver's own records lie as far as a message can tell: made-up addresses, a page
apart, so that equal requests give equal messages (H19, H33)."""


def execute(
    session: Session, client: Client | None, call: ControlCall, image: Argument | None = None
) -> tuple[int, list[bytes]]:
    """Send a control call over a session; returns the DSP's result and the out-buffers.

    `image` is the argument for the in-buffer that the call leaves open.  OSError ETIMEDOUT, EFAULT
    for an image that cannot be read, and what `Session` raises.
    """
    contents: Contents = {}
    arguments: list[Argument] = []
    for index, data in enumerate([*call.inputs, *(bytes(length) for length in call.outputs)]):
        if data is None:
            assert image is not None
            arguments.append(image)
        else:
            arguments.append(Argument(_OWN_BYTES + index * PAGE, len(data)))
            contents[index] = data
    caller = client or KERNEL
    outputs: list[bytes] = []
    begun: list[Call] = []
    session.refuse_if_dead()
    try:
        pending = session.begin((), begun)
        layout, message = pack(
            call.scalars,
            arguments,
            caller,
            lambda size: session.message(pending, size),
            lambda argument, is_buffer: argument,
            contents,
        )

        def finish(result: int) -> int:
            for copy in layout.copies_out(arguments):
                outputs.append(bytes(message.view[copy.position : copy.position + copy.length]))
            return result

        pending.finish = finish
        pending.context = ContextId(pending.index, call.domain or session.tag).word
        record = InvokeMessage(
            client_id=0,
            tid=caller.tid,
            context=pending.context,
            handle=call.handle,
            scalars=call.scalars.word,
            address=message.device_address,
            size=layout.allocation,
        )
        session.send(pending, record.pack())
        return _wait(session, pending), outputs
    except TimeoutError as error:
        raise OSError(errno.ETIMEDOUT, f"{call.method.name}: the DSP does not answer") from error
    finally:
        for left in begun:
            session.leave(left)


_deferred = threading.local()


def _wait(session: Session, pending: Call) -> int:
    """Wait for the answer to a request that changes the session, Ctrl-C or not: what the DSP has
    done must be known here.  `raise_deferred` makes up for it."""
    while True:
        try:
            return session.wait(pending, KERNEL, limits.PATIENCE)
        except KeyboardInterrupt as interrupt:
            _deferred.interrupt = interrupt


def raise_deferred() -> None:
    """Raise the KeyboardInterrupt that came while a request of the driver itself was waited for."""
    interrupt = getattr(_deferred, "interrupt", None)
    if interrupt is not None:
        _deferred.interrupt = None
        raise interrupt


def attach(file: OpenFile, client: Client, kind: ProtectionDomain = ProtectionDomain.ROOT) -> int:
    """INIT_ATTACH: a session with the root protection domain, or with that for sensors, which on
    our DSP is the same process.  OSError EBUSY, ENODEV."""
    with file.starting, ExitStack() as undo:
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
    with file.starting, ExitStack() as undo:
        if file.session is not None:
            raise OSError(errno.EBUSY, "the file has a session already")
        image, used = _image(file, client, request)
        if used is not None:
            undo.callback(file.detach, used)
        memory = _init_memory(file, memory_size)
        undo.callback(file.detach, memory)
        session = start(file, ProtectionDomain.USER, undo)
        session.announce(memory)
        if used is not None:
            session.announce(used)
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
            file.session, file.init_memory = session, memory
            undo.pop_all()
            if used is not None:
                file.detach(used)
        return result


def start(file: OpenFile, kind: ProtectionDomain, undo: ExitStack) -> Session:
    """Connect a file that has no session yet.  OSError EBUSY, ENODEV."""
    if file.session is not None:
        raise OSError(errno.EBUSY, "the file has a session already")
    session = file.start_session(kind)
    undo.callback(session.close)
    return session


def _init_memory(file: OpenFile, size: int) -> Attachment:
    buffer = BufferObject.create(size)
    try:
        return file.take_bank(errno.ENOMEM).attach(buffer)
    finally:
        buffer.put()


def _image(
    file: OpenFile, client: Client, request: InitCreate
) -> tuple[Argument, Attachment | None]:
    """The shell image as an argument, and the use of the buffer that it lies in, if any (H20)."""
    image = Argument(request.file, request.filelen, request.filefd)
    if not request.filelen:
        return image._replace(fd=0), None
    if request.filefd == 0 or (file.descriptors and request.filefd < 0):
        end = request.file + request.filelen
        if end >> 64:
            raise OSError(errno.EINVAL, "address and length of the image wrap")
        if end > client.limit:
            raise OSError(errno.EFAULT, "the image is not in user space")
        return image._replace(fd=0), None
    try:
        used = file.use(request.filefd, client, request.file)
    except OSError as error:
        raise OSError(errno.EINVAL, f"filefd {request.filefd} names no buffer") from error
    try:
        if request.filelen > used.buffer.size:
            raise OSError(errno.EINVAL, "the image is longer than its buffer")
        if request.file:
            return file.locate(image, used, client), used
        return image._replace(backing=Backing(used.address, used.buffer.size)), used
    except BaseException:
        file.detach(used)
        raise


def map_memory(file: OpenFile, client: Client, request: MemMap) -> int:
    """MAP: make a buffer, or memory that the DSP has asked for, appear at a DSP address.

    OSError ENOENT or EBADF, EINVAL for what does not fit the buffer (H23), ENODEV without session.
    """
    session = _session(file)
    legacy = request.request == MapKind.LEGACY
    with ExitStack() as undo:
        used = None
        page = PhysicalPage()
        if request.fd > 0:
            used = file.use(request.fd, client, request.vaddrin)
            undo.callback(file.detach, used)
            if (0 if legacy else request.offset) + request.size > used.buffer.size:
                raise OSError(errno.EINVAL, "offset and size do not fit the buffer")
            session.announce(used)
            page = PhysicalPage(address=used.address, size=used.buffer.size)
        elif not legacy or request.flags not in MADE_BY_DSP:
            raise OSError(errno.EINVAL, f"fd {request.fd} names no buffer")
        if legacy:
            call = control.map_legacy(file.client_id, request.flags, request.vaddrin, page)
        else:
            call = control.mem_map(
                file.client_id, request.fd, request.offset, request.flags, request.vaddrin, page
            )
        mapping = Mapping(request.request, request.fd, 0, request.size, used)
        return add_mapping(file, session, client, call, mapping, request, undo)


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
    undo: ExitStack,
) -> int:
    """Have the DSP map what `mapping` describes.  If it does, the file keeps it, `request` gets
    the address, and nothing is undone; returns the DSP's result."""
    result, outputs = execute(session, client, call)
    if result == 0:
        request.vaddrout = MapResponse.unpack(outputs[0]).address
        file.add_mapping(replace(mapping, address=request.vaddrout))
        undo.pop_all()
    return result


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
        mapping = file.take_mapping(lambda it: (it.request, it.address, it.size) == wanted)
        call = control.unmap_legacy(file.client_id, address, size)
    else:
        address = request.vaddr
        mapping = file.take_mapping(
            lambda it: (it.request, it.fd) == (request.request, fd) and address in (0, it.address)
        )
        call = control.mem_unmap(file.client_id, fd, address, size)
    return remove_mapping(file, session, client, call, mapping)


def remove_mapping(
    file: OpenFile, session: Session, client: Client, call: ControlCall, mapping: Mapping
) -> int:
    """Have the DSP undo a mapping that has been taken out of the file, and which goes back if it
    does not; returns the DSP's result."""
    with ExitStack() as undo:
        undo.callback(file.add_mapping, mapping)
        result, _ = execute(session, client, call)
        if result == 0:
            undo.pop_all()
            if mapping.attachment is not None:
                file.detach(mapping.attachment)
        return result


def _session(file: OpenFile) -> Session:
    if file.session is None:
        raise OSError(errno.ENODEV, "the file has no session: INIT_ATTACH or CREATE comes first")
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
        file.end_session()
