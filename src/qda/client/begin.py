"""How a session begins: with a process of its own, or with one that the DSP has; and what is said
when the device does not let it.

The same errno has other causes here than in a call, so they are told in other words (U3).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from qda.client.device import DeviceFile
from qda.client.legacy import LegacyFile
from qda.errors import DeviceError, UsageError, suggestion

__all__ = ["PROCESSES", "begin_with"]

PROCESSES = ("user", "root", "sensors", "audio")
"""What a session can be with, as `qda.open` has it."""

AUDIO: Final = b"audiopd\0"
AUDIO_HEAP: Final = 3 << 20
"""Bytes of the remote heap that Qualcomm's daemon of the audio process asks for."""

_WORDS: Mapping[int, tuple[str, str]] = {
    errno.EPERM: (
        "the device's policy wants CAP_SYS_ADMIN for this, and the caller has not",
        "run as root, or with CAP_SYS_ADMIN, or ask for an unsigned process (attributes=8)",
    ),
    errno.EACCES: (
        "the device's policy is for applications: nobody attaches to the DSP's own processes",
        'ask for a process of your own, process="user"',
    ),
    errno.EINVAL: (
        "the device has no session with the DSP's own system: the command is a hole in its table",
        'ask for process="user"; a profile can have it otherwise, switches = { attaches = true }',
    ),
    errno.ENOMEM: (
        "no memory is reserved for the DSP's remote heap, or there is none for the process",
        "give the system that memory (memory-region in its device tree, remote_heap in a profile)",
    ),
}


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except DeviceError as error:
        number = error.errno or 0
        if number in _WORDS:
            error.cause, error.next_step = _WORDS[number]
        raise


def begin_with(file: DeviceFile, process: str, create: Callable[[], None]) -> None:
    """Begin a session with a process of that name; `create` makes one of its own.  UsageError for
    a name or a dialect that has none of that name; DeviceError, DspError."""
    if process not in PROCESSES:
        raise UsageError(f"process {process!r}: {suggestion(process, PROCESSES)}")
    if process in ("sensors", "audio") and not isinstance(file, LegacyFile):
        raise UsageError(f"process {process!r}: dialect {file.dialect.name} has none, legacy has")
    with _telling():
        if process == "user":
            create()
        elif process == "root":
            file.attach()
        elif isinstance(file, LegacyFile) and process == "sensors":
            file.attach_sensors()
        elif isinstance(file, LegacyFile):
            file.create_static(AUDIO, AUDIO_HEAP)
