"""What a program and its DSP say to each other in the tests of the host's side."""

from __future__ import annotations

import errno
import threading
from typing import Any

import qda
from qda.client.host.modules import HostModules, Opened
from qda.errors import HostError
from qda.fastrpc.scalars import Scalars

logbook: Any = qda.idl.load(
    """interface logbook {
        long write(in string line, rout long count);
        long fail(in long how);
    };""",
    name="logbook.idl",
)
counter: Any = qda.idl.load(
    """#include "remote.idl"
    interface counter : remote_handle64 { long next(rout long number); };""",
    name="counter.idl",
)
worker: Any = qda.idl.load(
    """interface worker {
        long note(in string line, rout long count);
        long fail(in long how, rout long status);
        long count_twice(rout long first, rout long second);
        long down(in long depth, rout long reached);
        long environment(in string name, rout string value);
        long copy(in string source, in string target, rout long size);
        long request(in long size, in uint32_t flags, rout octet value);
        long load(in string name, rout sequence<octet> start, rout long size);
        long say(in string words);
        long echo(in sequence<octet> data, rout long size);
        long drop(in string name);
    };""",
    name="worker.idl",
)
tower: Any = qda.idl.load("interface tower { long down(in long depth, rout long reached); };")


class Worker(worker.Skeleton):  # type: ignore[misc]
    """Runs on the DSP, and calls the host."""

    def note(self, line: str) -> Any:
        with self.dsp.host.open(logbook) as book:
            return book.write(line)

    def fail(self, how: int) -> int:
        with self.dsp.host.open(logbook) as book:
            try:
                book.fail(how)
            except HostError as error:
                return error.status - (error.status >> 31 << 32)
        return 0

    def count_twice(self) -> tuple[int, int]:
        host = self.dsp.host
        with host.open(counter) as first, host.open(counter) as second:
            first.next()
            return first.next(), second.next()

    def down(self, depth: int) -> int:
        if not depth:
            return 0
        with self.dsp.host.open(tower) as host:
            return 1 + int(host.down(depth - 1))

    def environment(self, name: str, value: int) -> str:
        environment = self.dsp.environment
        environment["QDA_COPY"] = str(environment.get(name, "nothing"))
        found = environment["QDA_COPY"]
        del environment["QDA_COPY"]
        return str(found) + (" still" if "QDA_COPY" in environment else "")

    def copy(self, source: str, target: str) -> int:
        host = self.dsp.host
        with host.open_file(source) as text, host.open_file(target, "w") as copy:
            return int(copy.write(text.read()))

    def request(self, size: int, flags: int) -> int:
        with self.dsp.host.open("apps_mem") as memory:
            shown, address = memory.request_map64(0, 0, flags, 0, size)
            fd = flags == 0x10000
            view = self.dsp.memory_of_fd(address) if fd else self.dsp.memory(address, size)
            view[size - 1] = 7
            value = view[size - 1]
            view.release()
            memory.request_unmap64(address, size)
            assert bool(shown) == (flags not in (4, 8, 0x1000, 0x3000))
            return int(value)

    def load(self, name: str, start: Any) -> tuple[None, int]:
        with self.dsp.host.open("apps_std") as files:
            fd, size = files.fopen_fd(name, "r")
            view = self.dsp.memory_of_fd(fd)
            memoryview(start)[:] = view[: len(start)]
            view.release()
            files.fclose_fd(fd)
            return None, size

    def say(self, words: str) -> None:
        self.dsp.log.warning("%s", words)

    def drop(self, name: str) -> None:
        file = self.dsp.host.open_file(name, "w")
        file.write("lost")
        del file

    def echo(self, data: Any) -> int:
        with self.dsp.host.open("echo") as echo:
            back = bytearray(len(data))
            echo.invoke(0, [data], [back])
            assert back == bytes(data)
            return len(back)


class Book(logbook.Skeleton):  # type: ignore[misc]
    """The program's own module."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    def fail(self, how: int) -> None:
        if how == 1:
            raise OSError(errno.EBUSY, "busy")
        if how == 2:
            raise qda.StatusError(0x1234, "so")
        if how == 3:
            raise ValueError("no")


def host_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.endswith(" host")]


class AnyModule:
    """Takes everything."""

    def invoke(self, scalars: Scalars, arguments: list[Any]) -> int:
        return 0


class Direct:
    """Calls a skeleton as the DSP would, without one."""

    def __init__(self, skeleton: Any) -> None:
        self.modules = HostModules()
        self.modules.provide("apps_std", lambda _: Opened(skeleton, lambda: None))
        name = memoryview(b"apps_std\0")
        answer = bytearray(8)
        request = memoryview(bytes([9, 0, 0, 0, 0, 0, 0, 0]))
        self.modules.call(0, Scalars(0, 2, 2), [request, name], [answer, bytearray()])
        self.handle = int.from_bytes(answer[:4], "little")

    def invoke(self, method: int, ins: Any, outs: Any, _in: Any, _out: Any, *, label: str) -> None:
        scalars = Scalars(min(method, 31), len(ins), len(outs))
        given = [memoryview(bytes(memoryview(one).cast("B"))) for one in ins]
        rooms = [bytearray(memoryview(one).nbytes) for one in outs]
        status = self.modules.call(self.handle, scalars, given, rooms)
        if status:
            raise HostError(label, status)
        for out, room in zip(outs, rooms, strict=True):
            memoryview(out).cast("B")[:] = room
