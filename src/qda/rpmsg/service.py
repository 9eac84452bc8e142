"""The side that is asked: takes a frame, does what it says, and answers, whatever came.

Descriptors that came along belong to the handler as far as it takes them out of their list; what
it leaves there is closed, so a frame that is refused leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from qda.rpmsg.endpoint import DescriptorsLost, Endpoint
from qda.rpmsg.frame import Frame, pack_reply

__all__ = ["FrameHandler", "serve_frame"]

FrameHandler = Callable[[Frame, list[int]], None]
"""Does what a frame says, and takes the descriptors that it keeps.  OSError refuses."""


def serve_frame(endpoint: Endpoint, handle: FrameHandler) -> None:
    """Wait for a frame, have it handled, and answer it.

    EINVAL for what is no frame, or has not the descriptors of its operation.  PeerGone.
    """
    try:
        message, descriptors = endpoint.receive_with_descriptors()
    except DescriptorsLost as lost:
        endpoint.send(_handled(lost.message, [], _refuse))
        return
    try:
        reply = _handled(message, descriptors, handle)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    endpoint.send(reply)


def _handled(message: bytes, descriptors: list[int], handle: FrameHandler) -> bytes:
    try:
        frame = Frame.unpack(message)
    except ValueError:
        return pack_reply(errno.EINVAL)
    if handle is not _refuse and len(descriptors) not in frame.operation.descriptors:
        return pack_reply(errno.EINVAL, frame.number)
    return pack_reply(_error_of(frame, descriptors, handle), frame.number)


def _refuse(frame: Frame, descriptors: list[int]) -> None:
    raise OSError(errno.EMFILE, "there is no room for the frame's descriptors")


def _error_of(frame: Frame, descriptors: list[int], handle: FrameHandler) -> int:
    try:
        handle(frame, descriptors)
    except OSError as error:
        return error.errno or errno.EIO
    return 0
