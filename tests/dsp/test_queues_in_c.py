"""A skeleton in C imports a queue with dspqueue.h, and no Python stands between."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import qda.idl
from qda.client import RemoteModule, Session
from qda.core import IS_COMPILED
from qda.dsp.native import native_skeleton
from qda.errors import BUSY, DspError
from qda.fastrpc.queue import BufferFlag, Figure, PacketFlag
from tests.idl.native.compiler import find_compiler
from tests.waiting import BOUND

pytestmark = [
    pytest.mark.skipif(not find_compiler(), reason="there is no C compiler"),
    pytest.mark.skipif(not IS_COMPILED, reason="dspqueue.h needs the compiled core"),
]

HEADERS = Path(qda.idl.__file__).parent / "c" / "include"

START, STOP = 2, 3

NUMBERS = {
    **{f"DSPQUEUE_BUFFER_FLAG_{flag.name}": flag for flag in BufferFlag},
    **{f"DSPQUEUE_PACKET_FLAG_{flag.name}": flag for flag in PacketFlag},
    "DSPQUEUE_STAT_READ_QUEUE_PACKETS": Figure.READ_PACKETS,
    "DSPQUEUE_STAT_WRITE_QUEUE_BYTES": Figure.WRITE_BYTES,
    "DSPQUEUE_STAT_SIGNALING_PERF": Figure.SIGNALLING,
}
"""What the header says, and Python: the source asserts it."""

SOURCE = """
#include <string.h>
#include "AEEStdErr.h"
#include "dspqueue.h"
#include "remote.h"

static dspqueue_t queue;

static void answer(dspqueue_t from, AEEResult error, void* context) {
    struct dspqueue_buffer buffers[4];
    uint8_t message[64];
    uint32_t flags, count, length;
    if (error || context != &queue) return;
    while (!dspqueue_read_noblock(from, &flags, 4, &count, buffers, 64, &length, message)) {
        for (uint32_t i = 0; i < count; i++) {
            memset(buffers[i].ptr, 'x', buffers[i].size);
            buffers[i].flags = DSPQUEUE_BUFFER_FLAG_DEREF;
        }
        dspqueue_write_early_wakeup_noblock(from, 100, 0);
        dspqueue_write(from, 0, count, buffers, length, message, DSPQUEUE_TIMEOUT_NONE);
    }
}

int c_queues_skel_handle_invoke(remote_handle64 handle, uint32_t scalars, remote_arg* arguments) {
    dspqueue_t imported;
    uint64_t id;
    int error;
    (void)handle;
    switch (REMOTE_SCALARS_METHOD(scalars)) {
    case 2:
        memcpy(&id, arguments[0].buf.pv, sizeof id);
        error = dspqueue_import(id, answer, NULL, &queue, &imported);
        if (!error) queue = imported;
        return error;
    case 3:
        return dspqueue_close(queue);
    default:
        return 0;
    }
}
"""


@pytest.fixture
def remote(session: Session, tmp_path: Path) -> Iterator[RemoteModule]:
    source, library = tmp_path / "c_queues.c", tmp_path / "libc_queues_skel.so"
    asserted = [f'_Static_assert({name} == {value:#x}, "");' for name, value in NUMBERS.items()]
    source.write_text("\n".join([SOURCE, *asserted, ""]))
    command = [find_compiler() or "", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    command += ["-DAEE_EOFFSET=0x80000400", "-I", str(HEADERS), "-o", str(library), str(source)]
    subprocess.run(command, check=True)
    with session.load(native_skeleton(library, "c_queues")) as found:
        yield found


def test_c_answers_packets_and_fills_their_buffers(session: Session, remote: RemoteModule) -> None:
    """Its callback has the buffers where they lie; one reference more is given back."""
    with session.queue(256, 256) as queue, session.alloc(4096) as buffer, session.map(buffer):
        number = [queue.id.to_bytes(8, "little")]
        remote.invoke(START, number)
        with pytest.raises(DspError) as refused:
            remote.invoke(START, number)
        assert refused.value.status == BUSY
        for one in range(100):
            queue.write(bytes([one]), timeout=BOUND)
            assert queue.read(BOUND).message == bytes([one])
        queue.write(b"m", [queue.reference(buffer, BufferFlag.REF, 8, 2)], timeout=BOUND)
        (answered,) = queue.read(BOUND).buffers
        assert (answered.flags, answered.offset, answered.size) == (BufferFlag.DEREF, 8, 2)
        assert buffer[7:11] == b"\0xx\0"
        del answered
        remote.invoke(STOP)
