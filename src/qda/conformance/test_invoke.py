"""INVOKE with arguments in ordinary memory: what is refused, what is carried out."""

from __future__ import annotations

import mmap
import struct
from errno import EFAULT, EINVAL, ENOMEM, EPERM

import pytest

from qda.conformance.interface import (
    PAGE,
    UNKNOWN_MODULE,
    OpenNode,
    allocate,
    call,
    inline,
    invoke,
    map_object,
)
from qda.conformance.memory import KERNEL_ADDRESSES, NOWHERE, Memory, address_of, protect
from qda.conformance.skeletons import Probe
from qda.errors import BAD_HANDLE, as_signed, is_errno
from qda.fastrpc.scalars import Scalars
from qda.uapi.accel import InvokeElement

UNKNOWN = as_signed(BAD_HANDLE)
"""The result of a call that was not refused and went to a module that does not exist."""

places = pytest.mark.parametrize("is_output", [False, True], ids=["input", "output"])
inline_fds = pytest.mark.parametrize("fd", [0, -1])


def invoke_one(node: OpenNode, is_output: bool, **values: int) -> int:
    """A call with one buffer to a module that does not exist; its result."""
    element = InvokeElement(**{"fd": -1, **values})
    ins, outs = ([], [element]) if is_output else ([element], [])
    return invoke(node, UNKNOWN_MODULE, 2, ins, outs)


def calls_of(node: OpenNode, probe: int) -> int:
    """How often the skeleton's MARK has run."""
    count = Memory(4)
    assert invoke(node, probe, Probe.COUNT, outs=[inline(count)]) == 0
    return count.word


# Handles and sessions.


@pytest.mark.usefixtures("hostile")
def test_invoke_of_the_drivers_handle_is_eperm(session_node: OpenNode) -> None:
    """H04: handle 1, whatever the rest of the request is."""
    assert invoke(session_node, 1, 0) == -EPERM
    assert invoke(session_node, 1, 1, [InvokeElement(ptr=NOWHERE, length=4)]) == -EPERM
    result, _ = call(session_node, "INVOKE", handle=1, scalars=0x00010000, arguments=NOWHERE)
    assert result == -EPERM


@pytest.mark.usefixtures("hostile")
def test_invoke_of_the_drivers_handle_without_a_session_is_eperm(node: OpenNode) -> None:
    """H04."""
    assert invoke(node, 1, 0) == -EPERM


@pytest.mark.parametrize("handle", [UNKNOWN_MODULE, 0x200, 0xFFFFFFFF], ids=hex)
def test_invoke_of_an_unknown_module_is_the_dsps_refusal(
    session_node: OpenNode, handle: int
) -> None:
    """design.md, Errors: status 0x8000042C."""
    assert invoke(session_node, handle, 2) == UNKNOWN


@pytest.mark.parametrize("handle", [0, 2, 4, 8, UNKNOWN_MODULE])
def test_invoke_without_a_session_is_the_dsps_refusal(node: OpenNode, handle: int) -> None:
    """Spec 2.6: the message names a client that the DSP does not know; a status, no errno."""
    result = invoke(node, handle, 2)
    assert result != 0 and not is_errno(result)


# The array of elements.


@pytest.mark.parametrize("address", [0, NOWHERE, *KERNEL_ADDRESSES], ids=hex)
@pytest.mark.usefixtures("hostile")
def test_elements_at_a_bad_address_are_efault(session_node: OpenNode, address: int) -> None:
    """H03, R3."""
    for scalars in (Scalars(2, 1), Scalars(2, 0, 1), Scalars(2, 0, 0, 1), Scalars(2, 0, 0, 0, 1)):
        values = {"handle": UNKNOWN_MODULE, "scalars": scalars.word, "arguments": address}
        assert call(session_node, "INVOKE", **values)[0] == -EFAULT


@pytest.mark.usefixtures("hostile")
def test_elements_that_wrap_are_refused(session_node: OpenNode) -> None:
    """H03: an array that goes around the end of all addresses."""
    values = {"scalars": Scalars(2, 2).word, "arguments": (1 << 64) - 8}
    assert call(session_node, "INVOKE", handle=UNKNOWN_MODULE, **values)[0] == -EFAULT


def test_elements_that_are_not_all_there_are_efault(session_node: OpenNode) -> None:
    """uapi INVOKE: all of the elements that the counts announce must be readable."""
    with mmap.mmap(-1, 2 * PAGE) as pages:
        end = address_of(pages) + PAGE
        protect(end, PAGE, 0)
        values = {"handle": UNKNOWN_MODULE, "arguments": end - 2 * InvokeElement.byte_size}
        assert call(session_node, "INVOKE", scalars=Scalars(2, 2).word, **values)[0] == UNKNOWN
        assert call(session_node, "INVOKE", scalars=Scalars(2, 3).word, **values)[0] == -EFAULT
        protect(end, PAGE, mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.parametrize("address", [0, NOWHERE, *KERNEL_ADDRESSES], ids=hex)
def test_elements_are_not_looked_at_without_arguments(session_node: OpenNode, address: int) -> None:
    """uapi INVOKE: with all four counts 0."""
    values = {"handle": UNKNOWN_MODULE, "scalars": Scalars(2).word, "arguments": address}
    assert call(session_node, "INVOKE", **values)[0] == UNKNOWN


def test_attr_is_not_looked_at(session_node: OpenNode, probe: int) -> None:
    """H28."""
    source, target = Memory(b"data"), Memory(4)
    arguments = [inline(source, attr=0xFFFFFFFF)], [inline(target, attr=1)]
    assert invoke(session_node, probe, Probe.ECHO, *arguments) == 0
    assert target.content == b"data"


# Addresses and lengths of inline buffers.


@places
@inline_fds
@pytest.mark.usefixtures("hostile")
def test_buffer_in_the_kernels_half_is_efault(
    session_node: OpenNode, is_output: bool, fd: int
) -> None:
    """H01, H02: before anything is sent."""
    for address in KERNEL_ADDRESSES:
        values = {"ptr": address, "length": 64, "fd": fd}
        assert invoke_one(session_node, is_output, **values) == -EFAULT, hex(address)


@places
@inline_fds
@pytest.mark.usefixtures("hostile")
def test_buffer_that_wraps_is_einval(session_node: OpenNode, is_output: bool, fd: int) -> None:
    """H05: pointer + length goes around."""
    for address, length in (((1 << 64) - 8, 9), ((1 << 64) - 1, PAGE), (1 << 63, 1 << 63)):
        values = {"ptr": address, "length": length + 1, "fd": fd}
        assert invoke_one(session_node, is_output, **values) == -EINVAL, hex(address)


@places
@inline_fds
@pytest.mark.parametrize("length", [1 << 31, (1 << 32) + 4, 1 << 63, (1 << 64) - 1], ids=hex)
@pytest.mark.usefixtures("hostile")
def test_length_above_2_gib_is_einval(
    session_node: OpenNode, is_output: bool, fd: int, length: int
) -> None:
    """H06: 2^31 - 1 is the longest."""
    values = {"ptr": Memory(4).address, "length": length, "fd": fd}
    assert invoke_one(session_node, is_output, **values) == -EINVAL


@pytest.mark.usefixtures("hostile")
def test_lengths_whose_sum_wraps_are_einval(session_node: OpenNode) -> None:
    """H06: two outputs of 2^63 bytes add up to nothing."""
    element = InvokeElement(ptr=Memory(4).address, length=1 << 63, fd=-1)
    assert invoke(session_node, UNKNOWN_MODULE, 2, outs=[element, element]) == -EINVAL


@places
@pytest.mark.parametrize("fd", [-2, -100, -(1 << 31)])
@pytest.mark.usefixtures("hostile")
def test_fd_below_minus_1_is_einval(session_node: OpenNode, is_output: bool, fd: int) -> None:
    """H07: alone, and after a buffer whose size is no multiple of 128."""
    session_node.require_signed()
    before, memory = Memory(5), Memory(300)
    element = inline(memory, fd=fd)
    ins, outs = ([], [element]) if is_output else ([element], [])
    assert invoke(session_node, UNKNOWN_MODULE, 2, ins, outs) == -EINVAL
    assert invoke(session_node, UNKNOWN_MODULE, 2, [inline(before), *ins], outs) == -EINVAL


@inline_fds
def test_input_that_cannot_be_read_is_efault(session_node: OpenNode, fd: int) -> None:
    """R3: no mapping, the first or last byte in a page that may not be read."""
    assert invoke_one(session_node, False, ptr=NOWHERE, length=1, fd=fd) == -EFAULT
    assert invoke_one(session_node, False, ptr=0, length=PAGE, fd=fd) == -EFAULT
    with mmap.mmap(-1, 3 * PAGE) as pages:
        start = address_of(pages)
        protect(start + PAGE, PAGE, 0)
        good, long = {"ptr": start, "length": PAGE}, {"ptr": start, "length": PAGE + 1}
        late = {"ptr": start + 2 * PAGE - 1, "length": 2}
        assert invoke_one(session_node, False, fd=fd, **good) == UNKNOWN
        assert invoke_one(session_node, False, fd=fd, **long) == -EFAULT
        assert invoke_one(session_node, False, fd=fd, **late) == -EFAULT
        protect(start + PAGE, PAGE, mmap.PROT_READ | mmap.PROT_WRITE)


def test_refused_call_does_not_reach_the_dsp(session_node: OpenNode, probe: int) -> None:
    """H02, R3: what can be refused is refused before anything is sent."""
    bad = InvokeElement(ptr=NOWHERE, length=4, fd=-1)
    good = inline(Memory(4))
    assert invoke(session_node, probe, Probe.MARK, [bad]) == -EFAULT
    assert invoke(session_node, probe, Probe.MARK, [good, bad]) == -EFAULT
    nonsense = invoke(session_node, probe, Probe.MARK, [inline(Memory(4), fd=-2)])
    assert nonsense == (-EINVAL if session_node.signed else -session_node.unknown)
    beyond = InvokeElement(ptr=KERNEL_ADDRESSES[0], length=4, fd=-1)
    if session_node.target.virtual or session_node.target.hostile:
        assert invoke(session_node, probe, Probe.MARK, outs=[beyond]) == -EFAULT
    assert calls_of(session_node, probe) == 0


def test_output_to_memory_that_is_not_there_is_efault_after_the_call(
    session_node: OpenNode, probe: int
) -> None:
    """Spec 2.5: the DSP has done its work, and the fault hides its result."""
    bad = InvokeElement(ptr=NOWHERE, length=4, fd=-1)
    assert invoke(session_node, probe, Probe.MARK, outs=[bad]) == -EFAULT
    word = inline(Memory(struct.pack("<i", 7)))
    assert invoke(session_node, probe, Probe.STATUS, [word], [bad]) == -EFAULT
    assert calls_of(session_node, probe) == 1


def test_output_to_memory_that_cannot_be_written_is_efault(
    session_node: OpenNode, probe: int
) -> None:
    """Spec 2.5, R3: the protection of a page holds for the device, too."""
    with mmap.mmap(-1, PAGE) as pages:
        protect(address_of(pages), PAGE, mmap.PROT_READ)
        element = InvokeElement(ptr=address_of(pages), length=8, fd=-1)
        assert invoke(session_node, probe, Probe.MARK, outs=[element]) == -EFAULT
        assert pages[:8] == bytes(8)


@pytest.mark.parametrize("count", [1, 2, 100])
def test_message_that_is_too_large_is_enomem(session_node: OpenNode, count: int) -> None:
    """H24: lengths that are legal one by one, without memory for all of them."""
    session_node.target.require_virtual("a kernel may have the memory")
    step = 1 << 31
    elements = [
        InvokeElement(ptr=step * (index + 1), length=step - 1, fd=-1) for index in range(count)
    ]
    assert invoke(session_node, UNKNOWN_MODULE, 2, outs=elements) == -ENOMEM
    assert invoke(session_node, UNKNOWN_MODULE, 2, elements) == -ENOMEM


# Zero-length buffers.


@places
@pytest.mark.parametrize("address", [0, 1, NOWHERE, (1 << 47) - PAGE - 1], ids=hex)
@pytest.mark.parametrize("fd", [-1, 0, 1, 1 << 30, (1 << 31) - 1])
def test_empty_buffer_is_not_looked_at(
    session_node: OpenNode, is_output: bool, address: int, fd: int
) -> None:
    """Spec 2.4: neither its address nor its object."""
    assert invoke_one(session_node, is_output, ptr=address, fd=fd) == UNKNOWN


@places
def test_empty_buffer_in_the_kernels_half_is_not_looked_at(
    session_node: OpenNode, is_output: bool
) -> None:
    """uapi INVOKE: ptr is not looked at if length is 0."""
    for address in KERNEL_ADDRESSES:
        assert invoke_one(session_node, is_output, ptr=address) == UNKNOWN, hex(address)


@places
@pytest.mark.parametrize("fd", [-2, -(1 << 31)])
def test_empty_buffer_with_fd_below_minus_1_is_einval(
    session_node: OpenNode, is_output: bool, fd: int
) -> None:
    """H07: for any fd below -1."""
    session_node.require_signed()
    assert invoke_one(session_node, is_output, fd=fd) == -EINVAL


def test_empty_buffers_reach_the_dsp_as_empty(session_node: OpenNode, probe: int) -> None:
    """Spec 2.4: they keep their places among the arguments."""
    empty, target = InvokeElement(fd=-1), Memory(8)
    arguments = [empty, inline(Memory(3))], [empty, inline(target)]
    assert invoke(session_node, probe, Probe.LENGTHS, *arguments) == 0
    assert struct.unpack("<4H", target.content) == (0, 3, 0, 0)


# What is carried out.


@inline_fds
@pytest.mark.parametrize("length", [1, 4, 127, 128, 129, PAGE, PAGE + 1, 1 << 20])
def test_inline_buffers_arrive_and_come_back(
    session_node: OpenNode, probe: int, fd: int, length: int
) -> None:
    """Spec 2.4, 4.4: fd 0 and -1 mean data anywhere in memory."""
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    source, target = Memory(data), Memory(length)
    arguments = [inline(source, fd=fd)], [inline(target, fd=fd)]
    assert invoke(session_node, probe, Probe.ECHO, *arguments) == 0
    assert target.content == data
    assert source.content == data


def test_a_mapped_object_can_be_passed_as_ordinary_memory(
    session_node: OpenNode, probe: int
) -> None:
    """Spec 4.4: without its name it is memory like any other, and is copied."""
    with map_object(session_node, allocate(session_node)) as pages:
        pages[:4] = b"data"
        source = InvokeElement(ptr=address_of(pages), length=4, fd=-1)
        target = InvokeElement(ptr=address_of(pages) + 100, length=4, fd=-1)
        assert invoke(session_node, probe, Probe.ECHO, [source], [target]) == 0
        assert pages[100:104] == b"data"


def test_output_that_the_dsp_does_not_touch_becomes_zero(
    session_node: OpenNode, probe: int
) -> None:
    """H18: every output is copied back in full."""
    target = Memory(b"\xa5" * 300)
    assert invoke(session_node, probe, Probe.MARK, outs=[inline(target)]) == 0
    assert target.content == bytes(300)


def test_output_is_written_in_its_own_length(session_node: OpenNode, probe: int) -> None:
    """H14: not a byte before or behind it."""
    memory = Memory(b"\xa5" * 32)
    target = inline(memory, ptr=memory.address + 8, length=16)
    assert invoke(session_node, probe, Probe.MARK, outs=[target]) == 0
    assert memory.content == b"\xa5" * 8 + bytes(16) + b"\xa5" * 8


def test_input_is_never_written(session_node: OpenNode, probe: int) -> None:
    """Spec 2.5: only outputs are copied back; a page that may only be read is good enough."""
    with mmap.mmap(-1, PAGE) as pages:
        pages[:4] = b"data"
        protect(address_of(pages), PAGE, mmap.PROT_READ)
        source, target = InvokeElement(ptr=address_of(pages), length=4, fd=-1), Memory(4)
        assert invoke(session_node, probe, Probe.ECHO, [source], [inline(target)]) == 0
        assert target.content == b"data"


def test_overlapping_inline_buffers_are_one_memory(session_node: OpenNode, probe: int) -> None:
    """Spec 2.2: an input and an output at the same place are the same bytes on the DSP."""
    memory = Memory(b"\x01\x02\x03\x04")
    arguments = [inline(memory)], [inline(memory)]
    assert invoke(session_node, probe, Probe.NEGATE, *arguments) == 0
    # The skeleton wrote 0xfe to the first byte of the output, then read the input.
    assert memory.content == b"\xfe\x02\x03\xfe"


def test_buffers_are_told_apart_by_their_place_alone(session_node: OpenNode, probe: int) -> None:
    """Spec 1.1: in-buffers, out-buffers, in-handles, out-handles, whatever their addresses."""
    blocks = Memory(64)
    ins = [inline(blocks, ptr=blocks.address + 40, length=5), inline(blocks, length=9)]
    outs = [inline(blocks, ptr=blocks.address + 20, length=3), inline(Memory(8))]
    target = Memory(8)
    outs[1] = inline(target)
    assert invoke(session_node, probe, Probe.LENGTHS, ins, outs) == 0
    assert struct.unpack("<4H", target.content) == (5, 9, 3, 0)


def test_the_largest_number_of_arguments(session_node: OpenNode, probe: int) -> None:
    """Spec 1.1: 255 in-buffers, 255 out-buffers, 15 and 15 handles."""
    inputs = [Memory(index % 7) for index in range(255)]
    outputs = [Memory(b"\xa5" * (index % 5)) for index in range(255)]
    values = [InvokeElement(ptr=index, fd=-1) for index in range(15)]
    ins, outs = [inline(memory) for memory in inputs], [inline(memory) for memory in outputs]
    assert invoke(session_node, probe, Probe.MARK, ins, outs, values, values) == 0
    assert all(memory.content == bytes(len(memory)) for memory in outputs)
    target = Memory(2 * 509)
    assert invoke(session_node, probe, Probe.LENGTHS, ins, [*outs[:254], inline(target)]) == 0
    lengths = struct.unpack("<509H", target.content)
    assert lengths == tuple(len(memory) for memory in (*inputs, *outputs[:254]))


def test_method_31_and_above_is_word_0_of_the_first_input(
    session_node: OpenNode, probe: int
) -> None:
    """Spec 1.5."""
    source, target = Memory(struct.pack("<I", Probe.EXTENDED) + b"data"), Memory(4)
    assert invoke(session_node, probe, 31, [inline(source)], [inline(target)]) == 0
    assert target.content == b"data"
