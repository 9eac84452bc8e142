"""INVOKE vectors and hazards through the compiled core, without Python around it.

The core makes the messages of calls that go well, and declines all others: these are the driver's
in Python, which has the errors.  So a case either has the golden message, or an error, or a message
that no lane has room for.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import hashlib
import mmap
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from qda.core import BLOCK, POOL_SIZE, Side, lane_address
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import decode
from qda.fastrpc.scalars import Scalars
from qda.linux import address_of as place_of
from qda.uapi.accel import Invoke
from tests.idl.native import find_compiler
from tests.vectors.fakes import Case, FakeClient, areas_of, fill
from tests.vectors.hazards import _check_only_asked_for_is_written, _rewrite
from tests.vectors.packing import Failures, _differ, address_of

__all__ = ["check_hazard", "check_invoke", "is_there"]

CORE: Final = Path(__file__).parents[2] / "native" / "core"

_Move = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64)


class _Area(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("start", "end", "offset", "inode")),
        *((name, ctypes.c_uint32) for name in ("major", "minor")),
    ]


_Find = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.POINTER(_Area))


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "core.so"
        sources = [Path(__file__).with_name("core.c"), CORE / "driver.c"]
        command = [find_compiler() or "", "-shared", "-fPIC", "-O1", f"-I{CORE}", f"-o{library}"]
        subprocess.run([*command, *map(str, sources)], check=True)
        loaded = ctypes.CDLL(str(library))
    u32, u64 = ctypes.c_uint32, ctypes.c_uint64
    loaded.rig_new.restype = ctypes.c_void_p
    loaded.rig_new.argtypes = [
        *(ctypes.c_void_p, u64, ctypes.c_int32, u32, u32, u64),
        *(_Move, _Move, _Find),
    ]
    loaded.rig_add.argtypes = [ctypes.c_void_p, u32, u64, u64]
    loaded.rig_add.restype = None
    loaded.rig_begin.argtypes = [ctypes.c_void_p, ctypes.c_int32, u32, u32, u64]
    loaded.rig_begin.restype = ctypes.c_long
    loaded.rig_answered.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int32)]
    loaded.rig_finish.argtypes = [ctypes.c_void_p]
    loaded.rig_finish.restype = ctypes.c_long
    loaded.rig_free.argtypes = [ctypes.c_void_p]
    return loaded


def is_there() -> bool:
    """Whether there is a compiler for the core."""
    return find_compiler() is not None


class Rig:
    """The core with the client, the objects and the lane of a case."""

    def __init__(self, case: Case, constants: Case) -> None:
        given = case["in"]
        self.client = FakeClient(given, constants["page_offset"])
        handles = {entry["handle"]: (0, 0, entry["handle"]) for entry in given["gem"]}
        self.client.areas = areas_of(given, handles)
        self.stored: list[tuple[int, int]] = []
        self._memory = mmap.mmap(-1, POOL_SIZE)
        self._pool = place_of(self._memory)
        self._lane = given["xa_id"]
        self._own = [_Move(self._read), _Move(self._write), _Find(self._find)]
        self._rig = _library().rig_new(
            self._pool,
            given["msg_dma"] - BLOCK * self._lane & (1 << 64) - 1,
            given["client_id"],
            0,
            self._lane,
            constants["page_offset"],
            *self._own,
        )
        for entry in given["gem"]:
            _library().rig_add(self._rig, entry["handle"], address_of(entry), entry["size"])

    @property
    def sent(self) -> bytes:
        """The driver's record of the lane: the message, once there is one."""
        place = lane_address(0, self._lane) + Side.byte_size - 48
        return self._memory[place : place + InvokeMessage.byte_size]

    @property
    def slot(self) -> memoryview:
        """The message memory of the lane."""
        return memoryview(self._memory)[BLOCK * self._lane : BLOCK * (self._lane + 1)]

    def begin(self, request: Invoke) -> bool:
        """Make the message; false if the core declines."""
        words = (request.handle, request.scalars, request.arguments)
        return bool(_library().rig_begin(self._rig, self.client.tid, *words) == 0)

    def answer(self, response: Response) -> int | None:
        """What the core takes for the result when that has come, None if it takes nothing."""
        place = lane_address(0, self._lane) + 2 * Side.byte_size - 48
        self._memory[place : place + Response.byte_size] = response.pack()
        result = ctypes.c_int32()
        taken = _library().rig_answered(self._rig, ctypes.byref(result))
        return result.value if taken else None

    def finish(self) -> int:
        """Copy the outputs to the client."""
        return -errno.EFAULT if _library().rig_finish(self._rig) else 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        left = _library().rig_free(self._rig)
        assert left == 0, f"{left} objects are kept by a call that is over"

    # The port.

    def _read(self, there: int, here: int, length: int) -> int:
        data = self.client.read(there, length)
        if data is None:
            return -1
        ctypes.memmove(here, data, length)
        return 0

    def _write(self, there: int, here: int, length: int) -> int:
        if not self.client.write(there, ctypes.string_at(here, length)):
            return -1
        self.stored.append((there, length))
        return 0

    def _find(self, address: int, found: ctypes._Pointer[_Area]) -> int:
        area = self.client.area(address)
        if area is None:
            return -1
        major, minor, inode = area.identity
        found[0] = _Area(area.start, area.end, area.offset, inode, major, minor)
        return 0


def check_invoke(case: Case, constants: Case) -> Failures:
    """One case of an invoke_*.json file."""
    given, wanted = case["in"], case["out"]
    request = Invoke.unpack(bytes.fromhex(given["ioctl_hex"]))
    with Rig(case, constants) as rig:
        is_plain = not wanted["errno"] and wanted["aligned_pkt_size"] <= BLOCK
        begun = rig.begin(request)
        yield from _differ("taken", begun, is_plain)
        if not begun or not is_plain:
            yield from _differ("what the lane says", rig.sent, bytes(InvokeMessage.byte_size))
            return
        yield from _differ("wire message", rig.sent.hex(), wanted["wire_hex"])
        message = bytearray(rig.slot[: wanted["pkt_size"]])
        for index, place in enumerate(wanted["pv_rel"]):
            if place is not None:  # the original tells its own address here (H19)
                found = int.from_bytes(message[16 * index : 16 * index + 8], "little")
                yield from _differ(f"place of {index}", found - given["msg_dma"], place)
                message[16 * index : 16 * index + 8] = (given["msg_virt"] + place).to_bytes(
                    8, "little"
                )
        golden = hashlib.sha256(message).hexdigest()
        yield from _differ("message", golden, wanted["message_sha256"])
        yield from _check_answer(case, rig, request)


def _check_answer(case: Case, rig: Rig, request: Invoke) -> Failures:
    """Answer as the vector's DSP does, and look at the client's memory."""
    after, scalars = case.get("after"), Scalars.decode(request.scalars)
    if after is None:
        return
    for index in range(scalars.in_buffers, scalars.buffers):
        place, length = case["out"]["pv_rel"][index], case["in"]["args"][index][1]
        if place is not None:
            rig.slot[place : place + length] = fill(index, length)
    context = InvokeMessage.unpack(rig.sent).context
    result = rig.answer(Response(context=context, result=case["reply"]["retval"]))
    yield from _differ("ret", rig.finish() or result, after["ret"])
    if after.get("partial"):
        return
    copied = [(address, length) for _, address, length in after["copied"]]
    yield from _differ("copied", rig.stored, copied)
    yield from _differ("memory afterwards", rig.client.hashes(), after["memory_sha256"])


def check_hazard(case: Case, constants: Case) -> Failures:
    """One case of hazards.json that is a call.

    What hostile programs ask for is declined: for the driver in Python, which refuses it.  What a
    hostile DSP does has no effect.
    """
    careful, reply = case["careful"], case.get("reply") or {}
    is_of_dsp = case["hazard"] in ("H14", "H15", "H16")
    request = Invoke.unpack(bytes.fromhex(case["in"]["ioctl_hex"]))
    with Rig(case, constants) as rig:
        before = rig.client.hashes()
        begun = rig.begin(request)
        is_refused = bool(careful["errno"]) and not is_of_dsp
        yield from _differ("taken", begun, not is_refused)
        if not begun:
            yield from _differ("what the lane says", rig.sent, bytes(InvokeMessage.byte_size))
            yield from _differ("memory of the caller", rig.client.hashes(), before)
            return
        scalars = Scalars.decode(request.scalars)
        message = InvokeMessage.unpack(rig.sent)
        arguments = decode(scalars.length, rig.slot)
        pages = [argument.page for argument in arguments]
        for name, place in (("page_addr", 0), ("page_size", 1)):
            if name in careful:
                yield from _differ(name, careful[name] in [p[place] for p in pages if p], True)
        for index in range(scalars.in_buffers, scalars.buffers):
            place, length = arguments[index].address - message.address, arguments[index].length
            if 0 <= place < BLOCK:
                rig.slot[place : place + length] = fill(index, length)
        for change in reply.get("dsp_changes", ()):
            _rewrite(rig.slot, change, scalars.length)
        response = Response(
            context=reply.get("ctx", message.context), result=reply.get("retval", 0)
        )
        taken = rig.answer(response) is not None
        yield from _differ("the answer is taken", taken, response.context == message.context)
        if case["hazard"] == "H14":
            yield from _differ("outputs are copied", rig.finish(), 0)
            yield from _check_only_asked_for_is_written(case, rig.client)
