"""What can go wrong, and what each code means.

Two kinds of exception have one root, `QdaError`.  *The system said no* is a `Refusal`: a
`DeviceError` keeps the errno of the device interface, a `DspError` the status word of the DSP; both
name operation, domain, code, symbol, likely cause and next step.  *You used it wrongly* is a
`UsageError` or a `UsageTypeError`, which are also the ValueError and the TypeError that Python
programmers expect.

    try:
        session.invoke(handle, 2, ins=[data])
    except qda.DspError as error:
        if error.status == errors.UNSUPPORTED: ...

`explain` says the same about a code that stands in somebody's log.
"""

from __future__ import annotations

from qda.errors.base import (
    CallTimeout,
    HostError,
    QdaError,
    QueueTimeout,
    StatusError,
    UsageError,
    UsageTypeError,
    bare,
    cannot_write,
    did_you_mean,
    neighbours,
    path_of,
    quoted,
    suggestion,
)
from qda.errors.errnos import ERESTARTSYS, ERRNOS
from qda.errors.refusal import DeviceError, DspError, Refusal
from qda.errors.statuses import DSP_OFFSET, STATUSES, WITHOUT_OFFSET, Entry
from qda.errors.words import (
    BAD_ADDRESS,
    BAD_HANDLE,
    BAD_ITEM,
    BAD_MAP_COUNT,
    BAD_PARAMETER,
    BAD_STATE,
    BUSY,
    CONNECTION_RESET,
    EXPIRED,
    INTERRUPTED,
    MAP_FAILED,
    NO_LISTENER,
    NO_SUCH_CLIENT,
    NO_SUCH_FILE,
    NO_SUCH_MAP,
    NO_SUCH_MODULE,
    NO_SUCH_SYMBOL,
    NO_VARIABLE,
    OUT_OF_HANDLES,
    OUT_OF_MEMORY,
    PROCESS_DIED,
    RPC_FAILED,
    SKELETON_RAISED,
    UNABLE_TO_LOAD,
    UNKNOWN,
    UNSUPPORTED,
    VARIABLE_NOT_SET,
    VERSION_MISMATCH,
    WOULD_BLOCK,
    Explanation,
    as_signed,
    as_unsigned,
    explain,
    explain_status,
    is_errno,
    is_missing,
    on_dsp,
    plain,
    status_of,
)

__all__ = [
    "BAD_ADDRESS",
    "BAD_HANDLE",
    "BAD_ITEM",
    "BAD_MAP_COUNT",
    "BAD_PARAMETER",
    "BAD_STATE",
    "BUSY",
    "CONNECTION_RESET",
    "DSP_OFFSET",
    "ERESTARTSYS",
    "ERRNOS",
    "EXPIRED",
    "INTERRUPTED",
    "MAP_FAILED",
    "NO_LISTENER",
    "NO_SUCH_CLIENT",
    "NO_SUCH_FILE",
    "NO_SUCH_MAP",
    "NO_SUCH_MODULE",
    "NO_SUCH_SYMBOL",
    "NO_VARIABLE",
    "OUT_OF_HANDLES",
    "OUT_OF_MEMORY",
    "PROCESS_DIED",
    "RPC_FAILED",
    "SKELETON_RAISED",
    "STATUSES",
    "UNABLE_TO_LOAD",
    "UNKNOWN",
    "UNSUPPORTED",
    "VARIABLE_NOT_SET",
    "VERSION_MISMATCH",
    "WITHOUT_OFFSET",
    "WOULD_BLOCK",
    "CallTimeout",
    "DeviceError",
    "DspError",
    "Entry",
    "Explanation",
    "HostError",
    "QdaError",
    "QueueTimeout",
    "Refusal",
    "StatusError",
    "UsageError",
    "UsageTypeError",
    "as_signed",
    "as_unsigned",
    "bare",
    "cannot_write",
    "did_you_mean",
    "explain",
    "explain_status",
    "is_errno",
    "is_missing",
    "neighbours",
    "on_dsp",
    "path_of",
    "plain",
    "quoted",
    "status_of",
    "suggestion",
]
