"""The calculator of the test programs, with methods to see calls wait."""

import struct
import threading

import numpy as np

import qda


class Calculator(qda.Skeleton, name="calculator"):
    def __init__(self) -> None:
        self._gate = threading.Event()
        self._entered = 0
        self._parked = 0
        self._counted = 0

    @qda.method(2)
    def sum(self, count: memoryview, numbers: memoryview, total: memoryview) -> None:
        total[:] = struct.pack("<q", np.frombuffer(numbers, np.int32).sum(dtype=np.int64))

    @qda.method(3)
    def max(self, count: memoryview, numbers: memoryview, largest: memoryview) -> None:
        largest[:] = struct.pack("<i", np.frombuffer(numbers, np.int32).max())

    @qda.method(4)
    def entered(self, answer: memoryview) -> None:
        answer[:] = struct.pack("<I", self._entered)

    @qda.method(5)
    def park(self) -> None:
        self._entered += 1
        self._parked = 1
        self._gate.wait()
        self._parked = 0

    @qda.method(6)
    def release(self) -> None:
        self._gate.set()

    @qda.method(7)
    def parked(self, answer: memoryview) -> None:
        answer[:] = struct.pack("<I", self._parked)

    @qda.method(8)
    def close_gate(self) -> None:
        self._gate.clear()

    @qda.method(9)
    def count(self) -> None:
        self._counted += 1

    @qda.method(10)
    def counted(self, answer: memoryview) -> None:
        answer[:] = struct.pack("<I", self._counted)
