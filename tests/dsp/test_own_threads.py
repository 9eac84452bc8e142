"""Threads that a skeleton has started: the process's memory is theirs, too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda.dsp.memory import AddressSpace
from qda.errors import NO_SUCH_MAP, StatusError
from qda.idl.c import write_files
from qda.memory import BusAddress
from tests.dsp.test_loader import compile_c
from tests.dsp.test_memory import WINDOW, memory

LOOKER = """
#include "remote.idl"
interface looker : remote_handle64 {
    long look(in uint64 address, in long fd, in long where, rout long first, rout long second);
};
"""

IN_C = r"""
#include <pthread.h>
#include "HAP_mem.h"
#include "looker.h"

int adsp_mmap_fd_getinfo(int fd, uint32_t* length);

struct work {
    int fd, status, first;
    uint32_t length;
};

static void* look(void* given) {
    struct work* work = given;
    const int* place = HAP_mmap(0, 4096, HAP_PROT_READ, 0, work->fd, 0);
    void* same;
    work->status = place == HAP_MEM_FAILED || HAP_mmap_get(work->fd, &same, 0) || same != place;
    work->status |= adsp_mmap_fd_getinfo(work->fd, &work->length);
    if (!work->status) work->first = *place;
    return 0;
}

int looker_open(const char* uri, remote_handle64* handle) {
    (void)uri;
    *handle = 1;
    return 0;
}
int looker_close(remote_handle64 h) {
    (void)h;
    return 0;
}
int looker_look(
    remote_handle64 h, uint64 address, int fd, int where, int* first, int* second) {
    struct work work = {.fd = fd};
    pthread_t thread;
    (void)h, (void)address;
    if (!where)
        look(&work);
    else if (!pthread_create(&thread, 0, look, &work))
        pthread_join(thread, 0);
    *first = work.first;
    *second = (int)work.length;
    return work.status;
}
"""

looker: Any = qda.idl.load(LOOKER, name="looker.idl")


class Looker(looker.Skeleton):  # type: ignore[misc]
    """Looks at memory from a thread of its own, of one kind or another."""

    def look(self, address: int, fd: int, where: int) -> tuple[int, int]:
        def work() -> tuple[int, int]:
            first = np.frombuffer(self.dsp.memory(address, 4), np.int32)
            second = np.frombuffer(self.dsp.memory_of_fd(fd), np.int32)
            return int(first[0]), int(second[0])

        if where == 0:
            return work()
        if where == 1:
            found: list[tuple[int, int]] = []
            thread = threading.Thread(target=lambda: found.append(work()))
            thread.start()
            thread.join()
            return found[0]
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()


@pytest.mark.parametrize("process", ["user", "root"])
@pytest.mark.parametrize("debug", [False, True])
def test_python_sees_mapped_memory_in_any_thread(process: Any, debug: bool) -> None:
    """By address and by fd, in a protection domain of either kind, also one of threads."""
    with (
        qda.open("cdsp", device="virtual", process=process, debug=debug) as session,
        session.load(Looker) as remote,
    ):
        buffer = session.alloc(8192)
        buffer[0:4] = (4711).to_bytes(4, "little")
        with session.map(buffer) as mapped:
            for where in range(3):
                seen = remote.look(mapped.address, session.fd_of(buffer), where)
                assert tuple(seen) == (4711, 4711)


def test_c_sees_mapped_memory_in_any_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAP_mmap, HAP_mmap_get and the length of an fd, in a thread that C has started."""
    write_files(qda.idl.parse(LOOKER, name="looker.idl"), tmp_path)
    (tmp_path / "impl.c").write_text(IN_C)
    sources = ["looker_skel.c", "impl.c"]
    compile_c(tmp_path, tmp_path / "liblooker_skel.so", sources, "-pthread")
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    with qda.open("cdsp", device="virtual") as session, session.load(looker) as remote:
        buffer = session.alloc(8192)
        buffer[0:4] = (4711).to_bytes(4, "little")
        with session.map(buffer):
            for where in range(2):
                assert tuple(remote.look(0, session.fd_of(buffer), where)) == (4711, 8192)


def test_a_name_of_several_clients_means_nothing_to_a_thread_of_its_own() -> None:
    """Under one fd each client has its own memory: a call can tell which, another thread cannot."""
    space = AddressSpace(WINDOW)
    try:
        for client, bus in ((1, 0x1000_0000), (2, 0x2000_0000)):
            space.announce(client, bus, 4096, memory(4096, bytes([client])))
            address = space.map(client, BusAddress(bus), 4096, 0, 0, 7)
            assert space.view(None, address, 1)[0] == client
            assert space.view_of_fd(client, 7)[0] == client
        with pytest.raises(StatusError, match="several clients") as caught:
            space.view_of_fd(None, 7)
        assert caught.value.status == NO_SUCH_MAP
        space.unmap_fd(1, 7, 0)
        assert space.view_of_fd(None, 7)[0] == 2
    finally:
        space.close()
