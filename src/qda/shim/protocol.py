"""What the preload library and the device server say to each other, declared once.

Every thread that uses a device has a *connection* to the server (SEQPACKET).  On it the thread
sends a request and gets answers until one is final:

    library                                server
                                           WELCOME   version, whether it must be made a tracer
    OPEN name, flags                   ->  ANSWER    result, with the descriptor of the node
    IOCTL token, code, address         ->  INSTALL   flags, with a descriptor    (any number)
    INSTALLED its number               ->  WROTE     address, length             (if asked for)
    INTERRUPT, after a signal handler  ->  ANSWER    result
    MMAP token, length, offset         ->  ANSWER    result, with a descriptor to be mapped
                                           LEASE     with the lease's page and the session's pool
                                           LANE      its number, with the ends of its bells
    RETURN token                       ->  ANSWER    result

The argument of an ioctl is an address.  A structure of at most `limits.ENCLOSED` bytes follows the
request, if it can be read, and what the driver makes of it follows the answer.  Any other
structure, and whatever one points to, the server reads and writes in the client's memory.

`token` names an open node, by the name that the server has given the program's end of the socket
pair, so any process that holds the descriptor can tell.  So can everybody else, from
/proc/net/unix: it opens nothing, the server looks whether the process has the descriptor.

A program that calls is lent lanes of its session (`qda.shim.lending`): LEASE and LANE come before
the answer to a request that wished for them.  The lease's *page* is shared by server and program
alone.  After its record come a word for each lane and a table of the buffer objects that calls may
name.  RETURN says that a call on a lane is over which the server wants back, or, with flag LOST,
that nobody answers it any more, and gets its result.

`python -m qda.shim.protocol` prints the C header of the library, `native/preload/protocol.h`.
"""

from __future__ import annotations

import enum

from qda import limits
from qda.layout import Record, octets, s32, s64, u32, u64
from qda.memory import MEMORY_NAME
from qda.shim.names import LIBRARY, LIBRARY_MARK, MIRROR_SUFFIX, SOCKET_VARIABLE
from qda.shim.unseen import Unseen

__all__ = [
    "LEASE_OBJECTS",
    "LEASE_SIZE",
    "LEASE_WORDS",
    "LENT_PROBES",
    "NAME_PREFIX",
    "TOKEN_LENGTH",
    "VERSION",
    "Answer",
    "Kind",
    "LaneState",
    "LeasePage",
    "Lent",
    "Operation",
    "Request",
    "Wish",
    "c_header",
]

VERSION = 3
"""Changes when library and server no longer understand each other."""

NAME_PREFIX = "qda/"
"""How the abstract socket name of a node begins, after the zero byte:
qda/TOKEN/MODE:MAJOR:MINOR/NAME, with the access mode of open(2) and the name below /dev."""

TOKEN_LENGTH = 32
"""Characters of a token."""


class Operation(enum.IntEnum):
    """What the library sends."""

    OPEN = 1
    IOCTL = 2
    MMAP = 3
    INTERRUPT = 4
    INSTALLED = 5
    RETURN = 6


class Kind(enum.IntEnum):
    """What the server sends."""

    WELCOME = 1
    ANSWER = 2
    INSTALL = 3
    WROTE = 4
    LEASE = 5
    LANE = 6


class Wish(enum.IntFlag):
    """What a client and the server ask of each other, in `wishes`."""

    TRACER = 1
    """In WELCOME: let the server read this process, which is not its descendant (Yama)."""

    REPORT = 2
    """In requests: say what was written to memory, a checker such as valgrind wants to know."""

    LEASE = 4
    """In requests: the program has no lanes of this node, and would like to."""

    LANE = 8
    """In requests: all its lanes of this node are in use, and it would like one more."""


class LaneState(enum.IntFlag):
    """The word of a lane that is lent.  Without any, the program may take it for a call.  What is
    above them is the program's."""

    BUSY = 1
    """The program's: a call has it."""

    LEFT = 2
    """The program's: a call has it that nobody waits for, after a signal."""

    RECALLED = 4
    """The server's: the lane is its own again, at once or when no call has it any more."""


class Request(Record, spelling="qda_question"):
    """One message to the server."""

    operation: int = u32("One of QDA_OPERATION_*")
    number: int = u32("Number of the request on its connection, which the answer repeats")
    tid: int = s32("Thread that asks")
    descriptor: int = s32("IOCTL, MMAP: the client's descriptor of the node; INSTALLED: the result")
    wishes: int = u32("QDA_WISH_*", unit="bits")
    flags: int = u32("OPEN: as of open(2); RETURN: 1 if nobody answers", unit="bits")
    code: int = u64("IOCTL: the code; MMAP: the length in bytes")
    argument: int = u64("IOCTL: the third argument; MMAP: the offset in bytes")
    token: bytes = octets(TOKEN_LENGTH, "IOCTL, MMAP, RETURN: which open node")
    name: bytes = octets(limits.NODE_NAME, "OPEN: name of the node below /dev, NUL-terminated")


class Answer(Record, spelling="qda_answer"):
    """One message from the server; a descriptor may come with it."""

    kind: int = u32("One of QDA_KIND_*")
    number: int = u32("Number of the request; WELCOME: version of the protocol")
    wishes: int = u32("QDA_WISH_*", unit="bits")
    flags: int = u32("INSTALL: O_CLOEXEC, or 0 if for other programs too; LANE: its number")
    result: int = s64("ANSWER: result of the system call, -4095 to -1 for an errno")
    address: int = u64("WROTE: where in the client's memory", unit="address")
    length: int = u64("WROTE: how much", unit="bytes")


class LeasePage(Record, spelling="qda_lease"):
    """How a lease's page begins."""

    dead: int = u32("1: nobody answers calls any more")
    tag: int = u32("Kind of protection domain, for context words")
    client_id: int = s32("As messages say it")
    patience: int = u32("For how long to look for an answer before sleeping", unit="microseconds")
    device: int = u64("Address of the pool on the bus", unit="address")
    code: int = u64("The ioctl that is a call")
    by_identity: int = u32("1: objects are named by their inode numbers, 0: by their handles")
    writes_back: int = u32("1: a call's structure is as long as its code says, and written back")
    poll: int = u32("To look for longer, in poll mode; 0 in another", unit="microseconds")
    unused: int = u32("0")


class Lent(Record, spelling="qda_lent"):
    """A buffer object that calls may name; 0 in `named` if there is none."""

    name: int = u64("What an fd field means")
    device: int = u64("Its address on the bus", unit="address")
    size: int = u64("Its size", unit="bytes")
    inode: int = u64("Its memory, as in /proc/PID/maps")
    major: int = u32("Its memory's device")
    minor: int = u32("Its memory's device")
    users: int = u32("Number of calls that have it: the program's")
    named: int = u32("1: calls may name it: the server's")


LENT_PROBES = 8
"""An object stands at its name modulo the places, or one of so many behind."""

LEASE_WORDS = 1024
"""Where in the page the words of lanes begin, of 32 bits each: that of lane 0 first."""

LEASE_OBJECTS = 4096
"""Where in the page the table of objects begins."""

LEASE_SIZE = LEASE_OBJECTS + limits.LENT_OBJECTS * Lent.byte_size
"""Bytes of the page."""


_TYPES = {"u8": "uint8_t", "u32": "uint32_t", "s32": "int32_t", "u64": "uint64_t", "s64": "int64_t"}


def c_header() -> str:
    """The declarations of this module in C."""
    lines = [
        "/* What the preload library and the device server say to each other.",
        " * Printed by `python -m qda.shim.protocol`: change that, and print again. */",
        "#ifndef QDA_PRELOAD_PROTOCOL_H",
        "#define QDA_PRELOAD_PROTOCOL_H",
        "",
        "#include <stdint.h>",
        "",
        f"#define QDA_VERSION {VERSION}",
        f'#define QDA_SOCKET_VARIABLE "{SOCKET_VARIABLE}"',
        f'#define QDA_MIRROR_SUFFIX "{MIRROR_SUFFIX}"',
        f'#define QDA_LIBRARY "{LIBRARY}"',
        f'#define QDA_NAME_PREFIX "{NAME_PREFIX}"',
        f'#define QDA_MEMORY_NAME "{MEMORY_NAME}"',
        f'#define QDA_LIBRARY_MARK "{LIBRARY_MARK}"',
        f"#define QDA_ENCLOSED {limits.ENCLOSED}",
        "",
    ]
    for numbers, word in (
        (Operation, "OPERATION"),
        (Kind, "KIND"),
        (Wish, "WISH"),
        (LaneState, "LANE"),
        (Unseen, "UNSEEN"),
    ):
        lines += [f"#define QDA_{word}_{one.name} {one.value}" for one in numbers]
        lines.append("")
    lines += [
        f"#define QDA_LENT_LANES {limits.LENT_LANES} /* of a process, at most */",
        f"#define QDA_LENT_OBJECTS {limits.LENT_OBJECTS} /* places of the table */",
        f"#define QDA_LENT_PROBES {LENT_PROBES} /* after the place that a name says */",
        f"#define QDA_LEASE_WORDS {LEASE_WORDS} /* where in the page the lanes' words begin */",
        f"#define QDA_LEASE_OBJECTS {LEASE_OBJECTS} /* where the table begins */",
        f"#define QDA_LEASE_SIZE {LEASE_SIZE}",
        "",
    ]
    for record in (Request, Answer, LeasePage, Lent):
        lines += [f"/* {record.__doc__} */", f"struct {record.spelling} {{"]
        for field in record.fields:
            count = f"[{field.count}]" if field.count else ""
            kind = "char" if field.count else _TYPES[field.scalar.name]
            lines.append(f"    {kind} {field.spelling}{count}; /* {field.text} */")
        lines += ["};", ""]
    return "\n".join([*lines, "#endif", ""])


if __name__ == "__main__":
    import sys

    sys.stdout.write(c_header())
