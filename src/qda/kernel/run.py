"""Runs a program in a guest, whose kernel's driver has our DSPs as its DSPs."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from qda.kernel.attached import Attached, Seen
from qda.kernel.board import BASE, CHANNEL, Board, Edge
from qda.kernel.console import Trouble, troubles
from qda.kernel.doorbells import Doorbell, TestPort
from qda.kernel.guest import GuestMemory, PhysicalBus
from qda.kernel.initramfs import Link, after, archive
from qda.kernel.kernel import Kernel
from qda.kernel.machine import Boots, Machine, Tools
from qda.kernel.misbehaviour import Misbehaving, Misbehaviour
from qda.kernel.smmu import Smmu
from qda.profiles.profile import DspProfile

__all__ = ["Ended", "Plan", "run"]

_STRTAB_BASE, _STRTAB_BASE_CFG = 0x0905_0080, 0x0905_0088


@dataclass(frozen=True)
class Plan:
    """What is to be run: a kernel, its DSPs, the files of the guest besides those of the kernel,
    the command, for how many seconds at most, how many channels the program has beside its input,
    output and errors, and what is wrong with the DSPs' answers, if that is to be tried.  `base` is
    an initial file system of one's own, to which the files are added."""

    kernel: Kernel
    dsps: Sequence[DspProfile]
    command: Sequence[str]
    files: Mapping[str, Path | bytes | Link]
    nodes: Sequence[str]
    smmu: bool = False
    processors: int = 1
    memory: int = 512 << 20
    limit: float = 60
    append: str = ""
    channels: int = 0
    misbehaviour: Misbehaviour | None = None
    base: bytes = b""


@dataclass(frozen=True)
class Ended:
    """How it has ended: the program's wait status, None if it did not come to its end, the kernel's
    words, what has gone wrong with it, how long it took, the DSPs' sessions that the kernel has not
    released though the program was at its end, and whether the time was over before that."""

    status: int | None
    console: str
    troubles: tuple[Trouble, ...]
    seconds: float
    left: Mapping[str, Sequence[int]]
    late: bool


def run(
    plan: Plan,
    tools: Tools,
    out: Callable[[str, bytes], None],
    seen: Seen | None = None,
    up: Callable[[Sequence[Attached]], None] = lambda attached: None,
    begun: Callable[[Machine], None] = lambda machine: None,
) -> Ended:
    """Run it; `out` is given what the program writes, with "output" or "errors", `up` the DSPs
    before the guest begins, and `begun` the machine.

    OSError, UsageError if the machine or a DSP cannot be started.
    """
    began = time.monotonic()
    board = Board(plan.dsps, plan.memory, plan.smmu)
    files = {
        **plan.kernel.files(tools),
        **plan.files,
        "/qda/command": b"".join(word.encode() + b"\0" for word in plan.command),
        "/qda/nodes": "".join(f"{node}\n" for node in plan.nodes).encode(),
    }
    with ExitStack() as stack:
        memory = GuestMemory(BASE, plan.memory)
        stack.callback(memory.close)
        port: list[TestPort] = []  # of the machine, which is started last
        attached = []
        for edge in board.edges:
            bell = Doorbell()
            stack.callback(bell.close)
            bus = _smmu(memory, port, edge) if plan.smmu else PhysicalBus(memory)
            wrong = Misbehaving(plan.misbehaviour, CHANNEL) if plan.misbehaviour else None
            attached.append(Attached(edge, bell, memory, bus, seen, wrong))
            stack.callback(attached[-1].close)
            attached[-1].start()
        up(attached)
        machine = Machine.start(
            tools,
            board,
            memory,
            [dsp.doorbell for dsp in attached],
            Boots(plan.kernel.image, after(plan.base, archive(files)), plan.append),
            plan.processors,
            plan.channels,
        )
        stack.callback(machine.close)
        begun(machine)
        port.append(machine.port)
        collected = _watch(machine, attached, plan.limit, out)
        late = machine.process.poll() is None
        left = {dsp.name: dsp.sessions for dsp in attached if dsp.sessions}
    console = collected["console"].decode(errors="replace")
    status = collected["status"].split(b"\n")[0]
    ended = int(status) if status.isdigit() else None
    took = time.monotonic() - began
    known = {} if ended is None else left
    return Ended(ended, console, tuple(troubles(console)), took, known, late)


def _smmu(memory: GuestMemory, port: Sequence[TestPort], edge: Edge) -> Smmu:
    def registers() -> tuple[int, int]:
        return port[0].ask("readq", _STRTAB_BASE), port[0].ask("readl", _STRTAB_BASE_CFG)

    return Smmu(memory, registers, edge.first_stream)


def _watch(
    machine: Machine, attached: Sequence[Attached], limit: float, out: Callable[[str, bytes], None]
) -> dict[str, bytearray]:
    """Until the machine is off, or the time is over; what the console and the status port said."""
    collected = {name: bytearray() for name in ("console", "status")}
    connections = {"console": machine.console, **machine.ports}
    until = time.monotonic() + limit

    def read(name: str) -> bool:
        try:
            data = connections[name].recv(65536, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            return False
        if name in collected:
            collected[name] += data
        elif data:
            out(name, data)
        return bool(data)

    ended = os.pidfd_open(machine.process.pid)
    with selectors.DefaultSelector() as selector, os.fdopen(ended):
        selector.register(ended, selectors.EVENT_READ)
        for name, connection in connections.items():
            selector.register(connection, selectors.EVENT_READ, lambda name=name: read(name))
        for dsp in attached:
            selector.register(dsp.doorbell.heard, selectors.EVENT_READ, dsp.hear)
        while machine.process.poll() is None and (left := until - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if key.data is not None:
                    key.data()
        for name in connections:
            while read(name):
                pass
    return collected
