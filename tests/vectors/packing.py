"""Golden vectors of INVOKE and of the control methods, byte for byte through the packer."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Generator, Iterator

from qda.driver.packing import Contents, copy_back, pack
from qda.fastrpc import control
from qda.fastrpc.control import ControlCall, MapResponse
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import ContextId, InvokeMessage
from qda.fastrpc.overlap import Overlap
from qda.fastrpc.payload import Argument, Backing, Layout, PhysicalPage, header, lay_out
from qda.fastrpc.scalars import Scalars
from qda.uapi.accel import InitCreate, Invoke, InvokeElement, MemMap, MemUnmap
from tests.vectors.fakes import Case, FakeClient, FakeMessage, areas_of, fill

Failures = Iterator[str]


def check_invoke(case: Case, constants: Case) -> Failures:
    """One case of an invoke_*.json file."""
    given, wanted = case["in"], case["out"]
    request = Invoke.unpack(bytes.fromhex(given["ioctl_hex"]))
    yield from _differ("handle", request.handle, given["handle"])
    yield from _differ("sc", request.scalars, given["sc"])
    yield from _differ("args_ptr", request.arguments, given["args_ptr"])
    client = FakeClient(given, constants["page_offset"])
    scalars = Scalars.decode(request.scalars)
    raw = client.read(request.arguments, scalars.length * InvokeElement.byte_size)
    if scalars.length and raw is None:
        yield from _differ("errno", -errno.EFAULT, wanted["errno"])
        return
    elements = InvokeElement.codec.iter_unpack(raw or b"")
    arguments = [Argument(address, length, fd) for address, length, fd, _ in elements]
    yield from _check_packed(case, constants, client, scalars, arguments, None, request.handle)


def check_control(case: Case, constants: Case) -> Failures:
    """One case of control.json that is sent; `check_driver` has those that are refused."""
    given, wanted = case["in"], case["out"]
    call, record = _control_call(case)
    yield from _differ("method", call.method.name, case["method"])
    yield from _differ("sc", call.scalars.word, wanted["sc"])
    yield from _differ("pd", int(call.domain), wanted["pd"])
    if "request_hex" in wanted:
        yield from _differ("request", (call.inputs[0] or b"").hex(), wanted["request_hex"])
    if "pages_hex" in wanted:
        page = call.inputs[3 if case["method"].startswith("CREATE") else 1]
        yield from _differ("pages", (page or b"").hex(), wanted["pages_hex"])
    client = FakeClient(given, constants["page_offset"])
    used = [entry for entry in wanted["args"] if not entry.get("unused")]
    arguments = [Argument(entry["ptr"], entry["length"], entry["fd"]) for entry in used]
    contents: Contents = {}
    for index, entry in enumerate(used):
        if entry["object"] != "user":
            own = call.inputs[index] if index < len(call.inputs) else bytes(entry["length"])
            contents[index] = own or b""
            yield from _differ(f"length of argument {index}", len(own or b""), entry["length"])
    outputs = yield from _check_packed(
        case, constants, client, call.scalars, arguments, contents, wanted["handle"]
    )
    reply = case.get("reply")
    if reply is None:
        return
    if isinstance(record, MemMap) and reply["retval"] == 0:
        record.vaddrout = MapResponse.unpack(outputs[0]).address
    left = record.pack().hex() if record else ""
    yield from _differ("ioctl structure afterwards", left, case["after"]["ioctl_hex"])


def _control_call(case: Case) -> tuple[ControlCall, InitCreate | MemMap | MemUnmap | None]:
    given, method, client_id = case["in"], case["method"], case["in"]["client_id"]
    data = bytes.fromhex(given["ioctl_hex"])
    if method == "ATTACH":
        return control.attach(client_id), None
    if method == "RELEASE":
        return control.release(client_id), None
    if method.startswith("CREATE"):
        create = InitCreate.unpack(data)
        memory = given["init_mem"]
        page = PhysicalPage(address=memory["dma"], size=memory["size"])
        name = given["comm"].encode()
        return (
            control.create(client_id, name, create.filelen, page, create.attrs, create.siglen),
            create,
        )
    if method in ("MMAP", "MEM_MAP"):
        mapped = MemMap.unpack(data)
        page = _page_of(given, mapped.fd)
        if method == "MMAP":
            return control.map_legacy(client_id, mapped.flags, mapped.vaddrin, page), mapped
        call = control.mem_map(
            client_id, mapped.fd, mapped.offset, mapped.flags, mapped.vaddrin, page
        )
        return call, mapped
    unmap = MemUnmap.unpack(data)
    if method == "MUNMAP":
        return control.unmap_legacy(client_id, unmap.vaddrout, unmap.size), unmap
    return control.mem_unmap(client_id, unmap.fd, unmap.vaddr, unmap.size), unmap


def _page_of(given: Case, fd: int) -> PhysicalPage:
    for entry in given["gem"]:
        if entry["handle"] == fd:
            return PhysicalPage(address=address_of(entry), size=entry["size"])
    return PhysicalPage()


def address_of(entry: Case) -> int:
    """The device address of an object in a vector's handle table."""
    return int(entry["imported_dma"] if entry["imported"] else entry["dma"])


def _check_packed(
    case: Case,
    constants: Case,
    client: FakeClient,
    scalars: Scalars,
    arguments: list[Argument],
    contents: Contents | None,
    handle: int,
) -> Generator[str, None, list[bytes]]:
    """Pack, compare, answer as the vector's DSP does, copy back, compare.  Returns the contents of
    the driver's own out-buffers."""
    given, wanted = case["in"], case["out"]
    layout = lay_out(scalars, arguments)
    yield from _check_layout(layout, wanted)
    handles = {entry["handle"]: (0, 0, entry["handle"]) for entry in given["gem"]}
    client.areas = areas_of(given, handles)

    def allocate(size: int) -> FakeMessage:
        if size > constants["alloc_limit"]:
            raise OSError(errno.ENOMEM, "the allocator's limit")
        return FakeMessage(size, given["msg_dma"])

    def resolve(argument: Argument, is_buffer: bool) -> Argument:
        for entry in given["gem"]:
            if entry["handle"] == argument.fd:
                area = client.area(argument.address) if is_buffer else None
                offset = argument.address - area.start + area.offset if area else 0
                return argument._replace(backing=Backing(address_of(entry), entry["size"], offset))
        raise OSError(errno.ENOENT, "unknown handle")

    try:
        layout, packed = pack(
            scalars, arguments, client, allocate, resolve, contents, given["msg_virt"]
        )
    except OSError as error:
        yield from _differ("errno", -(error.errno or 0), wanted["errno"])
        return []
    yield from _differ("errno", 0, wanted["errno"])
    assert isinstance(packed, FakeMessage)
    yield from _check_message(layout, arguments, packed, given, wanted)
    domain = ProtectionDomain(wanted.get("pd", 0))
    client_id = 0 if handle == Fixed.INIT else given["client_id"]
    message = InvokeMessage(
        client_id=client_id,
        tid=client.tid,
        context=ContextId(given["xa_id"], domain).word,
        handle=handle,
        scalars=scalars.word,
        address=packed.device_address,
        size=layout.allocation,
    )
    yield from _differ("wire message", message.pack().hex(), wanted["wire_hex"])
    return (yield from _check_answer(case, client, layout, arguments, packed, contents))


def _check_layout(layout: Layout, wanted: Case) -> Failures:
    for name, value in (
        ("metalen", layout.metadata),
        ("pkt_size", layout.size),
        ("aligned_pkt_size", layout.allocation),
    ):
        if name in wanted:
            yield from _differ(name, value, wanted[name])
    if "overlaps" in wanted:
        # Which of two equal ranges comes first is not significant: compare without the index,
        # then that each range still has its argument.
        expected = [Overlap(*entry) for entry in wanted["overlaps"]]
        yield from _differ(
            "overlaps",
            [overlap._replace(argument=0) for overlap in layout.overlaps],
            [overlap._replace(argument=0) for overlap in expected],
        )
        yield from _differ(
            "ranges",
            sorted(overlap[:3] for overlap in layout.overlaps),
            sorted(overlap[:3] for overlap in expected),
        )


def _check_message(
    layout: Layout, arguments: list[Argument], packed: FakeMessage, given: Case, wanted: Case
) -> Failures:
    data = bytes(packed.data)
    if "message_hex" in wanted:
        yield from _differ("message", data[: layout.size].hex(), wanted["message_hex"])
    else:
        yield from _differ("header", data[: layout.metadata].hex(), wanted["header_hex"])
    digest = hashlib.sha256(data[: layout.size]).hexdigest()
    yield from _differ("message hash", digest, wanted["message_sha256"])
    yield from _differ("rest of the last page", data[layout.size :].strip(b"\0"), b"")
    positions: list[int | None] = [
        None if position < 0 else position for position in layout.positions
    ]
    yield from _differ("pv_rel", positions, wanted["pv_rel"])
    again = header(layout, arguments, given["msg_virt"], given["msg_dma"])
    yield from _differ("header", again, data[: layout.metadata])


def _check_answer(
    case: Case,
    client: FakeClient,
    layout: Layout,
    arguments: list[Argument],
    packed: FakeMessage,
    contents: Contents | None,
) -> Generator[str, None, list[bytes]]:
    reply, after = case.get("reply"), case.get("after")
    if reply is None or after is None:
        return []
    outputs = layout.copies_out(arguments)
    for copy in outputs:
        data = fill(copy.argument, copy.length) if contents is None else _answer(reply, copy.length)
        packed.view[copy.position : copy.position + copy.length] = data
    if contents is not None:
        yield from _differ("ret", reply["retval"], after["ret"])
        return [bytes(packed.view[c.position : c.position + c.length]) for c in outputs]
    result = reply["retval"] if copy_back(outputs, client, packed) else -errno.EFAULT
    yield from _differ("ret", result, after["ret"])
    if after.get("partial"):
        return []
    index_of = {copy.position: copy.argument for copy in outputs}
    stored = [[index_of[p.position], p.address, p.length] for p in client.stored]
    if len(index_of) == len(outputs):  # outputs that share a place cannot be told apart by it
        yield from _differ("copied", stored, after["copied"])
    yield from _differ("copied bytes", [s[1:] for s in stored], [c[1:] for c in after["copied"]])
    yield from _differ("memory afterwards", client.hashes(), after["memory_sha256"])
    return []


def _answer(reply: Case, length: int) -> bytes:
    return int(reply.get("vaddrout", 0)).to_bytes(8, "little")[:length]


def _differ(what: str, found: object, wanted: object) -> Failures:
    if found != wanted:
        yield f"{what}: {_short(found)} instead of {_short(wanted)}"


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 200 else f"{words[:200]}... ({len(words)} characters)"
