"""What only the older driver has: its nodes, the commands without a twin, and the DMA-BUF heap."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from errno import (
    EBADF,
    EBUSY,
    ECONNREFUSED,
    EFAULT,
    EINVAL,
    ENODEV,
    ENOMEM,
    ENOTTY,
    EOVERFLOW,
)
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qda.client import Node, identify
from qda.conformance.interface import (
    BANKS_DOMAIN,
    PAGE,
    UNKNOWN_MODULE,
    OpenNode,
    Target,
    allocate,
    call,
    close_handle,
    command,
    create_session,
    inline,
    invoke,
    issue,
    map_object,
    map_on_dsp,
    part_of,
)
from qda.conformance.memory import KERNEL_ADDRESSES, NOWHERE, Memory
from qda.conformance.skeletons import Probe
from qda.errors import BAD_ADDRESS, BAD_HANDLE, DeviceError, as_signed, is_errno
from qda.uapi import LEGACY, dma_heap, ioctl_size
from qda.uapi.legacy import Capability, MapNew

pytestmark = pytest.mark.dialects("legacy", why="its own rules are in the other modules")

CURRENT_PROCESS, ADDRESS_SPACE, UTILITIES = 4, 5, 2
UNSIGNED = 8
UNKNOWN = as_signed(BAD_HANDLE)
GONE = as_signed(BAD_ADDRESS)


def other_node(node: OpenNode, suffix: str) -> OpenNode:
    """The DSP's other node, "-secure" or "".  Skips if there is none."""
    found = identify(node.node)
    assert found is not None
    try:
        opened = node.node.neighbour(f"/dev/fastrpc-{found.domain}{suffix}")
    except DeviceError as error:
        pytest.skip(f"this DSP has one node only: {error.symbol}")
    return OpenNode(node.target, opened)


def address_space(node: OpenNode) -> int:
    """The number of the address space that the session's calls run in (spec 6.7)."""
    number = Memory(4)
    assert invoke(node, CURRENT_PROCESS, ADDRESS_SPACE, outs=[inline(number)]) == 0
    return number.word


def peek(node: OpenNode, probe: int, address: int, length: int) -> bytes | int:
    """Bytes at a DSP address, or the status of the failed access."""
    target, source = Memory(length), Memory(address.to_bytes(8, "little"))
    result = invoke(node, probe, Probe.PEEK, [inline(source)], [inline(target)])
    return result or target.content


# Codes and records.


@pytest.mark.parametrize(
    "code",
    [
        *(0xC0045202, 0xC018520C, 0xC0105200, 0xC010520E, 0x000052FF),
        *(0x80105203, 0x40105203, 0x00005203, 0xC0185203, 0xC00F5203, 0xC0105205),
        *(0x5205, 0x5209, 0xC0045204, 0x5206, 0xC0106447, 0xC0406400, 0xC0184800, 0),
    ],
    ids=hex,
)
def test_any_other_code_is_enotty(node: OpenNode, code: int) -> None:
    """Spec 5.2: the whole code counts; FREE_DMA_BUFF is not there."""
    data = bytearray(b"\xa5" * 64)
    assert issue(node, code, data) == -ENOTTY
    assert data == b"\xa5" * 64


def test_options_came_with_7_3(node: OpenNode) -> None:
    """versions.md 6: before, the command is not there."""
    data = bytearray(32)
    expected = -EINVAL if node.dialect.has("SET_OPTION") else -ENOTTY
    assert issue(node, 0xC020520C, data) == expected
    assert data == bytes(32)


def test_free_dma_buff_is_declared_and_enotty(node: OpenNode) -> None:
    """Spec 5.2: a command with a plain number, which no driver carries out."""
    asked = LEGACY.command("FREE_DMA_BUFF")
    assert (asked.code, asked.record, asked.argument) == (0xC0045202, None, "__u32")
    assert issue(node, asked.code, bytearray(4)) == -ENOTTY


@pytest.mark.parametrize("key", ["ALLOC_DMA_BUFF", "INVOKE", "MEM_MAP", "GET_DSP_INFO"])
def test_record_that_is_not_all_there_is_efault(node: OpenNode, key: str) -> None:
    """Spec 5.2: structures are copied in their own size."""
    node.target.require_virtual("a kernel sees what lies behind the bytes of the test")
    asked = command(node, key)
    assert issue(node, asked.code, bytearray(asked.size - 1)) == -EFAULT


def test_refused_record_comes_back_unchanged(session_node: OpenNode) -> None:
    """Spec 5.3: an answer is written only if the result is 0."""
    request = MapNew(fd=-1, flags=7, size=PAGE, vaddrout=0xA5).pack()
    data = bytearray(request)
    assert issue(session_node, command(session_node, "MAP_NEW").code, data) == -EINVAL
    assert data == request


def test_commands_without_a_structure_take_any_argument(node: OpenNode) -> None:
    """clients.md 7: hexagonrpcd passes NULL, others may pass anything."""
    data = bytearray(b"\xa5" * 8)
    assert issue(node, 0x5204, data) == 0
    assert data == b"\xa5" * 8


def test_the_node_itself_cannot_be_mapped(node: OpenNode) -> None:
    """Spec 5.3: only the descriptors of memory can."""
    with pytest.raises(OSError) as refused:
        node.node.mmap(PAGE, 0, mmap.mmap)
    assert refused.value.errno == ENODEV


def test_ioctl_after_close_is_ebadf(target: Target) -> None:
    """A closed node is a closed descriptor; closing twice is closing once."""
    node = target.open()
    node.close()
    node.close()
    assert call(node, "GET_DSP_INFO", attribute_id=6)[0] == -EBADF


# Memory of the driver.


@pytest.mark.parametrize("size", [0, (1 << 64) - 4095, (1 << 64) - 1], ids=hex)
def test_allocation_of_a_size_that_makes_no_sense_is_einval(node: OpenNode, size: int) -> None:
    """H25."""
    assert call(node, "ALLOC_DMA_BUFF", size=size)[0] == -EINVAL


@pytest.mark.parametrize("size", [(1 << 64) - 4096, 1 << 62], ids=hex)
def test_allocation_beyond_all_memory_is_enomem(node: OpenNode, size: int) -> None:
    """Spec 5.3."""
    assert call(node, "ALLOC_DMA_BUFF", size=size)[0] == -ENOMEM


@pytest.mark.parametrize(("size", "pages"), [(1, 1), (PAGE, 1), (PAGE + 88, 2), (70000, 18)])
def test_allocation_need_not_be_whole_pages(node: OpenNode, size: int, pages: int) -> None:
    """clients.md 6: the C library does not round."""
    fd = allocate(node, size)
    with map_object(node, fd, size) as mapped:
        assert mapped[:] == bytes(size)
        mapped[-1] = 1
    assert os.lseek(fd, 0, os.SEEK_END) == pages * PAGE


def test_allocation_does_not_look_at_flags(node: OpenNode) -> None:
    """Spec 5.3."""
    result, record = call(node, "ALLOC_DMA_BUFF", size=PAGE, flags=0xFFFFFFFF)
    assert result == 0
    os.close(record.fd)


def test_allocation_is_inherited(node: OpenNode) -> None:
    """Spec 5.3: the descriptor is not closed at exec, and can be mapped for writing."""
    fd = allocate(node)
    assert os.get_inheritable(fd)
    assert fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def test_allocation_cannot_change_its_size(node: OpenNode) -> None:
    """R13: nobody can take pages away that the DSP works on."""
    node.target.require_virtual("a DMA-BUF has no length to change")
    fd = allocate(node)
    for size in (0, 2 * PAGE):
        with pytest.raises(PermissionError):
            os.ftruncate(fd, size)


def test_memory_of_one_file_is_as_good_in_another(
    session_node: OpenNode, second_node: OpenNode
) -> None:
    """clients.md 6: without a heap, one open file allocates for the session of another."""
    fd = allocate(second_node)
    second_node.node.close()
    with map_object(second_node, fd) as pages:
        assert invoke(session_node, UNKNOWN_MODULE, 2, [part_of(pages, fd)]) == UNKNOWN


def test_memory_outlives_its_file(target: Target) -> None:
    """Spec 5.3: it belongs to its descriptor."""
    with target.open() as node, map_object(node, allocate(node)) as pages:
        pages[:4] = b"here"
        node.node.close()
        assert pages[:4] == b"here"


# Sessions.


def test_sensors_share_a_process(node: OpenNode, second_node: OpenNode) -> None:
    """Spec 5.3, R21: INIT_ATTACH_SNS; a protection domain that is there for all."""
    assert call(node, "INIT_ATTACH_SNS")[0] == 0
    assert call(second_node, "INIT_ATTACH_SNS")[0] == 0
    assert address_space(node) == address_space(second_node)
    for key in ("INIT_ATTACH", "INIT_ATTACH_SNS"):
        assert call(node, key)[0] == -EBUSY


def static(node: OpenNode, name: bytes = b"audiopd\0", address: int | None = None) -> int:
    """INIT_CREATE_STATIC; its result."""
    text = Memory(name)
    where = text.address if address is None else address
    values = {"namelen": len(name), "memlen": 3 << 20, "name": where}
    return call(node, "INIT_CREATE_STATIC", **values)[0]


def test_static_process(node: OpenNode, second_node: OpenNode) -> None:
    """Spec 5.3, R21: the second finds the DSP's remote heap handed over, and the process there."""
    node.target.require_virtual("a DSP has certain static processes only")
    for opened in (node, second_node):
        assert static(opened) == 0
        assert address_space(opened)
        assert static(opened) == -EBUSY
        assert call(opened, "CREATE", filefd=-1, attrs=UNSIGNED)[0] == -EBUSY
    assert address_space(node) == address_space(second_node)


def test_static_process_stays(node: OpenNode) -> None:
    """R21: it is there when its last session has gone, and one of another name is another."""
    node.target.require_virtual("a DSP has certain static processes only")
    seen = []
    for name in (b"audiopd\0", b"audiopd\0", b"oispd\0"):
        with node.target.open() as opened:
            assert static(opened, name) == 0
            seen.append(address_space(opened))
    assert seen[0] == seen[1] != seen[2]


def test_static_process_with_a_name_that_makes_no_sense(node: OpenNode) -> None:
    """Spec 5.3: EINVAL above 128 bytes, EFAULT in bad memory; without one the DSP refuses, and a
    later attempt works."""
    assert static(node, b"a" * 128 + b"\0") == -EINVAL
    for address in (0, NOWHERE, *KERNEL_ADDRESSES):
        assert static(node, address=address) == -EFAULT, hex(address)
    node.target.require_virtual("a DSP has certain static processes only")
    assert not is_errno(static(node, b"")) and static(node, b"") != 0
    assert static(node, b"a" * 127 + b"\0") == 0


def test_plain_node_is_for_unsigned_processes(node: OpenNode) -> None:
    """Spec 5.3: ECONNREFUSED unless attrs has the bit; the secure node takes both."""
    node.target.require_virtual("a kernel's DSP may be a non-secure one")
    with other_node(node, "") as plain:
        for attributes in (0, 0x60):
            assert call(plain, "CREATE", filefd=-1, attrs=attributes)[0] == -ECONNREFUSED
        assert call(plain, "CREATE", filefd=-1, attrs=UNSIGNED | 0x60)[0] == 0
        assert address_space(plain)
    with other_node(node, "-secure") as secure:
        assert call(secure, "CREATE", filefd=-1)[0] == 0


def test_plain_node_takes_attached_clients(node: OpenNode) -> None:
    """Spec 5.3: the rule is for INIT_CREATE."""
    with other_node(node, "") as plain:
        assert call(plain, "INIT_ATTACH")[0] == 0


# New memory for the DSP.


def give(node: OpenNode, size: int = PAGE, **other: int) -> tuple[int, int]:
    """MMAP; its result and vaddrout."""
    result, record = call(node, "MAP_NEW", **{"fd": -1, "flags": 0x1000, "size": size, **other})
    return result, int(record.vaddrout)


def take(node: OpenNode, address: int, size: int = PAGE) -> int:
    """MUNMAP; its result."""
    return call(node, "UNMAP_NEW", vaddrout=address, size=size)[0]


@pytest.mark.parametrize("flags", [0x1000, 8], ids=hex)
@pytest.mark.parametrize("fd", [-1, 0, 1 << 30, -5])
def test_new_memory_is_the_dsps(session_node: OpenNode, probe: int, flags: int, fd: int) -> None:
    """Spec 5.3: the kernel allocates, whatever fd is; the DSP can use all of it."""
    result, address = give(session_node, 3 * PAGE, flags=flags, fd=fd)
    assert result == 0 and 0 < address < 1 << 32
    where, what = Memory((address + 3 * PAGE - 4).to_bytes(8, "little")), Memory(b"kept")
    assert invoke(session_node, probe, Probe.POKE, [inline(where), inline(what)]) == 0
    assert peek(session_node, probe, address + 3 * PAGE - 5, 5) == b"\0kept"
    assert take(session_node, address, 3 * PAGE) == 0
    assert peek(session_node, probe, address, 1) == GONE


@pytest.mark.parametrize("flags", [0, 2, 4, 6, 0x1008, 0x3000, 0xFFFFFFFF], ids=hex)
def test_new_memory_of_another_kind_is_einval(session_node: OpenNode, flags: int) -> None:
    """Spec 5.3: only 0x1000 and 8."""
    assert give(session_node, flags=flags) == (-EINVAL, 0)


@pytest.mark.parametrize("hint", [1, PAGE, 1 << 32, (1 << 64) - 1], ids=hex)
def test_new_memory_takes_no_hint(session_node: OpenNode, hint: int) -> None:
    """Spec 5.3: vaddrin must be 0."""
    assert give(session_node, vaddrin=hint) == (-EINVAL, 0)


@pytest.mark.parametrize(
    ("size", "error"),
    [(0, EINVAL), ((1 << 64) - 1, EINVAL), ((1 << 64) - 4096, ENOMEM), (1 << 40, ENOMEM)],
)
def test_new_memory_of_a_size_that_cannot_be(session_node: OpenNode, size: int, error: int) -> None:
    """H25, spec 5.3: 1 TiB is more than the DSP's bus can address."""
    assert give(session_node, size) == (-error, 0)


def test_new_memory_is_taken_back_by_address_and_size(session_node: OpenNode) -> None:
    """Spec 5.3: both must match what MMAP returned and was given."""
    result, address = give(session_node, PAGE + 8)
    assert result == 0
    for wrong, size in ((address, PAGE), (address, 2 * PAGE), (address + PAGE, PAGE + 8), (0, 0)):
        assert take(session_node, wrong, size) == -EINVAL
    assert take(session_node, address, PAGE + 8) == 0
    assert take(session_node, address, PAGE + 8) == -EINVAL


def test_the_two_kinds_of_mapping_do_not_mix(session_node: OpenNode) -> None:
    """Spec 5.3: MUNMAP is for MMAP, MEM_UNMAP for MEM_MAP."""
    fd = allocate(session_node)
    mapped = map_on_dsp(session_node, fd)
    given = give(session_node)[1]
    assert take(session_node, mapped) == -EINVAL
    assert call(session_node, "MEM_UNMAP", fd=-1, vaddr=given)[0] == -EINVAL
    assert take(session_node, given) == 0
    assert call(session_node, "MEM_UNMAP", fd=-1, vaddr=mapped)[0] == 0


def test_new_memory_of_another_file_is_not_mine(
    session_node: OpenNode, second_session: OpenNode
) -> None:
    """Spec 5.3."""
    address = give(session_node)[1]
    assert take(second_session, address) == -EINVAL
    assert take(session_node, address) == 0


# Mappings of memory that has a descriptor.


def test_mapping_is_undone_by_its_address(session_node: OpenNode, probe: int) -> None:
    """Spec 5.3, clients.md 6: fd below 0, or the fd that was mapped; length is not looked at."""
    fd, other = allocate(session_node), allocate(session_node)
    for name in (-1, -2, fd):
        address = map_on_dsp(session_node, fd)
        for wrong in (other, 0):
            assert call(session_node, "MEM_UNMAP", fd=wrong, vaddr=address)[0] == -EINVAL
        assert call(session_node, "MEM_UNMAP", fd=name, vaddr=0)[0] == -EINVAL
        assert call(session_node, "MEM_UNMAP", fd=name, vaddr=address, length=1)[0] == 0
        assert peek(session_node, probe, address, 1) == GONE


def test_map_does_not_look_at_what_is_reserved(session_node: OpenNode) -> None:
    """R1: existing programs may have anything there."""
    fd = allocate(session_node)
    values: dict[str, Any] = {"version": -1, "attrs": -1, "reserved": b"\xff" * 16}
    result, mapped = call(session_node, "MEM_MAP", fd=fd, flags=2, length=PAGE, **values)
    assert result == 0
    values = {"version": -1, "reserved": b"\xff" * 20}
    assert call(session_node, "MEM_UNMAP", fd=fd, vaddr=mapped.vaddrout, **values)[0] == 0


@pytest.mark.parametrize("offset", [-1, -PAGE, -(1 << 31)])
def test_map_from_before_the_memory_is_einval(session_node: OpenNode, offset: int) -> None:
    """H23: the field is signed."""
    values = {"flags": 2, "length": PAGE, "offset": offset}
    assert call(session_node, "MEM_MAP", fd=allocate(session_node), **values)[0] == -EINVAL


def test_mappings_without_a_session_are_the_dsps_refusal(node: OpenNode) -> None:
    """Spec 2.6: the message names a client that the DSP does not know."""
    fd = allocate(node)
    for key, values in (
        ("MEM_MAP", {"fd": fd, "flags": 2, "length": PAGE}),
        ("MEM_UNMAP", {"fd": fd, "vaddr": PAGE}),
        ("MAP_NEW", {"fd": -1, "flags": 8, "size": PAGE}),
        ("UNMAP_NEW", {"vaddrout": PAGE, "size": PAGE}),
    ):
        result = call(node, key, **values)[0]
        assert result != 0 and not is_errno(result), key


def test_memory_is_mapped_for_a_call_only(session_node: OpenNode, probe: int) -> None:
    """Spec 2.11: nothing stays of a descriptor that a call has named."""
    fd = allocate(session_node)
    with map_object(session_node, fd) as pages:
        target = Memory(4)
        arguments = [part_of(pages, fd, 0, 4)], [inline(target)]
        assert invoke(session_node, probe, Probe.ECHO, *arguments) == 0
    close_handle(session_node, fd)
    again = allocate(session_node)  # most likely with the same number
    with map_object(session_node, again) as pages:
        pages[:4] = b"next"
        arguments = [part_of(pages, again, 0, 4)], [inline(target)]
        assert invoke(session_node, probe, Probe.ECHO, *arguments) == 0
        assert target.content == b"next"


# Capabilities.


def ask(node: OpenNode, attribute: int, **other: int) -> tuple[int, int]:
    """GET_DSP_INFO; its result and the value."""
    result, record = call(node, "GET_DSP_INFO", attribute_id=attribute, **other)
    return result, int(record.capability)


def test_capabilities_are_those_of_the_dsp(session_node: OpenNode) -> None:
    """Spec 3.5, 5.3: as its module at handle 2 tells them."""
    length, values = Memory((255).to_bytes(4, "little")), Memory(4 * 255)
    assert invoke(session_node, UTILITIES, 0, [inline(length)], [inline(values)]) == 0
    words = memoryview(values.content).cast("I")
    for attribute in (1, 2, 3, 6, 11, 129, 131, 255):
        assert ask(session_node, attribute) == (0, words[attribute - 1])
    if session_node.target.virtual:
        assert ask(session_node, 6) == (0, 0x73)


def test_capabilities_need_no_session(node: OpenNode) -> None:
    """clients.md 6: the C library asks on a file that it opens for this alone."""
    result, value = ask(node, 6)
    assert result == 0
    assert ask(node, 6, domain=3)[1] == value
    assert ask(node, 6, domain=0xFFFFFFFF)[1] == value  # spec 5.3: newer kernels do not look


def test_capability_0_is_answered_by_the_driver(node: OpenNode) -> None:
    """Spec 3.5: it is never sent."""
    assert ask(node, 0, capability=7) == (0, 0)


@pytest.mark.parametrize("attribute", [256, 257, 0x7FFFFFFF, 0xFFFFFFFF])
def test_capability_above_255_is_eoverflow(node: OpenNode, attribute: int) -> None:
    """Spec 5.3; those up to 259 a driver with signals answers itself."""
    is_own = attribute <= 259 and node.dialect.has("DSPSIGNAL_WAIT")
    assert ask(node, attribute, capability=7) == ((0, 0) if is_own else (-EOVERFLOW, 7))


def test_capability_record_has_28_bytes() -> None:
    """Spec 5.2: its code says so, too."""
    assert Capability.byte_size == 28 == ioctl_size(0xC01C520D)


# Context banks.


def test_open_without_a_free_bank_is_ebusy(target: Target, bank_nodes: list[OpenNode]) -> None:
    """Spec 5.1: it is taken at open and given back at close."""
    for _ in range(3):
        with pytest.raises(DeviceError) as refused:
            target.open(BANKS_DOMAIN)
        assert refused.value.errno == EBUSY
    bank_nodes[0].close()
    with target.open(BANKS_DOMAIN) as late:
        create_session(late)


def test_dsp_that_is_no_compute_dsp_has_one_node(bank_nodes: list[OpenNode]) -> None:
    """Spec 5.1: the secure one, unless the system says otherwise."""
    assert bank_nodes[0].node.path == "/dev/fastrpc-adsp-secure"
    with pytest.raises(DeviceError) as refused:
        bank_nodes[0].node.neighbour("/dev/fastrpc-adsp")
    assert refused.value.symbol == "ENOENT"


# The heap.


@pytest.fixture
def heap(node: OpenNode) -> Iterator[Node]:
    """The DMA-BUF heap of the system."""
    try:
        opened = node.node.neighbour(dma_heap.PATH)
    except DeviceError as error:
        pytest.skip(f"no {dma_heap.PATH}: {error.symbol}")
    try:
        yield opened
    finally:
        opened.close()


def heap_ioctl(heap: Node, code: int, data: bytearray) -> int:
    """An ioctl of the heap; 0 or a negative errno."""
    try:
        return heap.ioctl(code, data)
    except OSError as error:
        return -(error.errno or 0)


def heap_alloc(heap: Node, **values: int) -> tuple[int, int]:
    """ALLOC; its result and the fd."""
    flags = os.O_RDWR | os.O_CLOEXEC
    data = bytearray(dma_heap.Allocation(**{"fd_flags": flags, **values}).pack())
    result = heap_ioctl(heap, dma_heap.ALLOC.code, data)
    return result, dma_heap.Allocation.unpack(data).fd


def test_heap_code_is_that_of_the_kernel() -> None:
    """Spec 5.4."""
    assert (dma_heap.ALLOC.code, dma_heap.Allocation.byte_size) == (0xC0184800, 24)


@pytest.mark.parametrize(("size", "pages"), [(1, 1), (PAGE, 1), (100_000, 25)])
def test_heap_memory_is_a_dma_buf(heap: Node, size: int, pages: int) -> None:
    """Spec 5.4, clients.md 9: any length; zeros; its end says the size; closed at exec."""
    result, fd = heap_alloc(heap, len=size)
    assert result == 0
    with os.fdopen(fd, "rb"), mmap.mmap(fd, size) as pages_of_it:
        assert os.lseek(fd, 0, os.SEEK_END) == pages * PAGE
        assert not os.get_inheritable(fd)
        assert pages_of_it[:] == bytes(size)


def test_heap_descriptor_can_be_inherited(heap: Node) -> None:
    """Spec 5.4: without O_CLOEXEC in fd_flags."""
    _, fd = heap_alloc(heap, len=PAGE, fd_flags=os.O_RDWR)
    assert os.get_inheritable(fd)
    os.close(fd)


@pytest.mark.parametrize(
    "wrong",
    [
        {"len": 0},
        {"len": (1 << 64) - 1},
        {"len": (1 << 64) - 4095},
        {"len": PAGE, "fd": 1},
        {"len": PAGE, "fd": 0xFFFFFFFF},
        {"len": PAGE, "fd_flags": os.O_NONBLOCK | os.O_RDWR},
        {"len": PAGE, "fd_flags": 0x80000000},
        {"len": PAGE, "heap_flags": 1},
        {"len": PAGE, "heap_flags": 1 << 63},
    ],
    ids=str,
)
def test_heap_refuses_what_it_does_not_know(heap: Node, wrong: dict[str, int]) -> None:
    """Spec 5.4: EINVAL, and nothing is allocated."""
    before = os.listdir("/proc/self/fd")
    assert heap_alloc(heap, **wrong) == (-EINVAL, wrong.get("fd", 0))
    new = set(os.listdir("/proc/self/fd")).difference(before)  # what calls had may go meanwhile
    assert not new


@pytest.mark.usefixtures("hostile")
def test_heap_beyond_all_memory_is_enomem(heap: Node) -> None:
    """Spec 5.4."""
    for size in ((1 << 64) - 4096, 1 << 62, 1 << 52, 1 << 46):
        assert heap_alloc(heap, len=size) == (-ENOMEM, 0)


@pytest.mark.parametrize("code", [0xC0184801, 0xC01848FF, 0xC0106447, 0xC0105203], ids=hex)
def test_heap_has_one_command(heap: Node, code: int) -> None:
    """Spec 5.4: another number is EINVAL."""
    assert heap_ioctl(heap, code, bytearray(64)) == -EINVAL


def test_heap_record_has_the_callers_size(heap: Node) -> None:
    """Spec 5.4: a shorter one is extended with zeros, a longer one comes back whole."""
    request = dma_heap.Allocation(len=PAGE, fd_flags=os.O_RDWR).pack()
    data = bytearray(request[:16])
    assert heap_ioctl(heap, 0xC0104800, data) == 0
    os.close(dma_heap.Allocation.unpack(data + bytes(8)).fd)
    data = bytearray(request + b"\xa5" * 8)
    assert heap_ioctl(heap, 0xC0204800, data) == 0
    os.close(dma_heap.Allocation.unpack(data).fd)
    assert data[24:] == b"\xa5" * 8


def test_heap_itself_cannot_be_mapped(heap: Node) -> None:
    """Spec 5.4."""
    with pytest.raises(OSError) as refused:
        heap.mmap(PAGE, 0, mmap.mmap)
    assert refused.value.errno == ENODEV


def test_heap_memory_can_be_an_argument(heap: Node, session_node: OpenNode, probe: int) -> None:
    """clients.md 9: by its descriptor, at any address inside, also when the heap is closed."""
    _, fd = heap_alloc(heap, len=2 * PAGE - 7)
    session_node.left.callback(os.close, fd)
    heap.close()
    with mmap.mmap(fd, 2 * PAGE - 7) as pages:
        pages[PAGE : PAGE + 4] = b"data"
        target = part_of(pages, fd, 8, 4)
        arguments = [part_of(pages, fd, PAGE, 4)], [target]
        assert invoke(session_node, probe, Probe.ECHO, *arguments) == 0
        assert pages[8:12] == b"data"


def test_heap_memory_cannot_change_its_size(target: Target, heap: Node) -> None:
    """R13."""
    target.require_virtual("a DMA-BUF has no length to change")
    _, fd = heap_alloc(heap, len=PAGE)
    with os.fdopen(fd, "r+b"), pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


@pytest.mark.usefixtures("hostile")
def test_any_record_of_the_heap_gives_a_result(heap: Node) -> None:
    """R3, R4: a descriptor or an errno, whatever is in the fields."""
    values = {
        "len": st.one_of(st.integers(0, 1 << 16), st.integers(0, (1 << 64) - 1)),
        "fd": st.one_of(st.just(0), st.integers(0, (1 << 32) - 1)),
        "fd_flags": st.one_of(
            st.sampled_from([0, os.O_RDWR, os.O_WRONLY, os.O_CLOEXEC]),
            st.integers(0, (1 << 32) - 1),
        ),
        "heap_flags": st.one_of(st.just(0), st.integers(0, (1 << 64) - 1)),
    }

    @settings(max_examples=200)
    @given(record=st.fixed_dictionaries(values))
    def check(record: dict[str, int]) -> None:
        result, fd = heap_alloc(heap, **record)
        legal = not dma_heap.Allocation(**record).breach()
        assert result in ((0, -ENOMEM) if legal else (-EINVAL,))
        if result == 0:
            os.close(fd)

    check()
