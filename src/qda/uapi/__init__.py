"""Device interfaces as data: records, commands, constants, and the texts printed from them."""

from qda.uapi import dma_heap, drm
from qda.uapi.accel import RFC, V1
from qda.uapi.accel_records import (
    FILE_LIMIT,
    GemCreate,
    GemCreateV1,
    GemMmapOffset,
    GemMmapOffsetV1,
    InitCreate,
    InitCreateV1,
    Invoke,
    InvokeElement,
    InvokeElementV1,
    InvokeV1,
    MemMap,
    MemMapV1,
    MemUnmap,
    MemUnmapV1,
    Query,
)
from qda.uapi.dialects import ACCEL_DIALECTS, DIALECTS
from qda.uapi.header import header
from qda.uapi.interface import Command, Constant, Interface
from qda.uapi.ioctl import Access, ioctl_copies, ioctl_number, ioctl_size
from qda.uapi.legacy import LEGACY
from qda.uapi.reference import reference

__all__ = [
    "ACCEL_DIALECTS",
    "DIALECTS",
    "FILE_LIMIT",
    "LEGACY",
    "RFC",
    "V1",
    "Access",
    "Command",
    "Constant",
    "GemCreate",
    "GemCreateV1",
    "GemMmapOffset",
    "GemMmapOffsetV1",
    "InitCreate",
    "InitCreateV1",
    "Interface",
    "Invoke",
    "InvokeElement",
    "InvokeElementV1",
    "InvokeV1",
    "MemMap",
    "MemMapV1",
    "MemUnmap",
    "MemUnmapV1",
    "Query",
    "dma_heap",
    "drm",
    "header",
    "ioctl_copies",
    "ioctl_number",
    "ioctl_size",
    "reference",
]
