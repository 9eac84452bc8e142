"""Where the parser's tables are kept, for which Lark computes longer than most programs parse.

They lie where Python keeps what it has compiled of this module, and only where it does: who can
write there can change the code itself.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

__all__ = ["kept_tables"]


def kept_tables() -> str | bool:
    """The file of the tables, as Lark takes it; False if this Python keeps nothing.

    Lark writes into it for which grammar and which Lark and Python they are.  What it cannot load,
    as another process is still writing it, it computes again.
    """
    try:
        file = Path(cache_from_source(__file__)).with_suffix(".lark")
    except NotImplementedError:  # an interpreter without bytecode files
        return False
    if not file.exists():
        if sys.dont_write_bytecode:
            return False
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
    return str(file)
