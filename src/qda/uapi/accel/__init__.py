"""The accelerator's own commands, in the dialects that were posted for review.

RFC is the series of February 2026 and our default, V1 that of May 2026, HANDLE that of August 2026,
which today's C library speaks.  They differ in names, in the order of fields of two records, and in
what an `fd` field means: a GEM handle of the open file in RFC, a DMA-BUF descriptor of the process
in V1.  Numbers and sizes are equal in these two, so a command code does not tell them apart.  In
HANDLE the fields are handles again, and say so; what the DSP is to call an object is told apart
from that, and a question says what is asked for.  Python attributes are named alike in all.

Each command stands in one block: its record, the command with its errors and its part of the guide,
and what a later dialect has instead; the modules of this package have the blocks by what they are
for.  The driver refuses a record by the legal values declared there before it runs a command.  What
needs more than the value of one field to decide is stated in what the command is `refused` for.
"""

from __future__ import annotations

from dataclasses import replace

from qda.uapi import drm
from qda.uapi.accel.buffers import (
    GEM_CREATE,
    GEM_CREATE_V1,
    GEM_MMAP_OFFSET,
    GEM_MMAP_OFFSET_V1,
    NAME,
    QUERIES,
    QUERY,
    QUERY_HANDLE,
    GemCreate,
    GemCreateV1,
    GemMmapOffset,
    GemMmapOffsetV1,
    Query,
    QueryTyped,
)
from qda.uapi.accel.guide import GUIDE, example
from qda.uapi.accel.invoke import (
    HANDLES,
    INVOKE,
    INVOKE_HANDLE,
    INVOKE_V1,
    Invoke,
    InvokeElement,
    InvokeElementHandle,
    InvokeElementV1,
    InvokeV1,
)
from qda.uapi.accel.mapping import (
    FLAGS,
    MAP,
    MAP_HANDLE,
    MAP_V1,
    MUNMAP,
    MUNMAP_HANDLE,
    MUNMAP_V1,
    MemMap,
    MemMapHandle,
    MemMapV1,
    MemUnmap,
    MemUnmapHandle,
    MemUnmapV1,
)
from qda.uapi.accel.process import (
    ATTRIBUTES,
    CREATE,
    CREATE_HANDLE,
    CREATE_V1,
    DOMAINS,
    FILE_LIMIT,
    INIT_ATTACH,
    INIT_ATTACH_HANDLE,
    LIMITS,
    InitCreate,
    InitCreateHandle,
    InitCreateV1,
)
from qda.uapi.interface import BuffersBy, Family, Interface, altered
from qda.uapi.semantics import Semantics
from qda.uapi.words import SCALARS

__all__ = [
    "CREATE",
    "GEM_CREATE",
    "GEM_MMAP_OFFSET",
    "HANDLE",
    "INIT_ATTACH",
    "INVOKE",
    "MAP",
    "MUNMAP",
    "NAME",
    "QUERY",
    "RFC",
    "V1",
    "GemCreate",
    "GemCreateV1",
    "GemMmapOffset",
    "GemMmapOffsetV1",
    "InitCreate",
    "InitCreateHandle",
    "InitCreateV1",
    "Invoke",
    "InvokeElement",
    "InvokeElementHandle",
    "InvokeElementV1",
    "InvokeV1",
    "MemMap",
    "MemMapHandle",
    "MemMapV1",
    "MemUnmap",
    "MemUnmapHandle",
    "MemUnmapV1",
    "Query",
    "QueryTyped",
]

RFC = Interface(
    "rfc",
    "Qualcomm DSP Accelerator (QDA), device interface of the RFC series, February 2026",
    (QUERY, GEM_CREATE, GEM_MMAP_OFFSET, INIT_ATTACH, CREATE, MAP, MUNMAP, INVOKE),
    (InvokeElement,),
    (LIMITS, HANDLES, *FLAGS, ATTRIBUTES, DOMAINS, SCALARS),
    GUIDE,
    example(CREATE, INVOKE, InvokeElement, BuffersBy.GEM_HANDLE),
    drm.CORE,
    family=Family.ACCEL,
    buffers_by=BuffersBy.GEM_HANDLE,
    image_limit=FILE_LIMIT,
)

V1 = replace(
    RFC,
    name="v1",
    title="Qualcomm DSP Accelerator (QDA), device interface of the v1 series, May 2026",
    commands=altered(
        RFC.commands,
        GEM_CREATE_V1,
        GEM_MMAP_OFFSET_V1,
        CREATE_V1,
        MAP_V1,
        MUNMAP_V1,
        INVOKE_V1,
        without=(INIT_ATTACH,),
    ),
    elements=(InvokeElementV1,),
    example=example(CREATE_V1, INVOKE_V1, InvokeElementV1, BuffersBy.DMA_BUF),
    buffers_by=BuffersBy.DMA_BUF,
    semantics=Semantics(maps_imports=False),
)

HANDLE = replace(
    V1,
    name="handle",
    title="Qualcomm DSP Accelerator (QDA), device interface of the v2 series, August 2026",
    commands=altered(
        V1.commands,
        QUERY_HANDLE,
        INIT_ATTACH_HANDLE,
        CREATE_HANDLE,
        MAP_HANDLE,
        MUNMAP_HANDLE,
        INVOKE_HANDLE,
    ),
    elements=(InvokeElementHandle,),
    constants=(QUERIES, *V1.constants),
    example=example(CREATE_HANDLE, INVOKE_HANDLE, InvokeElementHandle, BuffersBy.GEM_HANDLE),
    buffers_by=BuffersBy.GEM_HANDLE,
    packs=True,
    semantics=Semantics(maps_imports=False, attaches=False),
    older=(QUERY,),
)
