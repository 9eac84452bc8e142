"""Commands of the older driver that need no session: memory, and what the DSP can do."""

from __future__ import annotations

from errno import EINVAL, EMFILE, ENOMEM, ENOTTY, EOPNOTSUPP, EOVERFLOW

from qda.layout import OUT, Record, between, octets, s32, u32, u64
from qda.uapi.interface import Command
from qda.uapi.ioctl import Access
from qda.uapi.legacy.refusals import MESSAGE, SILENT, TYPE, command, refusals
from qda.uapi.words import SIZE

__all__ = [
    "ALLOC_DMA_BUFF",
    "FREE_DMA_BUFF",
    "GET_DSP_INFO",
    "AllocDmaBuffer",
    "Capability",
]

_ATTRIBUTES = 256  # those of the DSP; higher numbers concern the host


# 0x01, ALLOC_DMA_BUFF.


class AllocDmaBuffer(Record, spelling="fastrpc_alloc_dma_buf"):
    """Allocate shared memory."""

    fd: int = s32(
        "DMA-BUF of the memory, for mmap() at offset 0 and for the commands below; not closed at "
        "exec, and the caller's to close",
        direction=OUT,
        unit="file descriptor",
    )
    flags: int = u32("Not looked at; write 0", unit="bits")
    size: int = u64(
        "Size of the memory, which is rounded up to a multiple of 4096; its bytes start as 0",
        unit="bytes",
        legal=SIZE,
        breach=EINVAL,
    )


ALLOC_DMA_BUFF = command(
    "ALLOC_DMA_BUFF",
    0x01,
    AllocDmaBuffer,
    "Allocate memory that the program and the DSP can share.  Needs no session, and the "
    "descriptor may be used in the sessions of other open files, of other DSPs too.",
    refusals((ENOMEM, "no memory of that size"), (EMFILE, "the process has no free descriptor")),
)


# 0x02, FREE_DMA_BUFF.

FREE_DMA_BUFF: Command[Record] = Command(
    "FREE_DMA_BUFF",
    "FASTRPC_IOCTL_FREE_DMA_BUFF",
    0x02,
    Access.BOTH,
    None,
    "Not implemented, and never was: close the descriptor.",
    ((ENOTTY, "always"),),
    type=TYPE,
    scalar=u32,
)


# 0x0d, GET_DSP_INFO.


class Capability(Record, spelling="fastrpc_ioctl_capability"):
    """Ask what the DSP can do."""

    domain: int = u32("Not looked at: the node says which DSP is asked")
    attribute_id: int = u32(
        "Which property: 1 to 255 are the DSP's, 0 is not known to the driver and answered with 0",
        legal=between(0, _ATTRIBUTES - 1, words="0 to 255"),
        breach=EOVERFLOW,
    )
    capability: int = u32("Value of the property, 0 if the DSP does not have it", direction=OUT)
    reserved: bytes = octets(4, "Not looked at; write 0", u32)


GET_DSP_INFO = command(
    "GET_DSP_INFO",
    0x0D,
    Capability,
    "Ask the DSP for one of its properties.  Needs no session.",
    refusals(*MESSAGE, SILENT, (EOPNOTSUPP, "the DSP does not answer such questions")),
    step="""\
{GET_DSP_INFO} tells what the DSP can do.""",
)
