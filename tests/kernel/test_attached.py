"""A DSP on its edge, with a kernel's end in this process: it answers, dies, and comes back."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest

from qda.errors import BAD_ADDRESS, as_signed
from qda.fastrpc.message import InvokeMessage, Response
from qda.glink import INDEXES, Edge, Event, Fifo, What, Wire
from qda.kernel.attached import Attached
from qda.kernel.board import BASE, CHANNEL, MESSAGE_RAM, Board
from qda.kernel.doorbells import Doorbell
from qda.kernel.guest import GuestMemory, PhysicalBus
from qda.virtual import load_profile

SIZE = 4 << 20
NOWHERE = InvokeMessage(context=0x10, handle=1, scalars=0x10000, address=SIZE, size=4096).pack()
"""A message whose arguments are no memory."""


def children() -> set[int]:
    """The processes that this one has started."""
    listed = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return {int(number) for text in listed for number in text.split()}


class KernelsEnd:
    """Opens the channel when it is offered, and closes it when the other end does."""

    def __init__(self) -> None:
        self.memory = GuestMemory(BASE, SIZE)
        self.bell = Doorbell()
        (edge,) = Board([load_profile("generic").dsps[0]], SIZE, smmu=False).edges
        before = children()
        self.attached = Attached(edge, self.bell, self.memory, PhysicalBus(self.memory))
        self.processes = children() - before
        ram = self.memory.part(edge.message_ram, MESSAGE_RAM)
        table = ram[-256:].cast("I")
        writes, reads = (Fifo(ram[at : at + INDEXES + table[4]]) for at in (table[3], table[6]))
        self.wire = Wire(Edge(), reads, writes, lambda: os.eventfd_write(self.bell.heard, 1))
        self.events: deque[Event] = deque()
        self.stopped, self.stops = os.pipe()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        """What the command's main thread does."""
        poll = select.poll()
        poll.register(self.bell.heard, select.POLLIN)
        poll.register(self.stopped, 0)
        while (ready := dict(poll.poll())) and self.stopped not in ready:
            self.attached.hear()

    def until(self, what: What) -> Event:
        """Go on until something has happened."""
        while True:
            while self.events:
                event = self.events.popleft()
                if event.what is What.OFFERED:
                    self.wire.edge.open(CHANNEL)
                elif event.what is What.CLOSED:
                    self.wire.edge.close(CHANNEL)
                if event.what is what:
                    return event
            self.events += self.wire.pump()
            if not self.events:
                assert select.select([self.bell.rings], [], [], 30)[0]
                os.eventfd_read(self.bell.rings)

    def ask(self) -> int:
        """The result of a message that nobody can carry out."""
        self.wire.edge.send(CHANNEL, NOWHERE)
        self.wire.pump()
        return Response.unpack(self.until(What.MESSAGE).data).result

    def close(self) -> None:
        os.close(self.stops)
        self.thread.join()
        os.close(self.stopped)
        self.attached.close()
        self.bell.close()
        self.memory.close()


@pytest.fixture
def end() -> Iterator[KernelsEnd]:
    end = KernelsEnd()
    end.attached.start()
    end.wire.edge.start()
    end.wire.pump()
    yield end
    end.close()


def test_a_dsp_that_dies_is_another_on_a_channel_that_opens_again(end: KernelsEnd) -> None:
    """It closes once both ends have done so; what the new one answers are new calls."""
    end.until(What.PASSES)
    for _ in range(2):
        assert end.ask() == as_signed(BAD_ADDRESS)
        before = children()
        for process in end.processes:
            os.kill(process, signal.SIGKILL)
        end.until(What.CLOSED)
        end.until(What.PASSES)
        end.processes = children() - before
        assert end.processes
    assert end.ask() == as_signed(BAD_ADDRESS)
