"""PRIME: buffer objects as DMA-BUF descriptors, between files, programs and devices."""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import socket
import subprocess
import sys
from errno import EACCES, EBADF, EINVAL, EMFILE, ENOENT, EPERM
from pathlib import Path

import pytest

from qda.conformance.foreign import foreign_buffer, memfd
from qda.conformance.interface import (
    NOBODY,
    PAGE,
    OpenNode,
    allocate,
    call,
    close_handle,
    export,
    import_fd,
    map_object,
)

pytestmark = pytest.mark.dialects("accel", why="buffers have no handles")

# Export.


@pytest.mark.parametrize("flags", [os.O_WRONLY, 4, 0x80000000, os.O_CLOEXEC | os.O_NONBLOCK])
def test_export_with_other_flags_is_einval(node: OpenNode, flags: int) -> None:
    """Spec 4.1: only O_CLOEXEC and O_RDWR mean something."""
    assert call(node, "PRIME_HANDLE_TO_FD", handle=allocate(node), flags=flags)[0] == -EINVAL


@pytest.mark.parametrize("handle", [0, 1, NOBODY])
def test_export_of_an_unknown_handle_is_enoent(node: OpenNode, handle: int) -> None:
    """Spec 4.1."""
    assert call(node, "PRIME_HANDLE_TO_FD", handle=handle)[0] == -ENOENT


@pytest.mark.parametrize("flags", [0, os.O_CLOEXEC, os.O_RDWR, os.O_CLOEXEC | os.O_RDWR])
def test_export_honours_cloexec(node: OpenNode, flags: int) -> None:
    """uapi DRM_CLOEXEC."""
    descriptor = export(node, allocate(node), flags)
    closes = bool(fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)
    assert closes == bool(flags & os.O_CLOEXEC)


def test_export_without_rdwr_cannot_be_mapped_for_writing(node: OpenNode) -> None:
    """uapi DRM_RDWR: without it the descriptor is read only."""
    descriptor = export(node, allocate(node), os.O_CLOEXEC)
    with mmap.mmap(descriptor, PAGE, prot=mmap.PROT_READ) as mapped:
        assert mapped[:4] == bytes(4)
    with pytest.raises(OSError) as refused:
        mmap.mmap(descriptor, PAGE)
    assert refused.value.errno in (EACCES, EPERM)


def test_export_without_a_free_descriptor_is_emfile(node: OpenNode) -> None:
    """uapi PRIME_HANDLE_TO_FD."""
    handle = allocate(node)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        result, _ = call(node, "PRIME_HANDLE_TO_FD", handle=handle, flags=os.O_CLOEXEC)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert result == -EMFILE


def test_exported_memory_is_the_objects(node: OpenNode) -> None:
    """uapi PRIME_HANDLE_TO_FD: the DMA-BUF maps from offset 0, and its end is the object's."""
    handle = allocate(node, 2 * PAGE)
    descriptor = export(node, handle)
    assert os.lseek(descriptor, 0, os.SEEK_END) == 2 * PAGE
    with map_object(node, handle, 2 * PAGE) as own, mmap.mmap(descriptor, 2 * PAGE) as other:
        own[PAGE : PAGE + 3] = b"own"
        assert other[PAGE : PAGE + 3] == b"own"
        other[:5] = b"other"
        assert own[:5] == b"other"


def test_exported_memory_cannot_change_its_size(node: OpenNode) -> None:
    """design.md, Memory: nobody can take the pages away from the DSP."""
    descriptor = export(node, allocate(node))
    for size in (0, 2 * PAGE):
        with pytest.raises(OSError, match=r"not permitted|Invalid argument"):
            os.ftruncate(descriptor, size)


def test_exported_object_outlives_its_handle_and_its_file(
    node: OpenNode, second_node: OpenNode
) -> None:
    """uapi GEM_CLOSE: an export keeps the object."""
    handle = allocate(second_node)
    descriptor = os.dup(export(second_node, handle))
    node.left.callback(os.close, descriptor)
    with map_object(second_node, handle) as mapped:
        mapped[:4] = b"kept"
    close_handle(second_node, handle)
    second_node.close()
    with mmap.mmap(descriptor, PAGE) as mapped:
        assert mapped[:4] == b"kept"
    assert import_fd(node, descriptor) == 1


# Import: what is refused.


@pytest.mark.parametrize("descriptor", [-1, -100, NOBODY])
def test_import_of_no_descriptor_is_ebadf(node: OpenNode, descriptor: int) -> None:
    """Spec 4.1."""
    result, record = call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)
    assert (result, record.handle) == (-EBADF, 0)


def test_import_of_anything_but_a_dma_buf_is_einval(node: OpenNode, tmp_path: Path) -> None:
    """Spec 4.1: a pipe, a socket, a device, a directory, a file."""
    path = tmp_path / "file"
    path.write_bytes(bytes(PAGE))
    ends = os.pipe()
    pair = socket.socketpair()
    opened = [os.open(name, os.O_RDONLY) for name in ("/dev/null", str(tmp_path))]
    opened += [os.open(path, os.O_RDWR), *ends]
    try:
        for descriptor in (*opened, pair[0].fileno()):
            assert call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)[0] == -EINVAL
    finally:
        for descriptor in opened:
            os.close(descriptor)
        for end in pair:
            end.close()
    assert allocate(node) == 1


def test_import_of_memory_that_can_shrink_is_einval(node: OpenNode) -> None:
    """design.md, Memory: its pages could vanish under the DSP."""
    for seals in (0, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SEAL):
        with memfd(PAGE, seals) as descriptor:
            assert call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)[0] == -EINVAL


def test_import_of_memory_that_cannot_be_written_is_einval(node: OpenNode) -> None:
    """driver, objects: the DSP writes to buffers."""
    with memfd(PAGE, fcntl.F_SEAL_SHRINK) as descriptor:
        read_only = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        try:
            assert call(node, "PRIME_FD_TO_HANDLE", fd=read_only)[0] == -EINVAL
        finally:
            os.close(read_only)
    for seal in (fcntl.F_SEAL_WRITE, 0x10):  # F_SEAL_FUTURE_WRITE
        with memfd(PAGE, fcntl.F_SEAL_SHRINK | seal) as descriptor:
            assert call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)[0] == -EINVAL


def test_import_of_empty_memory_is_einval(node: OpenNode) -> None:
    """H25: an object has at least one byte."""
    with memfd(0, fcntl.F_SEAL_SHRINK) as descriptor:
        assert call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)[0] == -EINVAL


# Import: handles.


def test_import_of_an_own_object_is_the_same_handle(node: OpenNode) -> None:
    """Spec 4.1: it adds no reference either, so that one GEM_CLOSE ends it."""
    handle = allocate(node)
    descriptor = export(node, handle)
    assert import_fd(node, descriptor) == handle
    assert import_fd(node, export(node, handle)) == handle
    close_handle(node, handle)
    assert call(node, "GEM_CLOSE", handle=handle)[0] == -EINVAL


def test_import_twice_is_the_same_handle(node: OpenNode) -> None:
    """Spec 4.1: also for what others have made, and through a duplicate of the descriptor."""
    descriptor = foreign_buffer(node)
    handle = import_fd(node, descriptor)
    duplicate = os.dup(descriptor)
    try:
        assert import_fd(node, duplicate) == handle
    finally:
        os.close(duplicate)
    close_handle(node, handle)
    assert call(node, "GEM_CLOSE", handle=handle)[0] == -EINVAL


def test_import_after_close_is_a_new_import(node: OpenNode) -> None:
    """Spec 4.1."""
    descriptor = foreign_buffer(node)
    close_handle(node, import_fd(node, descriptor))
    assert import_fd(node, descriptor) == 1


def test_import_does_not_take_the_descriptor(node: OpenNode) -> None:
    """uapi PRIME_FD_TO_HANDLE: it stays open and stays the caller's."""
    descriptor = foreign_buffer(node)
    import_fd(node, descriptor)
    assert os.fstat(descriptor).st_size >= 0


def test_import_does_not_look_at_flags(node: OpenNode) -> None:
    """uapi PRIME_FD_TO_HANDLE."""
    descriptor = export(node, allocate(node))
    assert call(node, "PRIME_FD_TO_HANDLE", fd=descriptor, flags=0xFFFFFFFF)[0] == 0


def test_import_in_another_file_shares_the_pages(node: OpenNode, second_node: OpenNode) -> None:
    """Spec 4.5: an object of the same device, which both files may map."""
    handle = allocate(node)
    other = import_fd(second_node, export(node, handle))
    with map_object(node, handle) as ours, map_object(second_node, other) as theirs:
        ours[:4] = b"ours"
        assert theirs[:4] == b"ours"
        close_handle(node, handle)
        theirs[:6] = b"theirs"
        assert ours[:6] == b"theirs"
    with map_object(second_node, other) as theirs:
        assert theirs[:6] == b"theirs"


# Import: what others have made.


def test_mmap_of_an_import(node: OpenNode) -> None:
    """R12, spec 4.5: RFC maps it; since V1 it is refused, being mapped through its exporter."""
    descriptor = foreign_buffer(node, 2 * PAGE)
    handle = import_fd(node, descriptor)
    if node.imports_are_elsewhere:
        result, record = call(node, "GEM_MMAP_OFFSET", handle=handle)
        assert (result, record.offset) == (-EINVAL, 0)
        return
    with map_object(node, handle, 2 * PAGE) as mapped, mmap.mmap(descriptor, 2 * PAGE) as own:
        own[-3:] = b"own"
        assert mapped[-3:] == b"own"


def test_import_of_a_part_of_a_page_is_einval(node: OpenNode) -> None:
    """A DMA-BUF has whole pages; a memfd that has not could not be mapped as the object is."""
    with memfd(PAGE + 100, fcntl.F_SEAL_SHRINK) as descriptor:
        result, _ = call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)
        assert result == -EINVAL


def test_objects_travel_between_processes(node: OpenNode) -> None:
    """R2, R12: real descriptors over a socket; each side imports and sees what the other wrote."""
    node.target.require_here("a guest has one process of ours")
    handle = allocate(node)
    ours, theirs = socket.socketpair()
    root = Path(__file__).parents[2]
    arguments = [str(theirs.fileno()), node.target.device, node.dialect.name]
    with map_object(node, handle) as mapped, ours:
        mapped[:4] = b"ours"
        peer = subprocess.Popen(
            [sys.executable, "-m", "qda.conformance.peer", *arguments],
            cwd=root,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        try:
            socket.send_fds(ours, [b"object"], [export(node, handle)])
            ours.settimeout(30)
            message, descriptors, _, _ = socket.recv_fds(ours, 64, 4)
            node.left.callback(os.close, descriptors[0])
            assert message == b"0: ours"
            assert mapped[:6] == b"theirs"
            imported = import_fd(node, descriptors[0])
            assert imported != handle
            with mmap.mmap(descriptors[0], PAGE) as foreign:
                assert foreign[:5] == b"hello"
        finally:
            ours.close()
            assert peer.wait(30) == 0
