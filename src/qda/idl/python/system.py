"""The interfaces of `qda/idl/include` as classes: what a DSP may ask of every host.

apps_std   files, environment and directories of the host (spec/fastrpc.md 7.5)
apps_mem   memory on request (spec/fastrpc.md 7.6)

They are made when they are first asked for: the parser takes longer than starting a protection
domain, and most sessions need none of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from qda.idl.python.load import load

__all__ = ["SYSTEM_INTERFACES", "system_interface"]

SYSTEM_INTERFACES = ("apps_mem", "apps_std")

_INCLUDE = Path(__file__).parents[1] / "include"


@cache
def system_interface(name: str) -> Any:
    """The class of remote objects of a system interface; its `Skeleton` is the other side.

    KeyError for a name that is not one of `SYSTEM_INTERFACES`.
    """
    if name not in SYSTEM_INTERFACES:
        raise KeyError(name)
    return load(_INCLUDE / f"{name}.idl")
