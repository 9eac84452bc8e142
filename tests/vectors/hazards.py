"""Hazard vectors through the driver: a device whose client, buffers and DSP come from the vector.

What the original does is not looked at; the outcome has to be the `careful` one.
"""

from __future__ import annotations

import errno
import re
from typing import cast

from qda.driver import Device, Limits
from qda.driver.accel import AccelFront
from qda.driver.file import OpenFile
from qda.driver.objects import Attachment, BufferObject, ContextBank
from qda.driver.session import Session
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import decode
from qda.fastrpc.scalars import Scalars
from qda.memory import PAGE, BusAddress, Ranges
from qda.rpmsg import Channel, Endpoint
from qda.uapi import RFC
from qda.uapi.accel import InitCreate, Invoke
from tests.vectors.fakes import Case, FakeChannel, FakeClient, StillWaiting, areas_of, fill
from tests.vectors.packing import Failures, _differ, address_of

__all__ = ["Rig", "check_hazard", "check_refused_control"]


def _no_dsp() -> Endpoint:
    raise OSError(errno.ENODEV, "the vectors bring their own DSP")


class Rig:
    """A device made from a vector's literals."""

    def __init__(self, case: Case, constants: Case) -> None:
        self.case = case
        given = case["in"]
        self.client = FakeClient(given, constants["page_offset"])
        self.channel = FakeChannel(self._answer)
        limits = Limits(tuple(range(1, 17)), constants["alloc_limit"])
        self.device = Device("cdsp", limits, _no_dsp)
        self.device._channel = cast(Channel, self.channel)
        self.honest = False
        self.pages: list[tuple[int, int]] = []
        self.device._kernel_session = Session(
            self.device.channel, 0, ProtectionDomain.ROOT, self.device.memory, self.device.put
        )
        self.file = OpenFile(self.device, given["client_id"], descriptors=False)
        self.front = AccelFront(self.file, RFC)
        bank = self.file.bank = ContextBank(1)
        bank._ranges = Ranges(0, 1 << 32, PAGE)  # the vectors' device addresses lie anywhere
        identities = {}
        for entry in given["gem"]:
            buffer = BufferObject.create(entry["size"])
            attachment = Attachment(bank, buffer, BusAddress(address_of(entry)))
            bank._ranges.take(buffer.size, attachment.address & 0xFFFFFFFF)
            attachment.users = 1
            bank._attachments[buffer] = attachment
            self.file._handles[entry["handle"]] = attachment
            identities[entry["handle"]] = buffer.identity
        self.client.areas = areas_of(given, identities)

    def start_session(self) -> None:
        """Give the file a session, whose next call has the vector's context index."""
        session = self.file.start_session(ProtectionDomain.USER)
        session._last_index = self.case["in"]["xa_id"] - 1
        self.file.session = session

    def ioctl(self, key: str, structure: bytes) -> int:
        """The result of a command on a structure."""
        code = RFC.command(key).code
        return self.front.ioctl(self.client, code, self.client.place(structure))

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
    if "page_addr" in careful and careful["page_addr"] not in {page[0] for page in rig.pages}:
        yield f"page entry {careful['page_addr']:#x} is not among {rig.pages}"
    if "page_size" in careful:
        wanted = (careful["page_addr"], careful["page_size"])
        if wanted not in rig.pages:
            yield f"page entry {wanted} is not among {rig.pages}"
    if case["hazard"] == "H14":
        yield from _check_only_asked_for_is_written(case, client)
    if case["hazard"] in ("H15", "H16"):
        yield from _check_next_call(rig, case, outcome)
    client.interrupted, rig.honest = False, True
    rig.file.close()
    rig.device.close()


def _run(rig: Rig, case: Case) -> int | None:
    """The result of the vector's ioctl, None if the driver goes on waiting."""
    given = case["in"]
    try:
        if given.get("ioctl") == "INIT_CREATE":
            return rig.ioctl("CREATE", InitCreate(**given["fields"]).pack())
        rig.start_session()
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
    session = rig.file.session
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
        rig.start_session()
    result = rig.ioctl(key, bytes.fromhex(given["ioctl_hex"]))
    yield from _differ("errno", result, case["out"]["errno"])
    yield from _differ("messages sent", len(rig.channel.sent), 0)
    rig.file.close()
    rig.device.close()
