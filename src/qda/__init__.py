"""QDA: the Qualcomm DSP Accelerator in software, and a client for the real one::

    import qda

    calculator = qda.idl.load(
        "interface calculator { long sum(in sequence<long> n, rout long total); };"
    )

    class Calculator(calculator.Skeleton):
        def sum(self, n):
            return n.sum()

    with qda.open("cdsp") as session, session.load(Calculator) as remote:
        print(remote.sum([1, 2, 3]))

Each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from qda.dsp.skeleton import HandleArgument, Skeleton, method
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
    from qda.opening import (
        devices,
        open,  # noqa: A004  # qda.open, like gzip.open
    )
    from qda.pool import Pool
    from qda.recording.difference import Difference, Differs
    from qda.recording.program import Record, Replay, record, replay
    from qda.tracing.program import Trace, trace

    __version__: str

__all__ = [
    "Buffer",
    "CallTimeout",
    "DeviceError",
    "DeviceInfo",
    "Difference",
    "Differs",
    "DspError",
    "HandleArgument",
    "HostError",
    "KernelNode",
    "MapFlag",
    "Mapping",
    "Node",
    "Pending",
    "Pool",
    "ProcessAttribute",
    "QdaError",
    "Record",
    "Refusal",
    "RemoteModule",
    "Replay",
    "Session",
    "Skeleton",
    "StatusError",
    "Trace",
    "UsageError",
    "UsageTypeError",
    "devices",
    "explain",
    "idl",
    "method",
    "open",
    "record",
    "replay",
    "start",
    "trace",
]

_HOMES = {
    "qda.client": (
        "Buffer",
        "DeviceInfo",
        "KernelNode",
        "MapFlag",
        "Mapping",
        "Node",
        "Pending",
        "ProcessAttribute",
        "RemoteModule",
        "Session",
        "start",
    ),
    "qda.dsp.skeleton": ("HandleArgument", "Skeleton", "method"),
    "qda.errors": (
        "CallTimeout",
        "DeviceError",
        "DspError",
        "HostError",
        "QdaError",
        "Refusal",
        "StatusError",
        "UsageError",
        "UsageTypeError",
        "explain",
    ),
    "qda.idl": ("idl",),
    "qda.opening": ("devices", "open"),
    "qda.pool": ("Pool",),
    "qda.recording.difference": ("Difference", "Differs"),
    "qda.recording.program": ("Record", "Replay", "record", "replay"),
    "qda.tracing.program": ("Trace", "trace"),
}
"""Which module each name comes from, when it is asked for: whoever needs a part of this package
does not load the rest, NumPy and the parser of the interface language among it."""

if not TYPE_CHECKING:  # a type checker knows the names from above, and that there are no others

    def __getattr__(name):
        if name == "__version__":
            from importlib import metadata

            return metadata.version("qda-accel")
        for home, names in _HOMES.items():
            if name in names:
                module = import_module(home)
                value = module if name == "idl" else getattr(module, name)
                globals()[name] = value  # from now on an attribute like any other
                return value
        words = f"module {__name__!r} has no attribute {name!r}"
        if not name.startswith("_"):
            from qda.errors import did_you_mean

            meant = did_you_mean(name, __all__)
            words += f": {meant}" if meant else ""
        raise AttributeError(words)

    def __dir__():
        return sorted({*globals(), *__all__})
