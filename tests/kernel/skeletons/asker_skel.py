"""A module that asks the program: how much is twice 21?"""

import struct

import qda

doubler = qda.idl.load("interface doubler { long twice(in long number, rout long doubled); };")


class Asker(qda.Skeleton, name="asker"):
    @qda.method(2)
    def asks(self, answer: memoryview) -> None:
        with self.dsp.host.open(doubler) as host:
            answer[:] = struct.pack("<I", host.twice(21))
