"""The transport between the application processor and a DSP: endpoints that carry small messages,
and descriptors of shared memory, between two processes.  What the messages say is not its concern.
"""

from qda.rpmsg.channel import Channel
from qda.rpmsg.endpoint import Endpoint, PeerGone
from qda.rpmsg.frame import Frame, Operation
from qda.rpmsg.service import serve_frame

__all__ = ["Channel", "Endpoint", "Frame", "Operation", "PeerGone", "serve_frame"]
