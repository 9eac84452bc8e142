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

The argument of an ioctl is an address.  A structure of at most `limits.ENCLOSED` bytes follows the
request, if it can be read, and what the driver makes of it follows the answer.  Any other
structure, and whatever one points to, the server reads and writes in the client's memory.

`token` names an open node, by the name that the server has given the program's end of the socket
pair, so any process that holds the descriptor can tell.  So can everybody else, from
/proc/net/unix: it opens nothing, the server looks whether the process has the descriptor.

`python -m qda.shim.protocol` prints the C header of the library, `native/preload/protocol.h`.
"""

from __future__ import annotations

import enum

from qda import limits
from qda.layout import Record, octets, s32, s64, u32, u64

__all__ = [
    "MIRROR_SUFFIX",
    "NAME_PREFIX",
    "SOCKET_VARIABLE",
    "TOKEN_LENGTH",
    "VERSION",
    "Answer",
    "Kind",
    "Operation",
    "Request",
    "Wish",
    "c_header",
]

VERSION = 2
"""Changes when library and server no longer understand each other."""

SOCKET_VARIABLE = "QDA_SOCKET"
"""The environment variable by which programs find the server's socket."""

MIRROR_SUFFIX = ".dev"
"""The folder beside the socket in which every virtual node has a placeholder."""

NAME_PREFIX = "qda/"
"""How the abstract socket name of a node begins: qda/TOKEN/MAJOR:MINOR, after the zero byte."""

TOKEN_LENGTH = 32
"""Characters of a token."""


class Operation(enum.IntEnum):
    """What the library sends."""

    OPEN = 1
    IOCTL = 2
    MMAP = 3
    INTERRUPT = 4
    INSTALLED = 5


class Kind(enum.IntEnum):
    """What the server sends."""

    WELCOME = 1
    ANSWER = 2
    INSTALL = 3
    WROTE = 4


class Wish(enum.IntFlag):
    """What a client and the server ask of each other, in `wishes`."""

    TRACER = 1
    """In WELCOME: let the server read this process, which is not its descendant (Yama)."""

    REPORT = 2
    """In requests: say what was written to memory, a checker such as valgrind wants to know."""


class Request(Record, spelling="qda_request"):
    """One message to the server."""

    operation: int = u32("One of QDA_OPERATION_*")
    number: int = u32("Number of the request on its connection, which the answer repeats")
    tid: int = s32("Thread that asks")
    descriptor: int = s32("IOCTL, MMAP: the client's descriptor of the node; INSTALLED: the result")
    wishes: int = u32("QDA_WISH_*", unit="bits")
    flags: int = u32("OPEN: as of open(2)", unit="bits")
    code: int = u64("IOCTL: the code; MMAP: the length in bytes")
    argument: int = u64("IOCTL: the third argument; MMAP: the offset in bytes")
    token: bytes = octets(TOKEN_LENGTH, "IOCTL, MMAP: which open node")
    name: bytes = octets(limits.NODE_NAME, "OPEN: name of the node below /dev, NUL-terminated")


class Answer(Record, spelling="qda_answer"):
    """One message from the server; a descriptor may come with it."""

    kind: int = u32("One of QDA_KIND_*")
    number: int = u32("Number of the request; WELCOME: version of the protocol")
    wishes: int = u32("QDA_WISH_*", unit="bits")
    flags: int = u32("INSTALL: O_CLOEXEC if the descriptor is not for other programs", unit="bits")
    result: int = s64("ANSWER: result of the system call, -4095 to -1 for an errno")
    address: int = u64("WROTE: where in the client's memory", unit="address")
    length: int = u64("WROTE: how much", unit="bytes")


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
        f'#define QDA_NAME_PREFIX "{NAME_PREFIX}"',
        f"#define QDA_ENCLOSED {limits.ENCLOSED}",
        "",
    ]
    for numbers, word in ((Operation, "OPERATION"), (Kind, "KIND"), (Wish, "WISH")):
        lines += [f"#define QDA_{word}_{one.name} {one.value}" for one in numbers]
        lines.append("")
    for record in (Request, Answer):
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
