"""The errnos of the device interface: what each says there, its likely cause, the next step.

An errno comes from the node, or it is a result of the DSP between -1 and -4095, which an ioctl
cannot tell from one of the node's.  Errnos that are not in the table keep the C library's text.
"""

from __future__ import annotations

import errno
from typing import Final

from qda.errors.statuses import Entry

__all__ = ["ERESTARTSYS", "ERRNOS"]

ERESTARTSYS: Final = 512
"""The kernel's own mark for "start the system call again"; programs should never see it."""

ERRNOS: Final[tuple[Entry, ...]] = (
    Entry(
        errno.EPERM,
        "EPERM",
        "operation not permitted",
        "handle 1 belongs to the driver and is refused from programs; "
        "or the DSP's code returned -1 (unknown error), which looks the same",
        "call a module handle above 0x200; for a DSP method read the DSP's log",
    ),
    Entry(
        errno.ENOENT,
        "ENOENT",
        "no such object",
        "the GEM handle was closed, belongs to another open file, or was never made; "
        "for an open: there is no such node",
        "use handles only with the session that made them; list the nodes with `qda info`",
    ),
    Entry(
        errno.EINTR,
        "EINTR",
        "interrupted by a signal",
        "a signal handler ran while the call waited",
        "issue the same call again from the same thread: it resumes the pending one",
    ),
    Entry(
        errno.EIO,
        "EIO",
        "input or output failed",
        "the transport to the DSP failed",
        "close the session and open a new one",
    ),
    Entry(
        errno.ENXIO,
        "ENXIO",
        "no such device or address",
        "the DSP behind the node has not started",
        "start the DSP, then open the node again",
    ),
    Entry(
        errno.E2BIG,
        "E2BIG",
        "the call is too large",
        "more arguments, or more bytes inline, than one message can carry",
        "put large data into buffer objects, and small arguments into one buffer",
    ),
    Entry(
        errno.EBADF,
        "EBADF",
        "bad file descriptor",
        "the number is not an open descriptor of this process, or the session is closed",
        "pass the DMA-BUF's descriptor while it is open; use a session before it is closed",
    ),
    Entry(
        errno.EAGAIN,
        "EAGAIN",
        "try again",
        "a resource is in use for the moment",
        "call again after a pause",
    ),
    Entry(
        errno.ENOMEM,
        "ENOMEM",
        "out of memory",
        "no context bank or no device memory is left, or the call asks for more than the limit",
        "free buffers and close sessions; `qda info` shows the limits",
    ),
    Entry(
        errno.EACCES,
        "EACCES",
        "permission denied",
        "the user may not open the node; for mmap: the object was made by another open file",
        "check the node's owner, group and mode; map an object through the session that made it",
    ),
    Entry(
        errno.EFAULT,
        "EFAULT",
        "bad address",
        "a pointer of the call lies outside the program's memory, or, for a buffer object, "
        "outside the program's mapping of it",
        "pass addresses of memory that is mapped, with the whole length inside the mapping",
    ),
    Entry(
        errno.EBUSY,
        "EBUSY",
        "already in use",
        "the session has created its process on the DSP before; or, when a legacy node is opened, "
        "every context bank of the DSP is in use",
        "open a second session for a second process; close sessions that are no longer used",
    ),
    Entry(
        errno.EEXIST,
        "EEXIST",
        "exists already",
        "something of that name or address was made before",
        "use the one that exists, or remove it first",
    ),
    Entry(
        errno.ENODEV,
        "ENODEV",
        "the DSP is gone",
        "the DSP stopped or restarted, its device was removed, "
        "or, for an import, no context bank is left",
        "close the session and open a new one; `qda info` shows nodes and limits",
    ),
    Entry(
        errno.EINVAL,
        "EINVAL",
        "not legal",
        "the node has no such command, a reserved field is not 0, or an offset or length "
        "does not fit the buffer object",
        "compare the arguments with `qda uapi reference` for the node's dialect",
    ),
    Entry(
        errno.ENFILE,
        "ENFILE",
        "too many open files in the system",
        "descriptors are opened but never closed",
        "close buffers and sessions that are no longer used",
    ),
    Entry(
        errno.EMFILE,
        "EMFILE",
        "too many open files",
        "this process has as many descriptors as its limit allows",
        "close buffers and sessions that are no longer used, or raise the limit (ulimit -n)",
    ),
    Entry(
        errno.ENOTTY,
        "ENOTTY",
        "not a command of this node",
        "the node is of another kind, or its driver does not know the command",
        "see with `qda info` what the node is",
    ),
    Entry(
        errno.EFBIG,
        "EFBIG",
        "file too large",
        "the image is larger than the interface takes",
        "use a smaller image",
    ),
    Entry(
        errno.ENOSPC,
        "ENOSPC",
        "no context id left",
        "255 calls of this session are pending, or abandoned and not answered yet",
        "wait for pending calls to end, or spread the calls over several sessions",
    ),
    Entry(
        errno.EPIPE,
        "EPIPE",
        "the DSP is gone",
        "the DSP stopped or restarted (as a legacy node reports it)",
        "close the session and open a new one",
    ),
    Entry(
        errno.EDEADLK,
        "EDEADLK",
        "calls are nested too deep",
        "methods of the host call the DSP, which calls the host, and so on, 32 deep",
        "let the recursion end earlier, or return to the DSP what the next level needs",
    ),
    Entry(
        errno.ECHRNG,
        "ECHRNG",
        "domain out of range",
        "the capability was asked for a domain that this node does not serve",
        "ask the node of that domain",
    ),
    Entry(
        errno.EPROTO,
        "EPROTO",
        "protocol error",
        "the DSP's answer contradicts what it was sent, for example an output's address or length",
        "see whether the skeleton writes past its buffers",
    ),
    Entry(
        errno.EOVERFLOW,
        "EOVERFLOW",
        "value out of range",
        "the capability's number is 256 or more",
        "ask for a capability below 256",
    ),
    Entry(
        errno.EOPNOTSUPP,
        "EOPNOTSUPP",
        "not supported",
        "this DSP or its driver does not offer the feature",
        "see with `qda info` what the DSP offers",
    ),
    Entry(
        errno.ECONNRESET,
        "ECONNRESET",
        "the connection to the DSP was reset",
        "the DSP restarted",
        "close the session and open a new one",
    ),
    Entry(
        errno.ETIMEDOUT,
        "ETIMEDOUT",
        "the DSP did not answer in time",
        "a method runs for ever, or the DSP hangs",
        "read the DSP's log, then close the session and open a new one",
    ),
    Entry(
        errno.ECONNREFUSED,
        "ECONNREFUSED",
        "connection refused",
        "the node takes unsigned processes only, or the DSP does not take any",
        "ask for an unsigned protection domain (attribute 0x8), or open the secure node",
    ),
    Entry(
        ERESTARTSYS,
        "ERESTARTSYS",
        "the system call is to be started again",
        "a signal ended the wait, or the DSP answered -512, which no errno of a program is",
        "issue the same call again from the same thread",
    ),
)
"""The errnos that the device interface returns, sorted by number."""
