"""The way in for other processes: the device server, and what goes with the preload library.

A program that is started with the preload library finds the nodes of a virtual system under their
usual paths; what it asks of them is answered by a `DeviceServer`.
"""

from qda.shim.launch import additions, environment, run_program, signals_arriving
from qda.shim.library import find_library
from qda.shim.server import DeviceServer
from qda.shim.trace import Tracer
from qda.shim.wire import trace_wire

__all__ = [
    "DeviceServer",
    "Tracer",
    "additions",
    "environment",
    "find_library",
    "run_program",
    "signals_arriving",
    "trace_wire",
]
