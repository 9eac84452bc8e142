"""Buffer objects: GEM_CREATE, GEM_CLOSE, GEM_MMAP_OFFSET, mmap."""

from __future__ import annotations

import itertools
import mmap
from errno import EACCES, EINVAL, ENOENT, ENOMEM

import pytest

from qda.conformance.interface import (
    NOBODY,
    PAGE,
    OpenNode,
    Target,
    allocate,
    call,
    close_handle,
    export,
    import_fd,
    map_object,
)

pytestmark = pytest.mark.dialects("accel", why="buffers have no handles")


def mmap_error(node: OpenNode, length: int, offset: int) -> int | None:
    """The errno of an mmap that is refused."""
    with pytest.raises(OSError) as refused:
        node.node.mmap(length, offset, mmap.mmap)
    return refused.value.errno


def offset_of(node: OpenNode, handle: int) -> int:
    """The fake offset of an object."""
    result, record = call(node, "GEM_MMAP_OFFSET", handle=handle)
    assert result == 0
    return int(record.offset)


# GEM_CREATE.


@pytest.mark.parametrize("size", [0, (1 << 64) - 1, (1 << 64) - 4095], ids=hex)
def test_create_of_a_size_that_makes_no_sense_is_einval(node: OpenNode, size: int) -> None:
    """H25: size 0, and sizes that round up to 0 pages."""
    result, record = call(node, "GEM_CREATE", size=size)
    assert (result, record.handle) == (-EINVAL, 0)


@pytest.mark.parametrize("size", [(1 << 64) - 4096, 1 << 62, 1 << 45], ids=hex)
def test_create_beyond_all_memory_is_enomem(node: OpenNode, size: int) -> None:
    """Spec 4.5: an object that cannot be allocated, which also takes no handle."""
    result, record = call(node, "GEM_CREATE", size=size)
    assert (result, record.handle) == (-ENOMEM, 0)
    assert allocate(node) == 1


def test_create_with_a_pad_is_einval(node: OpenNode) -> None:
    """H25: reserved fields are 0, in both dialects."""
    assert call(node, "GEM_CREATE", size=PAGE, pad=1)[0] == -EINVAL


@pytest.mark.parametrize(("size", "pages"), [(1, 1), (PAGE, 1), (PAGE + 1, 2), (70000, 18)])
def test_create_rounds_up_to_whole_pages(node: OpenNode, size: int, pages: int) -> None:
    """Spec 4.5: the object can be mapped to the end of its last page, and no further."""
    handle = allocate(node, size)
    with map_object(node, handle, pages * PAGE) as mapped:
        assert len(mapped) == pages * PAGE
        mapped[-1] = 1
    assert mmap_error(node, pages * PAGE + 1, offset_of(node, handle)) == EINVAL


def test_new_memory_is_zero(node: OpenNode) -> None:
    """uapi GEM_CREATE: nobody's old bytes are in a new object."""
    for _ in range(3):
        handle = allocate(node, 4 * PAGE)
        with map_object(node, handle, 4 * PAGE) as mapped:
            assert mapped[:] == bytes(4 * PAGE)
            mapped[:] = b"\xa5" * (4 * PAGE)
        close_handle(node, handle)


def test_handles_begin_at_1_and_the_lowest_free_one_is_used(node: OpenNode) -> None:
    """Spec 4.1: handles are small integers from 1."""
    assert [allocate(node) for _ in range(4)] == [1, 2, 3, 4]
    close_handle(node, 2)
    assert allocate(node) == 2
    assert allocate(node) == 5


def test_handles_belong_to_their_file(node: OpenNode, second_node: OpenNode) -> None:
    """Spec 4.1: a handle is valid only in the open file that made it."""
    handle = allocate(node)
    assert call(second_node, "GEM_MMAP_OFFSET", handle=handle)[0] == -ENOENT
    assert call(second_node, "GEM_CLOSE", handle=handle)[0] == -EINVAL
    assert call(second_node, "PRIME_HANDLE_TO_FD", handle=handle)[0] == -ENOENT
    assert allocate(second_node) == handle


# GEM_CLOSE.


@pytest.mark.parametrize("handle", [0, 1, NOBODY, 0xFFFFFFFF])
def test_close_of_an_unknown_handle_is_einval(node: OpenNode, handle: int) -> None:
    """Spec 4.1."""
    assert call(node, "GEM_CLOSE", handle=handle)[0] == -EINVAL


def test_close_twice_is_einval(node: OpenNode) -> None:
    """Spec 4.1."""
    handle = allocate(node)
    assert call(node, "GEM_CLOSE", handle=handle)[0] == 0
    assert call(node, "GEM_CLOSE", handle=handle)[0] == -EINVAL


def test_close_does_not_look_at_pad(node: OpenNode) -> None:
    """uapi GEM_CLOSE."""
    assert call(node, "GEM_CLOSE", handle=allocate(node), pad=1)[0] == 0


def test_closed_object_lives_on_while_it_is_mapped(node: OpenNode) -> None:
    """uapi GEM_CLOSE: a mapping keeps its pages."""
    handle = allocate(node)
    with map_object(node, handle) as mapped:
        mapped[:4] = b"here"
        close_handle(node, handle)
        allocate(node)
        assert mapped[:4] == b"here"


# GEM_MMAP_OFFSET.


@pytest.mark.parametrize("handle", [0, 1, NOBODY, 0xFFFFFFFF])
def test_mmap_offset_of_an_unknown_handle_is_enoent(node: OpenNode, handle: int) -> None:
    """Spec 4.5."""
    result, record = call(node, "GEM_MMAP_OFFSET", handle=handle)
    assert (result, record.offset) == (-ENOENT, 0)


def test_mmap_offset_with_a_pad(node: OpenNode) -> None:
    """Spec 4.5: EINVAL since V1, while RFC does not look at it."""
    handle = allocate(node)
    result, _ = call(node, "GEM_MMAP_OFFSET", handle=handle, pad=1)
    assert result == (0 if node.dialect.name == "rfc" else -EINVAL)


def test_pad_comes_before_an_unknown_handle(node: OpenNode) -> None:
    """design.md, Finding a device: by this the dialects are told apart."""
    result, _ = call(node, "GEM_MMAP_OFFSET", handle=NOBODY, pad=1)
    assert result == (-ENOENT if node.dialect.name == "rfc" else -EINVAL)


def test_mmap_offset_is_the_same_each_time(node: OpenNode, second_node: OpenNode) -> None:
    """uapi GEM_MMAP_OFFSET: it names the object, in every file, however often it is asked for."""
    handle = allocate(node)
    offset = offset_of(node, handle)
    assert offset_of(node, handle) == offset
    other = import_fd(second_node, export(node, handle))
    assert offset_of(second_node, other) == offset


def test_mmap_offsets_differ_and_are_whole_pages(node: OpenNode) -> None:
    """uapi GEM_MMAP_OFFSET: ranges of two objects do not overlap."""
    sizes = [PAGE, 20 * PAGE, 1 << 20, PAGE]
    starts = sorted((offset_of(node, allocate(node, size)), size) for size in sizes)
    assert all(start % PAGE == 0 and start > 0 for start, _ in starts)
    for (start, size), (following, _) in itertools.pairwise(starts):
        assert start + size <= following


# mmap.


def test_mmap_shows_the_object_from_its_first_byte(node: OpenNode) -> None:
    """Spec 4.1: every mapping of an object shows the same pages, also a shorter one."""
    handle = allocate(node, 2 * PAGE)
    with map_object(node, handle, 2 * PAGE) as first, map_object(node, handle) as second:
        first[10:15] = b"first"
        assert second[10:15] == b"first"
        second[:6] = b"second"
        assert first[:6] == b"second"


@pytest.mark.parametrize("offset", [0, PAGE, 1 << 46], ids=hex)
def test_mmap_at_an_unknown_offset_is_einval(node: OpenNode, offset: int) -> None:
    """Spec 4.1."""
    allocate(node)
    assert mmap_error(node, PAGE, offset) == EINVAL


def test_mmap_longer_than_the_object_is_einval(node: OpenNode) -> None:
    """Spec 4.1."""
    assert mmap_error(node, 2 * PAGE, offset_of(node, allocate(node))) == EINVAL


def test_mmap_of_length_0_is_einval(node: OpenNode) -> None:
    """Spec 4.5."""
    assert mmap_error(node, 0, offset_of(node, allocate(node))) == EINVAL


def test_mmap_of_another_files_object_is_eacces(node: OpenNode, second_node: OpenNode) -> None:
    """Spec 4.1: knowing the offset is not enough."""
    assert mmap_error(second_node, PAGE, offset_of(node, allocate(node))) == EACCES


def test_mmap_after_the_handle_is_closed_is_refused(node: OpenNode) -> None:
    """Spec 4.1: EINVAL once the object is gone, EACCES while something else keeps it."""
    node.target.require_here("a guest's agent keeps what was mapped once")
    gone, kept = allocate(node), allocate(node)
    offsets = offset_of(node, gone), offset_of(node, kept)
    export(node, kept)
    with map_object(node, kept):
        close_handle(node, gone)
        close_handle(node, kept)
        assert mmap_error(node, PAGE, offsets[0]) == EINVAL
        assert mmap_error(node, PAGE, offsets[1]) in (EACCES, EINVAL)


def test_closing_the_file_ends_its_objects(target: Target, node: OpenNode) -> None:
    """Spec 4.1: nobody can map them afterwards, and mappings that exist stay.

    A mapping may keep a kernel's file open, and its objects with it.
    """
    with target.open() as other:
        handle = allocate(other)
        offset = offset_of(other, handle)
        mapped = map_object(other, handle)
    assert mmap_error(node, PAGE, offset) in ({EINVAL} if target.virtual else {EINVAL, EACCES})
    with mapped:
        mapped[:4] = b"here"
        assert mapped[:4] == b"here"
