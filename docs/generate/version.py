"""The version of what is compiled: a digest of what it and Python must agree about.

A core that was compiled from another checkout would read other words out of a lane, or not know a
method.  So the digest stands in both languages, and `qda.core` compares them; and in the preload
library, which `qda.shim.library` looks at before it is lent lanes.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator

from qda.core import layout, twin
from qda.driver.call import CALL
from qda.fastrpc import message, payload
from qda.shim import protocol
from qda.uapi.accel import InvokeElement

__all__ = ["in_c", "in_python"]

_RECORDS = (
    InvokeElement,
    layout.Side,
    layout.Times,
    layout.Traced,
    message.InvokeMessage,
    message.Response,
    payload.DmaHandle,
    payload.InvokeBuffer,
    payload.PhysicalPage,
    payload.RemoteBuffer,
)


def _agreed() -> Iterator[str]:
    yield f"{layout.LANES} {layout.BLOCK} {[*layout.Woken]} {[*message.CallForm]}"
    yield f"{payload.POLL_WORD} {payload.POLLED}"
    yield CALL.c_header("QDA_CALL")
    yield protocol.c_header()
    for record in _RECORDS:
        yield from (f"{record.spelling}.{it.spelling} {it.offset}" for it in record.fields)
    for name in twin.__all__:
        found = getattr(twin, name)
        yield name
        for word, member in sorted(vars(found).items() if inspect.isclass(found) else ()):
            if inspect.isfunction(member) and (word == "__init__" or not word.startswith("_")):
                yield f"{word}{list(inspect.signature(member).parameters)}"


def _version() -> int:
    return zlib.crc32("\n".join(_agreed()).encode())


def in_c() -> str:
    """The version for the core."""
    return (
        "/* What the core and Python must agree about, as a digest; see `docs/generate/version.py`."
        f"\n * Printed by `make docs`. */\n#define QDA_CORE_VERSION 0x{_version():08x}u\n"
    )


def in_python() -> str:
    """The version for `qda.core`."""
    return (
        '"""What the compiled core and Python must agree about, as a digest; `make docs` prints '
        'it."""\n\nfrom __future__ import annotations\n\n__all__ = ["VERSION"]\n\n'
        f"VERSION = 0x{_version():08X}\n"
    )
