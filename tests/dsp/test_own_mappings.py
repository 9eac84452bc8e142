"""What code on the DSP maps itself: HAP_mmap, HAP_munmap, HAP_mmap_get and HAP_mmap_put."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qda
from qda.client import Session
from qda.dsp.memory import AddressSpace
from qda.errors import BAD_MAP_COUNT, MAP_FAILED, NO_SUCH_MAP, StatusError
from qda.idl.c import write_files
from qda.linux import address_of
from qda.memory import BusAddress
from tests.dsp.test_loader import compile_c
from tests.dsp.test_memory import WINDOW, memory

MAPPER = """
#include "remote.idl"
interface mapper {
    long put(in dmahandle buffer, in long where, rout uint64 address);
    long find(in dmahandle buffer, rout uint64 address);
    long get(in long fd, in long where, rout uint64 address);
    long release(in long fd, in long where);
    long drop(in uint64 address, in long size);
    long read(in uint64 address, rout long value);
};
"""

IN_C = r"""
#include <pthread.h>
#include "HAP_mem.h"
#include "mapper.h"

struct work {
    int fd, status;
    unsigned offset, length;
    void* address;
};

static void* map(void* given) {
    struct work* work = given;
    work->address = HAP_mmap(0, (int)work->length, HAP_PROT_READ | HAP_PROT_WRITE, 0, work->fd,
                             work->offset);
    work->status = work->address == HAP_MEM_FAILED;
    if (!work->status) memcpy(work->address, "dsp!", 4);
    return 0;
}

static void* get(void* given) {
    struct work* work = given;
    uint64 physical = 0;
    work->status = HAP_mmap_get(work->fd, &work->address, &physical);
    if (!work->status && physical != (uintptr_t)work->address) work->status = -1;
    return 0;
}

static void* put(void* given) {
    struct work* work = given;
    work->status = HAP_mmap_put(work->fd);
    return 0;
}

/* In the call's thread, or in one of our own. */
static int run(void* (*function)(void*), struct work* work, int elsewhere) {
    pthread_t thread;
    if (!elsewhere)
        function(work);
    else if (!pthread_create(&thread, 0, function, work))
        pthread_join(thread, 0);
    return work->status;
}

int mapper_put(int fd, uint32 offset, uint32 length, int where, uint64* address) {
    struct work work = {.fd = fd, .offset = offset, .length = length};
    int status = run(map, &work, where);
    *address = (uintptr_t)work.address;
    return status;
}
int mapper_find(int fd, uint32 offset, uint32 length, uint64* address) {
    struct work work = {.fd = fd};
    (void)offset, (void)length;
    int status = run(get, &work, 0);
    *address = (uintptr_t)work.address;
    return status ? status : HAP_mmap_put(fd);
}
int mapper_get(int fd, int where, uint64* address) {
    struct work work = {.fd = fd};
    int status = run(get, &work, where);
    *address = (uintptr_t)work.address;
    return status;
}
int mapper_release(int fd, int where) {
    struct work work = {.fd = fd};
    return run(put, &work, where);
}
int mapper_drop(uint64 address, int size) { return HAP_munmap((void*)(uintptr_t)address, size); }
int mapper_read(uint64 address, int* value) {
    *value = *(int*)(uintptr_t)address;
    return 0;
}
"""

mapper: Any = qda.idl.load(MAPPER, name="mapper.idl")

WRITTEN = int.from_bytes(b"dsp!", "little")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mapper")
    write_files(qda.idl.parse(MAPPER, name="mapper.idl"), folder)
    (folder / "impl.c").write_text(IN_C)
    compile_c(folder, folder / "libmapper_skel.so", ["mapper_skel.c", "impl.c"], "-pthread")
    return folder


@pytest.fixture(scope="module", params=["rfc", "v1", "handle", "legacy"])
def session(request: pytest.FixtureRequest, folder: Path) -> Iterator[Session]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSP_LIBRARY_PATH", str(folder))
        with qda.open("cdsp", device="virtual", dialect=request.param) as session:
            yield session


@pytest.fixture
def remote(session: Session) -> Iterator[Any]:
    with session.load(mapper) as remote:
        yield remote


def status_of(function: Any, *arguments: Any) -> int:
    """What the DSP refuses with."""
    with pytest.raises(qda.DspError) as caught:
        function(*arguments)
    return caught.value.status


@pytest.mark.parametrize("where", [0, 1])
def test_a_dmahandle_argument_can_be_mapped(session: Session, remote: Any, where: int) -> None:
    """Without any MAP of the host; in the thread of the call, and in one that it has started.  It
    stays mapped, until HAP_munmap."""
    with session.alloc(8192) as buffer:
        address = remote.put(buffer, where)
        assert bytes(buffer[:4]) == b"dsp!"
        assert remote.read(address) == WRITTEN
        remote.drop(address, 8192)
        assert status_of(remote.drop, address, 8192) == NO_SUCH_MAP


def test_offset_and_length_of_a_dmahandle_count_from_its_buffer(
    session: Session, remote: Any
) -> None:
    """Of a part of a buffer, byte 0 is not where the part begins."""
    whole = session.empty(8192, "u1")
    whole[:] = 0
    address = remote.put(whole[4096:], 0)
    assert bytes(whole[4096:4100]) == b"dsp!" and not whole[:4].any()
    remote.drop(address, 4096)


def test_what_is_mapped_twice_is_unmapped_twice(session: Session, remote: Any) -> None:
    """HAP_mmap, HAP_mmap_get: each has its counterpart, and the last one unmaps."""
    with session.alloc(4096) as buffer:
        address = remote.put(buffer, 0)
        assert remote.put(buffer, 0) == address == remote.find(buffer)
        remote.drop(address, 4096)
        assert remote.read(address) == WRITTEN
        remote.drop(address, 4096)
        assert status_of(remote.find, buffer) == NO_SUCH_MAP


def test_a_mapping_of_the_host_is_what_hap_mmap_gives(session: Session, remote: Any) -> None:
    """Of a dmahandle, and by its fd in any thread; HAP_mmap_put needs a HAP_mmap_get before it, and
    leaves to the host what the host has mapped."""
    with session.alloc(8192) as buffer, session.map(buffer) as mapping:
        fd = session.fd_of(buffer)
        assert remote.put(buffer, 0) == mapping.address
        remote.drop(mapping.address, 8192)
        for where in (0, 1):
            assert remote.get(fd, where) == mapping.address
            remote.release(fd, 1 - where)
        assert status_of(remote.release, fd, 0) == BAD_MAP_COUNT
        assert remote.read(mapping.address) == WRITTEN
    assert status_of(remote.get, fd, 0) == NO_SUCH_MAP
    assert status_of(remote.release, fd, 1) == NO_SUCH_MAP


def test_a_mapping_from_an_offset_on_is_not_the_whole_buffer(session: Session, remote: Any) -> None:
    """Its dmahandle's byte 0 is not in it."""
    with session.alloc(8192) as buffer, session.map(buffer, offset=4096):
        buffer[:8192] = bytes(8192)
        address = remote.put(buffer, 0)
        assert bytes(buffer[:4]) == b"dsp!" and bytes(buffer[4096:4100]) == bytes(4)
        remote.drop(address, 8192)


# An fd is a number that is used again.

BUS, OTHER = 0x1000_0000, 0x2000_0000


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    space = AddressSpace(WINDOW)
    yield space
    space.close()


def test_a_dmahandle_is_of_its_own_buffer_whatever_its_number_was_before(
    space: AddressSpace,
) -> None:
    """The first buffer is gone, its mapping here is not, and another one has its fd."""
    space.announce(1, BUS, 4096, memory(4096, b"first"))
    first = space.map_own(1, 7, space.resolve(BUS, 4096), 0, 4096)
    space.withdraw(1, BUS)
    space.announce(1, BUS, 4096, memory(4096, b"other"))
    other = space.map_own(1, 7, space.resolve(BUS, 4096), 0, 4096)
    assert bytes(space.view(1, first, 5)) == b"first"
    assert bytes(space.view(1, other, 5)) == b"other"
    space.unmap_own(1, first, 4096)
    assert bytes(space.hold(1, 7, None)[:5]) == b"other"


def test_the_host_unmaps_only_what_it_has_mapped(space: AddressSpace) -> None:
    """By fd and address 0: of two mappings under the fd, its own."""
    space.announce(1, BUS, 8192, memory(8192))
    own = space.map_own(1, 7, space.resolve(BUS, 8192), 0, 8192)
    space.map(1, BusAddress(BUS), 8192, 4096, 0, 7)
    space.unmap_fd(1, 7, 0)
    with pytest.raises(StatusError):
        space.unmap_fd(1, 7, 0)
    assert space.view(1, own, 8192)
    space.forget(1)
    assert len(space) == 0


def test_clients_do_not_map_what_others_have(space: AddressSpace) -> None:
    """By fd, by address, and by counts."""
    space.announce(1, BUS, 4096, memory(4096))
    space.announce(2, OTHER, 4096, memory(4096))
    own = space.map_own(1, 7, space.resolve(BUS, 4096), 0, 4096)
    for forbidden in (
        lambda: space.map_own(2, 7, None, 0, 1),
        lambda: space.unmap_own(2, own, 1),
        lambda: space.hold(2, 7, None),
        lambda: space.let_go(2, 7),
    ):
        with pytest.raises(StatusError) as caught:
            forbidden()
        assert caught.value.status == NO_SUCH_MAP
    assert space.map_own(2, 7, space.resolve(OTHER, 4096), 0, 1) != own


def test_a_range_that_leaves_the_buffer_is_not_mapped(space: AddressSpace) -> None:
    """Nor one of what the host has mapped."""
    space.announce(1, BUS, 4096, memory(4096))
    view = space.resolve(BUS, 4096)
    with pytest.raises(StatusError) as caught:
        space.map_own(1, 7, view, 4000, 97)
    assert caught.value.status == MAP_FAILED
    own = space.map_own(1, 7, view, 4000, 96)
    assert address_of(space.view(1, own, 96)) == own
    with pytest.raises(StatusError):
        space.map_own(1, 7, None, 1, 4096)
