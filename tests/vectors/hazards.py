"""Hazard vectors through the driver: a device whose client, buffers and DSP come from the vector.

What the original does is not looked at; the outcome has to be the `careful` one.
"""

from __future__ import annotations

import errno
import re

from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import decode
from qda.fastrpc.scalars import Scalars
from qda.uapi.accel import InitCreate, Invoke
from tests.literal import LiteralDriver, StillWaiting
from tests.vectors.fakes import Case, FakeClient, areas_of, fill
from tests.vectors.packing import Failures, _differ, address_of

__all__ = ["Rig", "check_hazard", "check_refused_control"]


class Rig:
    """A driver made from a vector's literals."""

    def __init__(self, case: Case, constants: Case) -> None:
        self.case = case
        given = case["in"]
        self.client = FakeClient(given, constants["page_offset"])
        self.honest = False
        self.pages: list[tuple[int, int]] = []
        handles = {entry["handle"]: entry["size"] for entry in given["gem"]}
        self.driver = LiteralDriver(
            handles, self._answer, given["client_id"], message=constants["alloc_limit"]
        )
        self.channel = self.driver.channel
        held = {handle: self.driver.attachment(handle) for handle in handles}
        self.client.areas = areas_of(given, {n: it.buffer.identity for n, it in held.items()})
        self._moves = [
            (held[entry["handle"]].address - address_of(entry), address_of(entry), entry["size"])
            for entry in given["gem"]
        ]

    def here(self, address: int) -> int:
        """Where a device address of the vector is in this driver, which attaches buffers where it
        likes."""
        for move, start, size in self._moves:
            if start <= address < start + size:
                return address + move
        return address

    def ioctl(self, key: str, structure: bytes) -> int:
        """The result of a command on a structure."""
        return self.driver.ioctl(self.client, key, self.client.place(structure))

    def _answer(self, message: bytes) -> list[bytes]:
        """What the vector's DSP does with a message: answers, in order."""
        call = InvokeMessage.unpack(message)
        reply = {} if self.honest else self.case.get("reply") or {}
        scalars = Scalars.decode(call.scalars)
        memory = self.channel.memory(call.address, call.size)
        found = decode(scalars.length, memory)
        self.pages += [argument.page for argument in found if argument.page]
        for index in range(scalars.in_buffers, scalars.buffers):
            argument = found[index]
            if argument.page and call.address <= argument.address < call.address + call.size:
                place = argument.address - call.address
                memory[place : place + argument.length] = fill(index, argument.length)
        for change in reply.get("dsp_changes", ()):
            _rewrite(memory, change, scalars.length)
        if reply.get("none"):
            return []
        answer = Response(
            context=reply.get("ctx", call.context), result=reply.get("retval", 0)
        ).pack()
        return [answer[: reply.get("bytes", len(answer))]] * reply.get("replies", 1)


def _rewrite(memory: memoryview, change: Case, count: int) -> None:
    index = change["arg"]
    places = {
        "pv": 16 * index,
        "len": 16 * index + 8,
        "num": 16 * count + 8 * index,
        "pgidx": 16 * count + 8 * index + 4,
        "page_addr": 24 * count + 16 * index,
        "page_size": 24 * count + 16 * index + 8,
    }
    for name, value in change.items():
        if name != "arg":
            size = 4 if name in ("num", "pgidx") else 8
            place = places[name]
            memory[place : place + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def check_hazard(case: Case, constants: Case) -> Failures:
    """One case of hazards.json."""
    rig = Rig(case, constants)
    careful, client = case["careful"], rig.client
    before = client.hashes()
    if (case.get("reply") or {}).get("none"):
        client.interrupted = True
    outcome = _run(rig, case)
    sent = [m for m in rig.channel.sent if InvokeMessage.unpack(m).scalars != 0x01010000]
    accepted = [careful["errno"], *_alternatives(careful.get("or", ""))]
    if outcome not in accepted:
        yield f"result {outcome} instead of {' or '.join(map(str, accepted))}"
    if outcome is not None and outcome < 0 and outcome not in (-errno.EINTR, -errno.EPROTO):
        yield from _differ("messages sent", len(sent), 0)
        yield from _differ("memory of the caller", client.hashes(), before)
    page = rig.here(careful.get("page_addr", 0))
    if "page_addr" in careful and page not in {address for address, _ in rig.pages}:
        yield f"page entry {page:#x} is not among {rig.pages}"
    if "page_size" in careful:
        wanted = (page, careful["page_size"])
        if wanted not in rig.pages:
            yield f"page entry {wanted} is not among {rig.pages}"
    if case["hazard"] == "H14":
        yield from _check_only_asked_for_is_written(case, client)
    if case["hazard"] in ("H15", "H16"):
        yield from _check_next_call(rig, case, outcome)
    client.interrupted, rig.honest = False, True
    rig.driver.close()


def _run(rig: Rig, case: Case) -> int | None:
    """The result of the vector's ioctl, None if the driver goes on waiting."""
    given = case["in"]
    try:
        if given.get("ioctl") == "INIT_CREATE":
            return rig.ioctl("CREATE", InitCreate(**given["fields"]).pack())
        rig.driver.start_session()
        return rig.ioctl("INVOKE", bytes.fromhex(given["ioctl_hex"]))
    except StillWaiting:
        return None


def _alternatives(words: str) -> list[int]:
    """Other results that a vector accepts, from its text."""
    if not words:
        return []
    numbers = [int(number) for number in re.findall(r"-\d+", words)]
    return numbers or [0]


def _check_only_asked_for_is_written(case: Case, client: FakeClient) -> Failures:
    scalars = Scalars.decode(case["in"]["sc"])
    fresh = FakeClient(case["in"], client.limit)
    for index in range(scalars.in_buffers, scalars.buffers):
        address, length, _, _ = case["in"]["args"][index]
        fresh.write(address, fill(index, length))
    yield from _differ("memory of the caller", client.hashes(), fresh.hashes())


def _check_next_call(rig: Rig, case: Case, outcome: int | None) -> Failures:
    """A stray or late answer must not end another call, nor an index be used twice."""
    session = rig.driver.file.session
    assert session is not None
    first = [InvokeMessage.unpack(m).context for m in rig.channel.sent][-1]
    if outcome in (None, -errno.EINTR):
        yield from _differ("calls kept", session.calls, 1)
    rig.honest, rig.client.interrupted = True, False
    result = rig.ioctl("INVOKE", Invoke(handle=case["in"]["handle"]).pack())
    yield from _differ("result of the next call", result, 0)
    second = [InvokeMessage.unpack(m).context for m in rig.channel.sent][-1]
    if outcome in (None, -errno.EINTR) and second == first:
        yield f"context {first:#x} is used for two calls at once"


def check_refused_control(case: Case, constants: Case) -> Failures:
    """One case of control.json that the driver refuses."""
    rig = Rig(case, constants)
    given = case["in"]
    keys = {"INIT_CREATE": "CREATE", "INIT_ATTACH": "INIT_ATTACH"}
    key = keys.get(given["ioctl"], given["ioctl"])
    if key != "CREATE":
        rig.driver.start_session()
    result = rig.ioctl(key, bytes.fromhex(given["ioctl_hex"]))
    yield from _differ("errno", result, case["out"]["errno"])
    yield from _differ("messages sent", len(rig.channel.sent), 0)
    rig.driver.close()
