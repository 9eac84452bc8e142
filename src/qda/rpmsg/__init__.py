"""The transport between the application processor and a DSP: lanes in shared memory that carry
calls, and endpoints that carry frames with descriptors.  What a call says is not its concern.
"""

from qda.rpmsg.bells import Bells
from qda.rpmsg.channel import Channel, Link, PoolMemory
from qda.rpmsg.endpoint import Endpoint, PeerGone
from qda.rpmsg.frame import Frame, Operation, pack_pieces, unpack_pieces
from qda.rpmsg.service import serve_frame

__all__ = [
    "Bells",
    "Channel",
    "Endpoint",
    "Frame",
    "Link",
    "Operation",
    "PeerGone",
    "PoolMemory",
    "pack_pieces",
    "serve_frame",
    "unpack_pieces",
]
