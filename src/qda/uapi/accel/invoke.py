"""The accelerator's call: INVOKE, and the elements that it reaches through a pointer."""

from __future__ import annotations

from dataclasses import replace
from errno import EFAULT, EINTR, EINVAL, ENOMEM, EPERM

from qda.layout import ANY, Legal, Record, at_least, differs, s32, u32, u64
from qda.uapi.accel.refusals import call_refusals, no_descriptor, no_handle
from qda.uapi.interface import Command, Constant, Constants, Refused, instead
from qda.uapi.ioctl import Access
from qda.uapi.words import LENGTH, STATUS

__all__ = [
    "HANDLES",
    "INVOKE",
    "INVOKE_HANDLE",
    "INVOKE_V1",
    "Invoke",
    "InvokeElement",
    "InvokeElementHandle",
    "InvokeElementV1",
    "InvokeV1",
    "elements",
]

HANDLES: Constants = (
    "Modules with a fixed handle",
    (
        Constant("QDA_HANDLE_REMOTECTL", 0, "Opens and closes all other modules"),
        Constant("QDA_HANDLE_INIT", 1, "Process control; for the driver only, else EPERM"),
    ),
)

_ELEMENT = "fastrpc_invoke_args"
_ELEMENT_V1 = "drm_qda_fastrpc_invoke_args"


class InvokeElement(Record, spelling=_ELEMENT):
    """One argument of a call; its place in the array alone says of which kind it is."""

    ptr: int = u64(
        "Buffer: address of its data in the calling process, not looked at if length is 0; "
        "handle: offset in the object of the part that is meant",
        unit="address or offset",
        points_to="length bytes, read before the call for an input, written after it for an output",
    )
    length: int = u64(
        "Buffer: length of the data, which may be 0; handle: length of the part of the object",
        unit="bytes",
        legal=LENGTH,
    )
    fd: int = s32(
        "Buffer: 0 or -1 for data anywhere in memory, which is copied (inline), or the object in "
        "whose mapping ptr lies, which is shared and not copied; handle: the object, or "
        "0 or below for none",
        unit="GEM handle",
        legal=at_least(-1, words="at least -1 for a buffer"),
    )
    attr: int = u32(
        "Buffer in an object: with 256 (FASTRPC_ATTR_NOVA) the object need not be mapped, and ptr "
        "may also lie in addresses that are only reserved for it (private, anonymous, no access); "
        "where the kernel has joined reservations, the buffer is the whole object; other bits are "
        "not looked at",
        unit="bits",
    )


class InvokeElementV1(InvokeElement, spelling=_ELEMENT_V1):
    """One argument of a call; its place in the array alone says of which kind it is."""

    fd: int = differs(unit="DMA-BUF descriptor")


class InvokeElementHandle(InvokeElementV1):
    """One argument of a call; its place in the array alone says of which kind it is."""

    fd: int = differs(
        scalar=u32,
        spelling="handle",
        text="Buffer: 0 for data anywhere in memory, which is copied (inline), or the object in "
        "whose mapping ptr lies, which is shared and not copied; handle: the object, or 0 for none",
        unit="GEM handle",
        legal=ANY,
    )


# 0x47, INVOKE.


def elements(spelling: str) -> str:
    """What INVOKE's pointer points to."""
    return (
        f"an array of struct {spelling}, one element for each unit of the four counts in sc "
        "(QDA_SCALARS_LENGTH(sc) elements of 24 bytes): input buffers, then output buffers, then "
        "input handles, then output handles; read only, never written"
    )


class Invoke(Record, spelling="qda_invoke_args"):
    """Call a method of a module on the DSP and wait for its result."""

    handle: int = u32(
        "Module to call: a handle that remotectl returned, or a fixed one such as "
        "QDA_HANDLE_REMOTECTL (0)",
        unit="module handle",
        legal=Legal("any value but 1", lambda value: value != 1, (0, 2)),
        breach=EPERM,
    )
    scalars: int = u32(
        "Shape of the call, made by QDA_SCALARS(): bits 31..29 attributes (write 0), bits 28..24 "
        "method (31: the method is the first 32-bit word of the first input buffer), bits 23..16 "
        "number of input buffers, bits 15..8 number of output buffers, bits 7..4 number of input "
        "handles, bits 3..0 number of output handles",
        spelling="sc",
        unit="bits",
    )
    arguments: int = u64(
        "Address of the elements in the calling process; not looked at if all four counts are 0",
        spelling="args",
        unit="address",
        points_to=elements(_ELEMENT),
    )


def _guide(fd: str, other: str, field: str = "fd", none: str = "0 or -1") -> str:
    """The section on elements, for a meaning of the field, and what it says for no object."""
    lowest = "0" if none == "0" else "0 or below"
    return f"""\
## Elements of a call

The elements of {{INVOKE}} are the array of struct {{element}}
at args. The kind of an element follows from its index and from the counts in sc alone: all input
buffers come first, then all output buffers, input handles, output handles. An array without output
buffers has the handles directly after the input buffers. Counts are at most 255, 255, 15 and 15.

- Buffer, inline: {field} is {none}, ptr is any readable (input) or writable (output) memory of the
process. Input bytes are copied to the DSP before the call, output bytes back after it: always all
length bytes, also if the status is not 0, and those that the method did not write are then 0. There
is no returned length; a method that returns fewer bytes says so in another output. Buffers that
overlap see the same bytes.
- Buffer, shared: {field} names an object ({fd}), and ptr lies in a mapping of just this object in
the calling process. The DSP works on the object's own memory; nothing is copied. The part of the
object is found from the mapping, so the same pages must not be passed inline in the same call.
- Handle: {field} names an object, ptr is the offset and length the length of a part of it. The
object is mapped for the call, and the method gets the number {field}, the offset and the length.
With {field} {lowest}, ptr and length reach the method as plain numbers.

In this version, {field} is {fd}. {other}

What the buffers contain is up to the module. Modules made by the IDL compiler take all numbers, and
the lengths of all sequences, in the first input buffer (natural alignment, little-endian), return
numbers in the first output buffer, and have one further buffer for each sequence."""


INVOKE = Command(
    "INVOKE",
    "DRM_IOCTL_QDA_INVOKE",
    0x47,
    Access.BOTH,
    Invoke,
    f"Call a method of a module and wait for its result.  {STATUS}  Output buffers are "
    "filled whatever the status is.  Without a session the DSP does not know "
    "the caller, and says so by its status.",
    call_refusals(
        (
            EINTR,
            "a signal handler without SA_RESTART ran during the wait; the same "
            "request (handle, sc, args), made again by the same thread, goes on waiting "
            "and is not sent twice",
        ),
        no_handle("fd of an element"),
        (ENOMEM, "the inline buffers together are too large for one message"),
        (EFAULT, "args is not QDA_SCALARS_LENGTH(sc) readable elements"),
        (
            EFAULT,
            "ptr of an inline buffer is not length readable (input) or writable "
            "(output) bytes of the process; an address of the kernel never is",
        ),
        (EFAULT, "fd of a buffer names an object, and ptr lies in no mapping at all"),
        (EINVAL, "fd of a buffer is below -1"),
        (EINVAL, "length of a buffer is above 2^31 - 1"),
        (
            EINVAL,
            "ptr + length of a buffer wraps around or is beyond the end of the "
            "memory that a process can have",
        ),
        (EINVAL, "an inline buffer overlaps a buffer that fd says is in an object"),
        (
            EINVAL,
            "fd of a buffer names an object, and the mapping at ptr is of something else",
        ),
        (
            EINVAL,
            "a buffer in an object, or the part that a handle argument names, goes "
            "beyond the end of the object",
        ),
    ),
    step="""\
{INVOKE} with module handle 0 and method 0 (remotectl open, see the example) loads a module
and returns its handle. {INVOKE} with that handle calls its methods, from any number of
threads at the same time.""",
    sections=_guide(
        "a GEM handle of this open file",
        "A DMA-BUF descriptor must be turned into a handle by DRM_IOCTL_PRIME_FD_TO_HANDLE first.",
    ),
)


class InvokeV1(Invoke, spelling="drm_qda_invoke_args"):
    """Call a method of a module on the DSP and wait for its result."""

    arguments: int = differs(points_to=elements(_ELEMENT_V1))


INVOKE_V1 = replace(
    INVOKE,
    spelling="DRM_IOCTL_QDA_REMOTE_INVOKE",
    record=InvokeV1,
    refused=instead(
        INVOKE.refused, {no_handle("fd of an element"): no_descriptor("fd of an element")}
    ),
    sections=_guide(
        "a DMA-BUF descriptor of the calling process",
        "A GEM handle must be turned into a descriptor by DRM_IOCTL_PRIME_HANDLE_TO_FD first.",
    ),
)

_RULES_OF_HANDLE: tuple[Refused, ...] = tuple(
    (number, when.replace("fd of a buffer", "handle of a buffer").replace("that fd", "that handle"))
    for number, when in INVOKE_V1.refused
    if "fd of an element" not in when and "below -1" not in when
)

INVOKE_HANDLE = replace(
    INVOKE_V1,
    refused=(*_RULES_OF_HANDLE, no_handle("handle of an element")),
    sections=_guide(
        "a GEM handle of this open file",
        """\
A DMA-BUF descriptor must be turned into a handle by
DRM_IOCTL_PRIME_FD_TO_HANDLE first. A program that packs its small arguments into an object of its
own, each at a multiple of 128 bytes, passes handles and places alone; and an object may be made,
mapped, named and closed again within one call.""",
        "handle",
        "0",
    ),
)
