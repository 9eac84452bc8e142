"""What a crowd calls: a method whose outputs are known, and one that lasts until it is released."""

import struct
import threading

import qda


class Crowd(qda.Skeleton, name="crowd"):
    def __init__(self) -> None:
        self._gate = threading.Event()
        self._parked = 0

    @qda.method(2)
    def turn(self, numbers: memoryview, total: memoryview, turned: memoryview) -> None:
        every = (1 << 8 * len(numbers)) - 1
        total[:] = struct.pack("<q", sum(numbers.cast("i")))
        turned[:] = (int.from_bytes(numbers, "little") ^ every).to_bytes(len(numbers), "little")

    @qda.method(3)
    def park(self) -> None:
        self._parked = 1
        self._gate.wait()

    @qda.method(4)
    def parked(self, answer: memoryview) -> None:
        answer[:] = struct.pack("<I", self._parked)

    @qda.method(5)
    def release(self) -> None:
        self._gate.set()
