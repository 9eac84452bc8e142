"""The hot path of a call, compiled where there was a compiler, in Python everywhere.

Both ends of a lane are here: `Pool`, the driver's, and `Server`, the protection domain's.  They
share the words of `layout` and nothing else.  `Queue` is either end of a queue of packets.

QDA_CORE=python in the environment chooses the twin, which says what happens and judges the other;
so does a compiled one that is of other sources than these.  `IS_COMPILED` tells which it is.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from qda.core.layout import (
    BLOCK,
    LANES,
    POOL_SIZE,
    Arguments,
    Handle,
    Side,
    Traced,
    Woken,
    lane_address,
)
from qda.core.version import VERSION

if TYPE_CHECKING or os.environ.get("QDA_CORE") == "python":
    _core = None
else:
    try:
        from qda.core import _core
    except ImportError:  # no compiler when the package was installed
        _core = None
    if _core and getattr(_core, "VERSION", None) != VERSION:
        warnings.warn(
            f"{_core.__file__} was compiled from other sources: install the package again (in a "
            "checkout: make); until then the core is in Python, and slow",
            RuntimeWarning,
            stacklevel=2,
        )
        _core = None

IS_COMPILED = bool(_core)

if TYPE_CHECKING or not IS_COMPILED:
    from qda.core.queues import QUEUE_FUNCTIONS, Queue, QueueHub
    from qda.core.twin import Emitter, Pool, Port, Server, Space, trace, word_clear, word_set
else:
    from qda.core._core import (
        QUEUE_FUNCTIONS,
        Emitter,
        Pool,
        Port,
        Queue,
        QueueHub,
        Server,
        Space,
        trace,
        word_clear,
        word_set,
    )

__all__ = [
    "BLOCK",
    "IS_COMPILED",
    "LANES",
    "POOL_SIZE",
    "QUEUE_FUNCTIONS",
    "Arguments",
    "Emitter",
    "Handle",
    "Pool",
    "Port",
    "Queue",
    "QueueHub",
    "Server",
    "Side",
    "Space",
    "Traced",
    "Woken",
    "lane_address",
    "trace",
    "word_clear",
    "word_set",
]
