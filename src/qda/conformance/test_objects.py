"""INVOKE with arguments in buffer objects, which are shared and not copied, and with handles."""

from __future__ import annotations

import mmap
import os
from errno import EFAULT, EINVAL, ENOENT

import pytest

from qda.conformance.foreign import foreign_buffer
from qda.conformance.interface import (
    NOBODY,
    PAGE,
    UNKNOWN_MODULE,
    OpenNode,
    allocate,
    close_handle,
    export,
    import_fd,
    inline,
    invoke,
    map_object,
    name_of,
    part_of,
)
from qda.conformance.memory import (
    KERNEL_ADDRESSES,
    NOWHERE,
    Memory,
    address_of,
    protect,
    replace_by_nothing,
    reserved,
)
from qda.conformance.skeletons import Probe
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.payload import NOVA
from qda.uapi.accel import InvokeElement

UNKNOWN = as_signed(BAD_HANDLE)
places = pytest.mark.parametrize("is_output", [False, True], ids=["input", "output"])


def invoke_one(node: OpenNode, is_output: bool, element: InvokeElement) -> int:
    """A call with one buffer to a module that does not exist; its result."""
    ins, outs = ([], [element]) if is_output else ([element], [])
    return invoke(node, UNKNOWN_MODULE, 2, ins, outs)


def echo(node: OpenNode, probe: int, source: InvokeElement) -> bytes:
    """What the DSP sees of an input."""
    target = Memory(source.length)
    assert invoke(node, probe, Probe.ECHO, [source], [inline(target)]) == 0
    return target.content


# Names of objects.


@places
def test_unknown_object_is_refused(session_node: OpenNode, is_output: bool) -> None:
    """Spec 4.5: no such handle is ENOENT in RFC, no such descriptor EBADF in V1."""
    unknown = -session_node.unknown
    for name in (NOBODY, (1 << 31) - 1):
        element = inline(Memory(4), fd=name)
        assert invoke_one(session_node, is_output, element) == unknown


def test_handle_of_another_file_is_enoent(session_node: OpenNode, second_node: OpenNode) -> None:
    """Spec 4.1: a handle is valid only in the open file that made it."""
    session_node.target.require_dialect("rfc", "handle", why="fd is a descriptor of the process")
    handles = [allocate(second_node) for _ in range(3)]
    with map_object(second_node, handles[-1]) as pages:
        element = part_of(pages, handles[-1])
        assert invoke_one(session_node, False, element) == -ENOENT


def test_closed_name_is_refused(session_node: OpenNode) -> None:
    """Spec 4.5: ENOENT for a closed handle, EBADF for a closed descriptor."""
    handle = allocate(session_node)
    with map_object(session_node, handle) as pages:
        if session_node.later:
            name = os.dup(export(session_node, handle))
            assert invoke_one(session_node, False, part_of(pages, name)) == UNKNOWN
            os.close(name)
            assert invoke_one(session_node, False, part_of(pages, name)) == -session_node.unknown
        else:
            assert invoke_one(session_node, False, part_of(pages, handle)) == UNKNOWN
            close_handle(session_node, handle)
            assert invoke_one(session_node, False, part_of(pages, handle)) == -ENOENT


def test_descriptor_of_something_else_is_einval(session_node: OpenNode) -> None:
    """Spec 4.5, V1: a descriptor that is no DMA-BUF."""
    session_node.target.require_dialect("v1", "legacy", why="fd is a GEM handle")
    descriptor = os.open("/dev/null", os.O_RDWR)
    try:
        element = inline(Memory(4), fd=descriptor)
        assert invoke_one(session_node, False, element) == -EINVAL
    finally:
        os.close(descriptor)


def test_descriptor_is_imported_by_the_call(session_node: OpenNode, second_node: OpenNode) -> None:
    """Spec 4.4, V1: an object of another file may be named at once; its handle stays."""
    session_node.target.require_dialect("v1", why="there, fd is a descriptor, and imports stay")
    handle = allocate(second_node)
    descriptor = export(second_node, handle)
    with map_object(second_node, handle) as pages:
        assert invoke_one(session_node, False, part_of(pages, descriptor)) == UNKNOWN
    assert import_fd(session_node, descriptor) == 1


# Places in objects.


@places
def test_pointer_in_no_mapping_is_efault(session_node: OpenNode, is_output: bool) -> None:
    """H09, H01: also in the kernel's half."""
    name = name_of(session_node, allocate(session_node))
    for address in (0, NOWHERE, *KERNEL_ADDRESSES):
        element = InvokeElement(ptr=address, length=16, fd=name)
        assert invoke_one(session_node, is_output, element) == -EFAULT, hex(address)


@places
def test_pointer_in_a_mapping_of_something_else_is_einval(
    session_node: OpenNode, is_output: bool
) -> None:
    """H10: ordinary memory, another object."""
    name = name_of(session_node, allocate(session_node))
    element = inline(Memory(64), fd=name)
    assert invoke_one(session_node, is_output, element) == -EINVAL
    with map_object(session_node, allocate(session_node)) as pages:
        assert invoke_one(session_node, is_output, part_of(pages, name)) == -EINVAL


def test_object_without_a_mapping_is_found_by_reserved_addresses(
    session_node: OpenNode, probe: int
) -> None:
    """As remote_register_fd of Qualcomm's library passes buffers, with attribute NOVA."""
    handle = allocate(session_node, 2 * PAGE)
    with map_object(session_node, handle, 2 * PAGE) as pages:
        pages[PAGE : PAGE + 4] = b"data"
    with reserved(2 * PAGE) as start:
        element = InvokeElement(
            ptr=start + PAGE, length=4, fd=name_of(session_node, handle), attr=NOVA
        )
        assert echo(session_node, probe, element) == b"data"
        element.length = PAGE + 1
        assert invoke_one(session_node, False, element) == -EINVAL


def test_reservations_that_the_kernel_has_joined_have_whole_objects(
    session_node: OpenNode, probe: int
) -> None:
    """Where one object ends and the next begins is not known: no call gets another's bytes."""
    handles = [allocate(session_node, size * PAGE) for size in (2, 3)]
    for handle, size, content in zip(handles, (2, 3), (b"left", b"next"), strict=True):
        with map_object(session_node, handle, size * PAGE) as pages:
            pages[:4] = content
    left, following = (name_of(session_node, handle) for handle in handles)
    with reserved(5 * PAGE) as start:
        for ptr, length, fd, content in (
            (start, 2 * PAGE, left, b"left"),
            (start + 2 * PAGE, 3 * PAGE - 1, following, b"next"),
        ):
            element = InvokeElement(ptr=ptr, length=length, fd=fd, attr=NOVA)
            assert echo(session_node, probe, element)[:4] == content
            element.length = 4
            assert invoke_one(session_node, False, element) == -EINVAL


@places
def test_reserved_addresses_without_the_attribute_are_einval(
    session_node: OpenNode, is_output: bool
) -> None:
    """H10; and with the attribute, memory that may be accessed."""
    name = name_of(session_node, allocate(session_node))
    with reserved(PAGE) as start:
        element = InvokeElement(ptr=start, length=4, fd=name)
        assert invoke_one(session_node, is_output, element) == -EINVAL
    accessible = inline(Memory(64), fd=name, attr=NOVA)
    assert invoke_one(session_node, is_output, accessible) == -EINVAL


@pytest.mark.usefixtures("hostile")
@places
@pytest.mark.parametrize(
    ("start", "length"),
    [(0, 2 * PAGE + 1), (PAGE, PAGE + 1), (2 * PAGE - 1, 2), (0, (1 << 31) - 1)],
)
def test_buffer_beyond_the_object_is_einval(
    session_node: OpenNode, is_output: bool, start: int, length: int
) -> None:
    """H11: offset + length is compared with the object's size."""
    handle = allocate(session_node, 2 * PAGE)
    name = name_of(session_node, handle)
    with map_object(session_node, handle, 2 * PAGE) as pages:
        element = part_of(pages, name, start, length)
        assert invoke_one(session_node, is_output, element) == -EINVAL
        whole = part_of(pages, name, start, 2 * PAGE - start)
        assert invoke_one(session_node, is_output, whole) == UNKNOWN


@places
@pytest.mark.usefixtures("hostile")
def test_length_of_a_buffer_in_an_object_that_wraps_is_einval(
    session_node: OpenNode, is_output: bool
) -> None:
    """H05, H06."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    with map_object(session_node, handle) as pages:
        for length in ((1 << 64) - address_of(pages) + 8, (1 << 64) - 1, 1 << 31):
            element = part_of(pages, name, 0, length)
            assert invoke_one(session_node, is_output, element) == -EINVAL


@pytest.mark.usefixtures("hostile")
def test_inline_buffer_that_overlaps_an_object_is_einval(session_node: OpenNode) -> None:
    """H08: the same bytes cannot be both shared and copied."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    with map_object(session_node, handle) as pages:
        shared = part_of(pages, name, 1000, 1000)
        for start, length in ((1000, 1000), (1200, 10), (500, 501), (1999, 500), (0, PAGE)):
            for fd in (0, -1):
                copied = part_of(pages, fd, start, length)
                for ins, outs in (
                    ([shared, copied], []),
                    ([copied, shared], []),
                    ([copied], [shared]),
                    ([shared], [copied]),
                ):
                    result = invoke(session_node, UNKNOWN_MODULE, 2, ins, outs)
                    assert result == -EINVAL, (start, length)


def test_inline_buffer_beside_an_object_is_accepted(session_node: OpenNode, probe: int) -> None:
    """H08: bytes of the same mapping that are not the same bytes; an empty buffer has none."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    with map_object(session_node, handle) as pages:
        pages[1000:1004] = b"data"
        shared = part_of(pages, name, 1000, 4)
        for start, length in ((996, 4), (1004, 4), (1002, 0)):
            copied = part_of(pages, -1, start, length)
            assert invoke(session_node, probe, Probe.ECHO, [shared], [copied]) == 0
        assert pages[996:1008] == b"data" * 3


# What is carried out.


@pytest.mark.parametrize(("start", "length"), [(0, 4), (5, 100), (PAGE - 2, 4), (0, 3 * PAGE)])
def test_input_in_an_object_is_seen_by_the_dsp(
    session_node: OpenNode, probe: int, start: int, length: int
) -> None:
    """Spec 2.4: at any offset, across pages."""
    handle = allocate(session_node, 3 * PAGE)
    with map_object(session_node, handle, 3 * PAGE) as pages:
        pages[:] = bytes(index % 251 for index in range(3 * PAGE))
        source = part_of(pages, name_of(session_node, handle), start, length)
        assert echo(session_node, probe, source) == pages[start : start + length]


def test_output_in_an_object_is_written_in_place(session_node: OpenNode, probe: int) -> None:
    """Spec 2.5: and what the DSP does not touch keeps its content, unlike with a copy (H18)."""
    handle = allocate(session_node, 2 * PAGE)
    name = name_of(session_node, handle)
    with map_object(session_node, handle, 2 * PAGE) as pages:
        pages[:] = b"\xa5" * (2 * PAGE)
        target = part_of(pages, name, PAGE - 2, 4)
        assert invoke(session_node, probe, Probe.MARK, outs=[target]) == 0
        assert pages[:] == b"\xa5" * (2 * PAGE)
        source = inline(Memory(b"data"))
        assert invoke(session_node, probe, Probe.ECHO, [source], [target]) == 0
        assert pages[PAGE - 3 : PAGE + 3] == b"\xa5data\xa5"


def test_several_buffers_can_lie_in_one_object(session_node: OpenNode, probe: int) -> None:
    """Spec 2.2, 2.4: also when they overlap; all of them are the same pages."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    with map_object(session_node, handle) as pages:
        pages[:8] = b"12345678"
        source, target = part_of(pages, name, 0, 8), part_of(pages, name, 0, 8)
        assert invoke(session_node, probe, Probe.NEGATE, [source], [target]) == 0
        assert pages[:8] == b"\xce234567\xce"


def test_objects_and_inline_buffers_mix(session_node: OpenNode, probe: int) -> None:
    """Spec 2.4."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    with map_object(session_node, handle) as pages:
        shared, copied = part_of(pages, name, 8, 4), Memory(b"data")
        assert invoke(session_node, probe, Probe.ECHO, [inline(copied)], [shared]) == 0
        assert echo(session_node, probe, shared) == b"data"


def test_second_mapping_of_an_object_is_as_good_as_the_first(
    session_node: OpenNode, probe: int
) -> None:
    """H09: the pointer may lie in any mapping of the object, also in one of its DMA-BUF."""
    handle = allocate(session_node, 2 * PAGE)
    name = name_of(session_node, handle)
    descriptor = export(session_node, handle)
    with (
        map_object(session_node, handle, 2 * PAGE) as first,
        map_object(session_node, handle, 2 * PAGE) as second,
        mmap.mmap(descriptor, PAGE, offset=PAGE) as part,
    ):
        first[PAGE : PAGE + 4] = b"data"
        assert echo(session_node, probe, part_of(first, name, PAGE, 4)) == b"data"
        assert echo(session_node, probe, part_of(second, name, PAGE, 4)) == b"data"
        assert echo(session_node, probe, part_of(part, name, 0, 4)) == b"data"


def test_mapping_that_is_split_by_its_protection(session_node: OpenNode, probe: int) -> None:
    """H12: the later part of a mapping begins at its own offset in the object."""
    session_node.target.require_here("a guest has mappings as they were made")
    handle = allocate(session_node, 4 * PAGE)
    name = name_of(session_node, handle)
    with map_object(session_node, handle, 4 * PAGE) as pages:
        for index in range(4):
            pages[index * PAGE : index * PAGE + 4] = b"no %d" % index
        protect(address_of(pages) + PAGE, PAGE, mmap.PROT_READ)
        for index in range(4):
            source = part_of(pages, name, index * PAGE, 4)
            assert echo(session_node, probe, source) == b"no %d" % index


def test_mapping_that_has_lost_its_first_pages(session_node: OpenNode, probe: int) -> None:
    """H12: what is left of it shows the later pages of the object; the rest is something else."""
    session_node.target.require_here("a guest has mappings as they were made")
    handle = allocate(session_node, 3 * PAGE)
    name = name_of(session_node, handle)
    with map_object(session_node, handle, 3 * PAGE) as pages:
        pages[2 * PAGE : 2 * PAGE + 4] = b"data"
        start = address_of(pages)
        replace_by_nothing(start, 2 * PAGE)
        assert echo(session_node, probe, part_of(pages, name, 2 * PAGE, 4)) == b"data"
        lost = InvokeElement(ptr=start + PAGE, length=4, fd=name)
        assert invoke_one(session_node, False, lost) == -EINVAL


def test_import_can_be_an_argument(session_node: OpenNode, probe: int) -> None:
    """R12: mapped through its exporter, named by its handle or descriptor."""
    descriptor = foreign_buffer(session_node)
    handle = import_fd(session_node, descriptor)
    name = descriptor if session_node.later else handle
    with mmap.mmap(descriptor, PAGE) as pages:
        pages[8:12] = b"data"
        assert echo(session_node, probe, part_of(pages, name, 8, 4)) == b"data"
        target = part_of(pages, name, 20, 4)
        assert invoke(session_node, probe, Probe.ECHO, [inline(Memory(b"back"))], [target]) == 0
        assert pages[20:24] == b"back"


# Handle arguments.


def test_handle_argument_names_a_part_of_an_object(session_node: OpenNode, probe: int) -> None:
    """Spec 1.2: ptr is the offset, length the length of the part."""
    handle = allocate(session_node, 2 * PAGE)
    name = name_of(session_node, handle)
    with map_object(session_node, handle, 2 * PAGE) as pages:
        pages[PAGE + 3 : PAGE + 7] = b"data"
    part, target = InvokeElement(ptr=PAGE + 3, length=4, fd=name), Memory(4)
    for handles in ({"in_handles": [part]}, {"out_handles": [part]}):
        result = invoke(session_node, probe, Probe.SELECT, outs=[inline(target)], **handles)
        assert result == 0
        assert target.content == b"data"


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 2 * PAGE + 1),
        (PAGE, PAGE + 1),
        (2 * PAGE, 1),
        (1 << 32, 1),
        (0, 1 << 32),
        ((1 << 64) - 1, 1),
        ((1 << 64) - PAGE, 2 * PAGE),
        (0, (1 << 64) - 1),
        ((1 << 32) + 4, 0),
    ],
)
def test_handle_argument_beyond_the_object_is_einval(
    session_node: OpenNode, offset: int, length: int
) -> None:
    """H13: not cut to 32 bits, and compared with the object."""
    name = name_of(session_node, allocate(session_node, 2 * PAGE))
    part = InvokeElement(ptr=offset, length=length, fd=name)
    assert invoke(session_node, UNKNOWN_MODULE, 2, in_handles=[part]) == -EINVAL
    assert invoke(session_node, UNKNOWN_MODULE, 2, out_handles=[part]) == -EINVAL
    good = InvokeElement(ptr=PAGE, length=PAGE, fd=name)
    assert invoke(session_node, UNKNOWN_MODULE, 2, in_handles=[good]) == UNKNOWN


def test_handle_argument_with_an_unknown_object_is_refused(session_node: OpenNode) -> None:
    """Spec 4.5: also with length 0, because a handle names the object itself."""
    unknown = -session_node.unknown
    for length in (0, 4):
        part = InvokeElement(length=length, fd=NOBODY)
        assert invoke(session_node, UNKNOWN_MODULE, 2, in_handles=[part]) == unknown


@pytest.mark.parametrize("fd", [0, -1])
def test_handle_argument_without_an_object_is_a_number(
    session_node: OpenNode, probe: int, fd: int
) -> None:
    """Spec 2.4: ptr reaches the DSP as it is, whatever address it would be."""
    for value in (0, 0x201, KERNEL_ADDRESSES[-1], (1 << 64) - 1):
        number, target = InvokeElement(ptr=value, fd=fd), Memory(8)
        arguments = {"outs": [inline(target)], "in_handles": [number]}
        assert invoke(session_node, probe, Probe.VALUE, **arguments) == 0
        assert target.word == value
