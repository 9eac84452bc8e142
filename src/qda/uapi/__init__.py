"""Device interfaces as data: records, commands, constants, and the texts printed from them.

What prints them, `qda.uapi.header` and `qda.uapi.reference`, is not needed to speak an
interface, and imported by whoever prints.
"""

from qda.uapi import accel, dma_heap, drm, drm_core, legacy
from qda.uapi.accel import HANDLE, RFC, V1
from qda.uapi.dialects import ACCEL_DIALECTS, DIALECTS
from qda.uapi.interface import BuffersBy, Command, Constant, Family, Interface
from qda.uapi.ioctl import Access, ioctl_copies, ioctl_number, ioctl_size, ioctl_type
from qda.uapi.legacy import LEGACY, LEGACY_73, LEGACY_SIGNALS
from qda.uapi.semantics import Semantics

__all__ = [
    "ACCEL_DIALECTS",
    "DIALECTS",
    "HANDLE",
    "LEGACY",
    "LEGACY_73",
    "LEGACY_SIGNALS",
    "RFC",
    "V1",
    "Access",
    "BuffersBy",
    "Command",
    "Constant",
    "Family",
    "Interface",
    "Semantics",
    "accel",
    "dma_heap",
    "drm",
    "drm_core",
    "ioctl_copies",
    "ioctl_number",
    "ioctl_size",
    "ioctl_type",
    "legacy",
]
