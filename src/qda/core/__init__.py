"""The hot path of a call, compiled where there was a compiler, in Python everywhere.

Both ends of a lane are here: `Pool`, the driver's, and `Server`, the protection domain's.  They
share the words of `layout` and nothing else.  QDA_CORE=python in the environment chooses the twin,
which says what happens and judges the other; `IS_COMPILED` tells which it is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qda.core.layout import BLOCK, LANES, POOL_SIZE, Arguments, Handle, Side, Woken, lane_address

if TYPE_CHECKING or os.environ.get("QDA_CORE") == "python":
    from qda.core.twin import Emitter, Pool, Port, Server, Space, word_clear, word_set

    IS_COMPILED = False
else:
    try:
        from qda.core._core import Emitter, Pool, Port, Server, Space, word_clear, word_set

        IS_COMPILED = True
    except ImportError:  # no compiler when the package was installed
        from qda.core.twin import Emitter, Pool, Port, Server, Space, word_clear, word_set

        IS_COMPILED = False

__all__ = [
    "BLOCK",
    "IS_COMPILED",
    "LANES",
    "POOL_SIZE",
    "Arguments",
    "Emitter",
    "Handle",
    "Pool",
    "Port",
    "Server",
    "Side",
    "Space",
    "Woken",
    "lane_address",
    "word_clear",
    "word_set",
]
