"""What the remote processor does: processes, their memory, modules, skeletons, services.

The driver is on the other side of `qda.rpmsg`: only bytes and descriptors pass.
"""

from qda.dsp.boot import Boot, start_processor
from qda.dsp.memory import AddressFault
from qda.dsp.skeleton import DspServices, HandleArgument, Skeleton, method
from qda.dsp.threaded import start_threads
from qda.rpmsg import Endpoint

__all__ = [
    "AddressFault",
    "Boot",
    "DspServices",
    "Endpoint",
    "HandleArgument",
    "Skeleton",
    "method",
    "start_processor",
    "start_threads",
]
