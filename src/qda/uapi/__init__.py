"""Device interfaces as data: records, commands, constants, and the texts printed from them."""

from qda.uapi import accel, dma_heap, drm, legacy
from qda.uapi.accel import RFC, V1
from qda.uapi.dialects import ACCEL_DIALECTS, DIALECTS
from qda.uapi.header import header
from qda.uapi.interface import BuffersBy, Command, Constant, Family, Interface
from qda.uapi.ioctl import Access, ioctl_copies, ioctl_number, ioctl_size
from qda.uapi.legacy import LEGACY
from qda.uapi.reference import reference

__all__ = [
    "ACCEL_DIALECTS",
    "DIALECTS",
    "LEGACY",
    "RFC",
    "V1",
    "Access",
    "BuffersBy",
    "Command",
    "Constant",
    "Family",
    "Interface",
    "accel",
    "dma_heap",
    "drm",
    "header",
    "ioctl_copies",
    "ioctl_number",
    "ioctl_size",
    "legacy",
    "reference",
]
