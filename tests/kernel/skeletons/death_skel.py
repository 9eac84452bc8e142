"""A module that kills the DSP: the processor, of which each protection domain is a child."""

import os
import signal
import struct

import qda


class Death(qda.Skeleton, name="death"):
    @qda.method(2)
    def kill(self) -> None:
        os.kill(os.getppid(), signal.SIGKILL)
        signal.pause()

    @qda.method(3)
    def answers(self, answer: memoryview) -> None:
        answer[:] = struct.pack("<I", 42)
