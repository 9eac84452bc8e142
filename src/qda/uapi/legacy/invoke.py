"""The older driver's call: INVOKE, and the elements that it reaches through a pointer."""

from __future__ import annotations

from errno import EFAULT, EINTR, EINVAL, ENOMEM

from qda.layout import differs
from qda.uapi.accel import InvokeElementV1, InvokeV1
from qda.uapi.accel.invoke import elements
from qda.uapi.interface import Constant, Constants
from qda.uapi.legacy.refusals import MESSAGE, command, refusals
from qda.uapi.words import STATUS

__all__ = ["HANDLES", "INVOKE", "InvokeElementLegacy", "InvokeLegacy"]

HANDLES: Constants = (
    "Modules with a fixed handle",
    (
        Constant("QDA_HANDLE_REMOTECTL", 0, "Opens and closes all other modules"),
        Constant("QDA_HANDLE_INIT", 1, "Process control; for the driver only, else EPERM"),
        Constant("QDA_HANDLE_UTILITIES", 2, "Capabilities"),
    ),
)


class InvokeElementLegacy(InvokeElementV1, spelling="fastrpc_invoke_args"):
    """One argument of a call; its place in the array alone says of which kind it is."""


# 0x03, INVOKE.


class InvokeLegacy(InvokeV1, spelling="fastrpc_invoke"):
    """Call a method of a module on the DSP and wait for its result."""

    arguments: int = differs(points_to=elements("fastrpc_invoke_args"))


INVOKE = command(
    "INVOKE",
    0x03,
    InvokeLegacy,
    f"Call a method of a module and wait for its result.  {STATUS}  Output buffers are filled "
    "whatever the status is.  Without a session the DSP does not know the caller, and says so "
    "by its status.",
    refusals(
        *MESSAGE,
        (
            EINTR,
            "a signal handler without SA_RESTART ran during the wait; the same request "
            "(handle, sc, args), made again by the same thread, goes on waiting and is not "
            "sent twice",
        ),
        (ENOMEM, "the inline buffers together are too large for one message"),
        (EFAULT, "args is not QDA_SCALARS_LENGTH(sc) readable elements"),
        (
            EFAULT,
            "ptr of an inline buffer is not length readable (input) or writable (output) "
            "bytes of the process; an address of the kernel never is",
        ),
        (EFAULT, "fd of a buffer names memory, and ptr lies in no mapping at all"),
        (EINVAL, "fd of an element is above 0 and not a DMA-BUF that the DSP can share"),
        (EINVAL, "fd of a buffer is below -1"),
        (EINVAL, "length of a buffer is above 2^31 - 1"),
        (
            EINVAL,
            "ptr + length of a buffer wraps around or is beyond the end of the memory that a "
            "process can have",
        ),
        (EINVAL, "an inline buffer overlaps a buffer that fd says is shared"),
        (EINVAL, "fd of a buffer names memory, and the mapping at ptr is of something else"),
        (
            EINVAL,
            "a shared buffer, or the part that a handle argument names, goes beyond the end "
            "of its memory",
        ),
    ),
    step="""\
{INVOKE} with module handle 0 and method 0 (remotectl open, see the example) loads a
module and returns its handle. {INVOKE} with that handle calls its methods, from any
number of threads at the same time.""",
    sections="""\
## Elements of a call

The elements of {INVOKE} are the array of struct {element} at args. The kind
of an element follows from its index and from the counts in sc alone: all input buffers come first,
then all output buffers, input handles, output handles. An array without output buffers has the
handles directly after the input buffers. Counts are at most 255, 255, 15 and 15.

- Buffer, inline: fd is 0 or -1, ptr is any readable (input) or writable (output) memory of the
process. Input bytes are copied to the DSP before the call, output bytes back after it: always all
length bytes, also if the status is not 0, and those that the method did not write are then 0. There
is no returned length; a method that returns fewer bytes says so in another output. Buffers that
overlap see the same bytes.
- Buffer, shared: fd is a DMA-BUF descriptor of the calling process, and ptr lies in a mapping of
just this memory. The DSP works on the memory itself; nothing is copied. The part of it is found
from the mapping, so the same pages must not be passed inline in the same call.
- Handle: fd is a DMA-BUF descriptor of the calling process, ptr is the offset and length the length
of a part of its memory. The memory is mapped for the call, and the method gets the number fd, the
offset and the length. With fd 0 or below, ptr and length reach the method as plain numbers.

What the buffers contain is up to the module. Modules made by the IDL compiler take all numbers, and
the lengths of all sequences, in the first input buffer (natural alignment, little-endian), return
numbers in the first output buffer, and have one further buffer for each sequence.""",
)
