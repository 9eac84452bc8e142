"""The older FastRPC driver's commands, as they are on `/dev/fastrpc-*` of today's kernels.

The numbers and layouts are those of linux `include/uapi/misc/fastrpc.h` (spec/fastrpc.md 5.2), and
so are the C names: a program compiles the same with either header.  Unlike the accelerator's, these
commands are found by their complete code, and structures have one size.

Each command stands in one block, as in `qda.uapi.accel`.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EBUSY, EPIPE

from qda.uapi import dma_heap
from qda.uapi.interface import BuffersBy, Family, Interface, altered
from qda.uapi.legacy.buffers import (
    ALLOC_DMA_BUFF,
    FREE_DMA_BUFF,
    GET_DSP_INFO,
    AllocDmaBuffer,
    Capability,
)
from qda.uapi.legacy.guide import EXAMPLE, GUIDE
from qda.uapi.legacy.invoke import HANDLES, INVOKE, InvokeElementLegacy, InvokeLegacy
from qda.uapi.legacy.mapping import (
    FLAGS,
    MAP_NEW,
    MEM_MAP,
    MEM_UNMAP,
    UNMAP_NEW,
    MapFd,
    MapNew,
    UnmapFd,
    UnmapNew,
)
from qda.uapi.legacy.options import OPTIONS, POLL_MODE, SET_OPTION, SetOption
from qda.uapi.legacy.process import (
    ATTRIBUTES,
    CREATE,
    FILE_LIMIT,
    INIT_ATTACH,
    INIT_ATTACH_SNS,
    INIT_CREATE_STATIC,
    CreateLegacy,
    CreateStatic,
)
from qda.uapi.legacy.signals import (
    CANCEL_WAIT,
    CREATE_SIGNAL,
    DESTROY_SIGNAL,
    DRIVER_SIGNALS,
    DSP_SIGNALS,
    FOR_EVER,
    SEND_SIGNAL,
    WAIT_SIGNAL,
    CancelWait,
    CreateSignal,
    DestroySignal,
    SendSignal,
    WaitSignal,
    signals_of,
)
from qda.uapi.semantics import Semantics
from qda.uapi.words import SCALARS

__all__ = [
    "ALLOC_DMA_BUFF",
    "CANCEL_WAIT",
    "CREATE",
    "CREATE_SIGNAL",
    "DESTROY_SIGNAL",
    "DRIVER_SIGNALS",
    "DSP_SIGNALS",
    "FOR_EVER",
    "FREE_DMA_BUFF",
    "GET_DSP_INFO",
    "INIT_ATTACH",
    "INIT_ATTACH_SNS",
    "INIT_CREATE_STATIC",
    "INVOKE",
    "LEGACY",
    "LEGACY_73",
    "LEGACY_SIGNALS",
    "MAP_NEW",
    "MEM_MAP",
    "MEM_UNMAP",
    "POLL_MODE",
    "SEND_SIGNAL",
    "SET_OPTION",
    "UNMAP_NEW",
    "WAIT_SIGNAL",
    "AllocDmaBuffer",
    "CancelWait",
    "Capability",
    "CreateLegacy",
    "CreateSignal",
    "CreateStatic",
    "DestroySignal",
    "InvokeElementLegacy",
    "InvokeLegacy",
    "MapFd",
    "MapNew",
    "SendSignal",
    "SetOption",
    "UnmapFd",
    "UnmapNew",
    "WaitSignal",
]

LEGACY = Interface(
    "legacy",
    "FastRPC, device interface of the driver in today's kernels (/dev/fastrpc-*)",
    (
        ALLOC_DMA_BUFF,
        FREE_DMA_BUFF,
        INVOKE,
        INIT_ATTACH,
        CREATE,
        MAP_NEW,
        UNMAP_NEW,
        INIT_ATTACH_SNS,
        INIT_CREATE_STATIC,
        MEM_MAP,
        MEM_UNMAP,
        GET_DSP_INFO,
    ),
    (InvokeElementLegacy,),
    (HANDLES, *FLAGS, ATTRIBUTES, SCALARS),
    GUIDE,
    EXAMPLE,
    dma_heap.HEAP,
    family=Family.LEGACY,
    buffers_by=BuffersBy.DMA_BUF,
    semantics=Semantics(
        without_bank=EBUSY, import_without_bank=EBUSY, bank_at_open=True, removed=EPIPE
    ),
    image_limit=FILE_LIMIT,
    by_code=True,
)

LEGACY_73 = replace(
    LEGACY,
    name="legacy-7.3",
    title="FastRPC, device interface of the driver in kernels since 7.3 (/dev/fastrpc-*)",
    commands=altered(LEGACY.commands, SET_OPTION),
    numbers_calls=True,
    semantics=replace(LEGACY.semantics, caches_capabilities=True),
    constants=(*LEGACY.constants, OPTIONS),
    guide=replace(GUIDE, steps=("GET_DSP_INFO", "SET_OPTION", "CREATE", "ALLOC", "INVOKE")),
)

LEGACY_SIGNALS = replace(
    LEGACY,
    name="legacy-signals",
    title="FastRPC, device interface of the driver with the signals that vendors' kernels have "
    "(/dev/fastrpc-*)",
    commands=signals_of(LEGACY.commands),
)
