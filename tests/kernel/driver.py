"""A kernel's driver, as far as our DSP sees it: messages that name memory of a guest."""

from __future__ import annotations

import itertools
import queue
import struct
import threading
from collections.abc import Sequence

from qda.dsp.boot import Boot
from qda.fastrpc.control import AttachRequest, CreateRequest, Method
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import PhysicalPage, metadata_size
from qda.fastrpc.remotectl import REMOTECTL
from qda.fastrpc.scalars import Scalars
from qda.kernel.guest import GuestMemory
from qda.kernel.remote import Remote
from tests.kernel.tables import BASE, Tables, at

__all__ = ["SIZE", "URI", "Driver"]

SIZE = 8 << 20
URI = "file:///libecho_skel.so?echo_skel_handle_invoke&_modver=1.0"


class Driver:
    """A driver's side: each buffer has pages that lie apart, and a range of bus addresses."""

    def __init__(self) -> None:
        self.memory = GuestMemory(BASE, SIZE)
        self.tables = Tables(self.memory)
        self.place = 0x1000_0000
        self.physical = BASE + SIZE
        self.answers: dict[int, queue.Queue[Response]] = {}
        self.remote = Remote(Boot("cdsp", {6: 0x73}), self.memory, self.tables.bus, self.respond)
        self.contexts = itertools.count(1)
        self.lock = threading.Lock()

    def respond(self, response: bytes) -> None:
        answer = Response.unpack(response)
        self.answers[answer.context].put(answer)

    def buffer(self, size: int) -> int:
        """Bus address of pages of which each lies below the one before it, two apart."""
        with self.lock:
            start = self.place
            for _ in range(0, max(size, 1), 4096):
                self.physical -= 8192
                self.tables.map(self.place, self.physical)
                self.place += 4096
            self.place += 4096
            return at(start)

    def bytes_at(self, address: int, length: int) -> bytes:
        runs = self.tables.bus.runs(address, length)
        return b"".join(self.memory.view[start : start + size] for start, size in runs)

    def write(self, address: int, data: bytes) -> None:
        done = 0
        for start, size in self.tables.bus.runs(address, len(data)):
            self.memory.view[start : start + size] = data[done : done + size]
            done += size

    def call(
        self,
        client: int,
        handle: int,
        method: int,
        ins: Sequence[bytes] = (),
        outs: Sequence[int] = (),
        places: Sequence[int] = (),
    ) -> tuple[int, list[bytes]]:
        """One call: its result, and its outputs."""
        asked, places = self.message(client, handle, method, ins, outs, places)
        self.answers[asked.context] = queue.Queue()
        self.remote.receive(asked.pack())
        answer = self.answers[asked.context].get(timeout=30)
        found = [
            self.bytes_at(place, length)
            for place, length in zip(places[len(ins) :], outs, strict=True)
        ]
        return answer.result, found

    def message(
        self,
        client: int,
        handle: int,
        method: int,
        ins: Sequence[bytes] = (),
        outs: Sequence[int] = (),
        places: Sequence[int] = (),
    ) -> tuple[InvokeMessage, list[int]]:
        """The message of a call, with all that it names in memory, and where its arguments are: in
        buffers of their own, unless there are places for them."""
        count = len(ins) + len(outs)
        lengths = [len(data) for data in ins] + list(outs)
        places = list(places) or [self.buffer(length) for length in lengths]
        for place, data in zip(places, ins, strict=False):
            self.write(place, data)
        size = max(4096, -(-metadata_size(count) // 4096) * 4096) if count else 0
        message = self.buffer(size) if count else 0
        words = [word for length in lengths for word in (0, length)]
        listed = [word for index in range(count) for word in (1, index)]
        pages = [
            word
            for place, length in zip(places, lengths, strict=True)
            for word in (place, -(-max(length, 1) // 4096) * 4096)
        ]
        packed = struct.pack(f"<{2 * count}Q{2 * count}I{2 * count}Q", *words, *listed, *pages)
        if count:
            self.write(message, packed)
        asked = InvokeMessage(
            client_id=client,
            tid=1,
            context=next(self.contexts) << 4,
            handle=handle,
            scalars=Scalars(method, len(ins), len(outs)).word,
            address=message,
            size=size,
        )
        return asked, places

    def copies(self, client: int, handle: int, data: bytes) -> tuple[int, bytes]:
        """The result of the skeleton's first method, and what came back."""
        ins = [struct.pack("<II", len(data), len(data)), data]
        result, outs = self.call(client, handle, 0, ins, [len(data)])
        return result, outs[0]

    def create(self, client: int) -> int:
        memory = PhysicalPage(address=self.buffer(8192), size=8192).pack()
        request = CreateRequest(client_id=client, name_length=5, pages=1)
        ins = [request.pack(), b"test\0", b"", memory]
        return self.call(0, Fixed.INIT, Method.CREATE, ins)[0]

    def release(self, client: int) -> int:
        request = AttachRequest(client_id=client).pack()
        return self.call(0, Fixed.INIT, Method.RELEASE, [request])[0]

    def load(self, client: int, uri: str) -> int:
        asked = REMOTECTL.ask_open(uri)
        method, ins = asked.scalars.method, [bytes(data) for data in asked.ins]
        result, outs = self.call(client, asked.handle, method, ins, asked.sizes)
        assert result == 0
        assert outs[0][4:8] == bytes(4), outs[1].split(b"\0")[0]
        return int.from_bytes(outs[0][:4], "little")

    def close(self) -> None:
        self.remote.close()
        self.memory.close()
