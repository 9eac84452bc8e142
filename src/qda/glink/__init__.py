"""GLINK: the transport between the kernel's own drivers and our DSP.

`Command` is what crosses, `Edge` the machine of states of one end, `Fifo` the shared memory, and
`Wire` brings them together.  Facts: Linux, drivers/rpmsg/qcom_glink_native.c and qcom_glink_rpm.c.
"""

from qda.glink.channels import CHANNEL, Half, Step
from qda.glink.command import Code, Command, GlinkFault, TransferSizes
from qda.glink.edge import Edge, Event, What
from qda.glink.fifo import INDEXES, Fifo
from qda.glink.wire import Wire

__all__ = [
    "CHANNEL",
    "INDEXES",
    "Code",
    "Command",
    "Edge",
    "Event",
    "Fifo",
    "GlinkFault",
    "Half",
    "Step",
    "TransferSizes",
    "What",
    "Wire",
]
