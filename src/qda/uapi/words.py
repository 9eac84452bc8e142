"""Groups of constants, ranges of values, and sentences that several interfaces have."""

from __future__ import annotations

from qda.layout import Legal, between
from qda.uapi.interface import Constant

__all__ = ["LENGTH", "SCALARS", "SIZE", "STATUS", "map_flags", "process_attributes"]

SIZE: Legal = between(1, (1 << 64) - 4096, words="1 to 2^64 - 4096")
"""The size of new memory, which is rounded up to whole pages without an overflow."""

LENGTH: Legal = between(0, (1 << 31) - 1, words="0 to 2^31 - 1")
"""A length or an offset that fits a signed word."""

STATUS = "A result above 0, or -4096 and below, is the DSP's own status."


def map_flags(prefix: str) -> tuple[Constant, ...]:
    """Kinds of mapping of a buffer that has a name (spec/fastrpc.md 3.3)."""
    return (
        Constant(f"{prefix}STATIC", 0, "Mapped from now on, for use by many calls"),
        Constant(f"{prefix}RESERVED", 1, "Reserved"),
        Constant(f"{prefix}FD", 2, "Mapped now; code on the DSP finds it by fd"),
        Constant(f"{prefix}FD_DELAYED", 3, "As FD, mapped when the DSP first uses it"),
        Constant(f"{prefix}FD_NOMAP", 16, "As FD, without a mapping for the DSP's CPU"),
    )


def process_attributes(prefix: str) -> tuple[Constant, ...]:
    """Attributes of a new process (spec/fastrpc.md 3.3)."""
    return (
        Constant(f"{prefix}DEBUG", 0x1, "Debuggable", True),
        Constant(f"{prefix}PTRACE", 0x2, "Can be traced", True),
        Constant(f"{prefix}CRC", 0x4, "Checksums on arguments", True),
        Constant(f"{prefix}UNSIGNED_MODULE", 0x8, "May load unsigned modules", True),
        Constant(f"{prefix}ADAPTIVE_QOS", 0x10, "Adaptive quality of service", True),
        Constant(f"{prefix}SYSTEM_PROCESS", 0x20, "System process", True),
        Constant(f"{prefix}PRIVILEGED", 0x40, "Privileged process", True),
    )


SCALARS = (
    "Scalars: parts of the word that describes a call",
    (
        Constant("QDA_SCALARS_OUT_HANDLES_SHIFT", 0, "Lowest bit of the out-handle count"),
        Constant("QDA_SCALARS_OUT_HANDLES_MASK", 0xF, "Out-handle count, after shifting", True),
        Constant("QDA_SCALARS_IN_HANDLES_SHIFT", 4, "Lowest bit of the in-handle count"),
        Constant("QDA_SCALARS_IN_HANDLES_MASK", 0xF, "In-handle count, after shifting", True),
        Constant("QDA_SCALARS_OUT_SHIFT", 8, "Lowest bit of the output buffer count"),
        Constant("QDA_SCALARS_OUT_MASK", 0xFF, "Output buffer count, after shifting", True),
        Constant("QDA_SCALARS_IN_SHIFT", 16, "Lowest bit of the input buffer count"),
        Constant("QDA_SCALARS_IN_MASK", 0xFF, "Input buffer count, after shifting", True),
        Constant("QDA_SCALARS_METHOD_SHIFT", 24, "Lowest bit of the method"),
        Constant("QDA_SCALARS_METHOD_MASK", 0x1F, "Method, after shifting", True),
        Constant("QDA_SCALARS_ATTRIBUTES_SHIFT", 29, "Lowest bit of the attributes"),
        Constant("QDA_SCALARS_ATTRIBUTES_MASK", 0x7, "Attributes, after shifting", True),
    ),
)
"""The constants behind the function-like macros that a header has for the scalars word."""
