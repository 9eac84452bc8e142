"""A skeleton that means its client no good."""

import ctypes
import os
import threading
import time

import qda


class Hostile(qda.Skeleton, name="hostile"):
    @qda.method(2)
    def write_nonsense(self, buffer: memoryview) -> None:
        """From now on, into all that the driver has shared with this protection domain."""
        threading.Thread(target=self._write, daemon=True).start()

    def _write(self) -> None:
        while True:
            for start, size in self._shared():
                memory = (ctypes.c_ubyte * size).from_address(start)
                ctypes.memmove(memory, os.urandom(size), size)
            time.sleep(0.001)

    @staticmethod
    def _shared() -> list[tuple[int, int]]:
        most = 128 << 10
        with open("/proc/self/maps") as maps:
            spans = [
                line.split("-", 1) for line in maps if "/memfd:qda" in line and " rw-s" in line
            ]
        ranges = [(int(start, 16), int(rest.split()[0], 16)) for start, rest in spans]
        return [(start, min(end - start, most)) for start, end in ranges]
