"""Commands of the accelerator that need no session: which DSP it is, and buffer objects."""

from __future__ import annotations

from dataclasses import replace
from errno import EINVAL, ENOENT, ENOMEM

from qda.layout import OUT, ZERO, Record, differs, octets, one_of, u32, u64
from qda.uapi.accel.refusals import NO_BANK, refusals
from qda.uapi.interface import Command, Constant, Constants
from qda.uapi.ioctl import Access
from qda.uapi.words import SIZE

__all__ = [
    "GEM_CREATE",
    "GEM_CREATE_V1",
    "GEM_MMAP_OFFSET",
    "GEM_MMAP_OFFSET_V1",
    "NAME",
    "QUERIES",
    "QUERY",
    "QUERY_HANDLE",
    "GemCreate",
    "GemCreateV1",
    "GemMmapOffset",
    "GemMmapOffsetV1",
    "Query",
    "QueryTyped",
]

# 0x40, QUERY.


class Query(Record, spelling="drm_qda_query"):
    """Answer to the question which DSP is behind a node."""

    dsp_name: bytes = octets(
        16,
        'Name of the DSP ("adsp", "cdsp", "gdsp0", ...), followed by zero bytes up to the end',
        direction=OUT,
        unit="characters",
    )


QUERY = Command(
    "QUERY",
    "DRM_IOCTL_QDA_QUERY",
    0x40,
    Access.READ,
    Query,
    "Ask which DSP is behind the node.  Needs no session.",
    refusals(),
    step="""\
DRM_IOCTL_VERSION gives the driver's name, which is "qda"; other drivers have nodes in the same
directory. {QUERY} gives the name of the DSP.""",
)

NAME = 1

QUERIES: Constants = (
    "What is asked for",
    (Constant("QDA_QUERY_DSP_NAME", NAME, "The name of the DSP"),),
)


class QueryTyped(Query, layout=("query_type", "pad", "dsp_name")):
    """A question, with its answer."""

    query_type: int = u32(
        "What is asked for",
        legal=one_of(NAME, words="QDA_QUERY_DSP_NAME (1)"),
        breach=EINVAL,
    )
    pad: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)


QUERY_HANDLE = replace(
    QUERY,
    access=Access.BOTH,
    record=QueryTyped,
    text="Ask which DSP is behind the node.  Needs no session.  The structure may be longer, as "
    "all may, with further bytes of 0 (a program was seen to pass 40); by a code that only reads, "
    "the question is that of the dialects before, and the answer begins with the name.",
)


# 0x41, GEM_CREATE.


class GemCreate(Record, spelling="drm_qda_gem_create"):
    """Allocate a buffer object."""

    handle: int = u32(
        "Handle of the new object: a small integer from 1, valid in this open file only, until "
        "DRM_IOCTL_GEM_CLOSE or close()",
        direction=OUT,
        unit="GEM handle",
    )
    pad: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)
    size: int = u64(
        "Size of the object, which is rounded up to a multiple of 4096; its bytes start as 0",
        unit="bytes",
        legal=SIZE,
        breach=EINVAL,
    )


GEM_CREATE = Command(
    "GEM_CREATE",
    "DRM_IOCTL_QDA_GEM_CREATE",
    0x41,
    Access.BOTH,
    GemCreate,
    "Allocate a buffer object that the program and the DSP can share.  Needs no session.",
    refusals((ENOMEM, "no memory for an object of that size"), NO_BANK),
    step="""\
{GEM_CREATE} or DRM_IOCTL_PRIME_FD_TO_HANDLE gives buffer objects, if data is to be
shared and not copied; {GEM_MMAP_OFFSET} and mmap() make them visible to the program.""",
)


class GemCreateV1(GemCreate, layout=("size", "handle", "pad")):
    """Allocate a buffer object."""


GEM_CREATE_V1 = replace(
    GEM_CREATE,
    record=GemCreateV1,
    step=f"""\
{GEM_CREATE.step.removesuffix(".")}, and \
DRM_IOCTL_PRIME_HANDLE_TO_FD gives the descriptor by which the calls below name them.""",
)


# 0x42, GEM_MMAP_OFFSET.


class GemMmapOffset(Record, spelling="drm_qda_gem_mmap_offset"):
    """Ask where mmap() finds a buffer object."""

    handle: int = u32("Handle of the object", unit="GEM handle")
    pad: int = u32("Reserved; write 0, although this version does not look at it")
    offset: int = u64(
        "Offset to give to mmap() on this node; it names the object and is no address",
        direction=OUT,
        unit="bytes",
    )


_MMAP = """\
## mmap

mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, node, offset) with the offset of
{GEM_MMAP_OFFSET} maps an object from its first byte. EINVAL: length is 0 or more than
the object's size, or the offset is not known. EACCES: the object belongs to another open file.
"""

GEM_MMAP_OFFSET = Command(
    "GEM_MMAP_OFFSET",
    "DRM_IOCTL_QDA_GEM_MMAP_OFFSET",
    0x42,
    Access.BOTH,
    GemMmapOffset,
    "Ask for the offset by which mmap() on the node maps a buffer object.",
    refusals((ENOENT, "handle is not a GEM handle of this open file")),
    sections=f"{_MMAP}An imported object can be mapped in this way, too.",
)


class GemMmapOffsetV1(GemMmapOffset, layout=("offset", "handle", "pad")):
    """Ask where mmap() finds a buffer object."""

    pad: int = differs(text="Reserved; write 0", legal=ZERO, breach=EINVAL)


GEM_MMAP_OFFSET_V1 = replace(
    GEM_MMAP_OFFSET,
    record=GemMmapOffsetV1,
    refused=(
        *GEM_MMAP_OFFSET.refused,
        (EINVAL, "the object was imported: map its DMA-BUF instead"),
    ),
    sections=f"{_MMAP}An imported object cannot be mapped in this way (EINVAL); map its DMA-BUF.",
)
