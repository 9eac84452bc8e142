"""The other process of a test: imports an object, and sends one of its own back.

python -m qda.conformance.peer SOCKET DEVICE DIALECT
"""

from __future__ import annotations

import mmap
import os
import socket
import sys

from qda.conformance.interface import (
    PAGE,
    Target,
    allocate,
    call,
    export,
    map_object,
)
from qda.uapi import DIALECTS


def main(number: int, device: str, dialect: str) -> None:
    """Answer with the result of the import and the first bytes of the object."""
    target = Target(device, DIALECTS[dialect], False)
    with socket.socket(fileno=number) as ours, target.open() as node:
        descriptor = socket.recv_fds(ours, 64, 1)[1][0]
        node.left.callback(os.close, descriptor)
        result, record = call(node, "PRIME_FD_TO_HANDLE", fd=descriptor)
        with mmap.mmap(descriptor, PAGE) as theirs:
            seen = theirs[:4]
            theirs[:6] = b"theirs"
        own = allocate(node)
        assert own != record.handle
        with map_object(node, own) as mapped:
            mapped[:5] = b"hello"
        socket.send_fds(ours, [b"%d: %s" % (result, seen)], [export(node, own)])
        ours.recv(1)  # until the other side has imported it


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
