"""Run in a guest: our client, with no more of Python than a distribution's smallest package."""

import struct
import sys

import qda

CALCULATOR = "file:///libcalculator_skel.so?calculator_skel_handle_invoke&_modver=1.0"
SUM, MAX = 2, 3

with qda.open("cdsp") as session, session.load(CALCULATOR) as calculator:
    count = struct.pack("<I", 3)
    total, largest = bytearray(8), bytearray(4)
    calculator.invoke(SUM, ins=[count, struct.pack("<3i", 1, 2, -7)], outs=[total])
    with session.alloc(4096) as buffer:
        memoryview(buffer)[:12] = struct.pack("<3i", 5, 6, -7)
        calculator.invoke(MAX, ins=[count, buffer[:12]], outs=[largest])
    print(session.node, *struct.unpack("<q", total), *struct.unpack("<i", largest))
    print("numpy" in sys.modules)
