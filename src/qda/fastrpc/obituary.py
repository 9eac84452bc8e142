"""How a process of the DSP ended: what the DSP says of it, for whoever asks.

Only our DSP says it, see `qda.dsp.ending`.  A program under `qda run` asks by an ioctl on its node,
`ASK`, which no kernel's driver has.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from qda.layout import Record, u32, u64

__all__ = ["ASK", "AskObituary", "Obituary"]

_PART, _LINE = "\0", "\n"


class Obituary(NamedTuple):
    """One sentence; the backtraces of C and Python, and the lines of the session's log that its
    client has not read, the oldest first, each with the thread whose call had not ended, or 0."""

    sentence: str
    backtrace: tuple[str, ...] = ()
    log: tuple[tuple[int, str], ...] = ()

    def pack(self) -> bytes:
        """As a message."""
        log = _LINE.join(f"{thread} {line}" for thread, line in self.log)
        parts = (self.sentence, _LINE.join(self.backtrace), log)
        return _PART.join(part.replace(_PART, " ") for part in parts).encode("utf-8", "replace")

    @classmethod
    def unpack(cls, message: bytes) -> Obituary | None:
        """The inverse of `pack`, as far as the message goes; None for an empty one."""
        sentence, _, rest = message.decode("utf-8", "replace").partition(_PART)
        backtrace, _, log = rest.partition(_PART)
        if not sentence:
            return None
        return cls(sentence, tuple(backtrace.splitlines()), tuple(map(_line, log.splitlines())))

    @property
    def report(self) -> list[str]:
        """The sentence and the backtraces, as lines."""
        return [self.sentence, *self.backtrace]


def _line(text: str) -> tuple[int, str]:
    thread, _, line = text.partition(" ")
    return (int(thread), line) if thread.isascii() and thread.isdigit() else (0, text)


class AskObituary(Record):
    """Asks for an obituary; the ioctl returns its length, 0 if nobody has died."""

    address: int = u64("Room for it, in the client's memory")
    size: int = u32("Size of the room")
    reserved: int = u32("0")


ASK: Final = 3 << 30 | AskObituary.byte_size << 16 | ord("q") << 8 | 0xFE
"""The code of that ioctl, of a type that no driver of DSPs has."""
