"""QDA: the Qualcomm DSP Accelerator in software, and a client for the real one.

import qda

calculator = qda.idl.load(
    "interface calculator { long sum(in sequence<long> n, rout long total); };"
)

class Calculator(calculator.Skeleton):
    def sum(self, n):
        return n.sum()

with qda.open("cdsp") as session, session.load(Calculator) as remote:
    print(remote.sum([1, 2, 3]))
"""

from qda import idl
from qda.client import (
    Buffer,
    DeviceInfo,
    KernelNode,
    MapFlag,
    Mapping,
    Node,
    Pending,
    ProcessAttribute,
    RemoteModule,
    Session,
    start,
)
from qda.dsp import HandleArgument, Skeleton, method
from qda.errors import (
    CallTimeout,
    DeviceError,
    DspError,
    HostError,
    QdaError,
    Refusal,
    StatusError,
    UsageError,
    UsageTypeError,
    explain,
)
from qda.opening import devices
from qda.opening import open_session as open  # noqa: A004  # qda.open, like gzip.open

__all__ = [
    "Buffer",
    "CallTimeout",
    "DeviceError",
    "DeviceInfo",
    "DspError",
    "HandleArgument",
    "HostError",
    "KernelNode",
    "MapFlag",
    "Mapping",
    "Node",
    "Pending",
    "ProcessAttribute",
    "QdaError",
    "Refusal",
    "RemoteModule",
    "Session",
    "Skeleton",
    "StatusError",
    "UsageError",
    "UsageTypeError",
    "devices",
    "explain",
    "idl",
    "method",
    "open",
    "start",
]
