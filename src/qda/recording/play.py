"""What both sides of a replay have: the recording by sessions, and the memory that is mapped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qda.fastrpc.hostlog import LOG_MODULE
from qda.fastrpc.loader import HAND_OVER, INSTALL, LOADER_URI
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1, CloseRequest, OpenAnswer, text
from qda.fastrpc.scalars import Scalars
from qda.recording.difference import Comparison
from qda.recording.events import (
    Answered,
    Called,
    Change,
    Event,
    HostAnswered,
    HostCalled,
    Mapped,
    Opened,
)

__all__ = [
    "ExpectedMemory",
    "Script",
    "compared_ins",
    "installs",
    "is_log",
    "of_log",
    "opened",
    "scripts",
    "translated",
    "wants_log",
]

_CLOSES = {(one.handle, one.close.word) for one in (REMOTECTL, REMOTECTL1)}
_OPENS = {(one.handle, one.open.word) for one in (REMOTECTL, REMOTECTL1)}


@dataclass(slots=True)
class Script:
    """What was recorded of a session: its calls in their order, what the DSP asked of the host
    within each, and its mappings."""

    opened: Opened
    calls: list[tuple[Called, Answered | None]] = field(default_factory=list)
    within: dict[int, list[tuple[HostCalled, HostAnswered | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    mapped: list[Mapped] = field(default_factory=list)


def scripts(events: Iterable[Event]) -> list[Script]:
    """A recording by its sessions, in the order in which they begin.

    What the DSP has asked of the host while it ran no call is put into the session's next one.
    """
    found: dict[int, Script] = {}
    answers: dict[tuple[type[Event], int], Answered | HostAnswered] = {}
    seen = list(events)
    for event in seen:
        if isinstance(event, Answered | HostAnswered):
            answers[type(event), event.number] = event
    loose: dict[int, list[HostCalled]] = defaultdict(list)
    for event in seen:
        if isinstance(event, Opened):
            found[event.session] = Script(event)
            continue
        script = found.get(event.session)
        if script is None:
            continue
        if isinstance(event, Called):
            answer = answers.get((Answered, event.number))
            script.calls.append((event, answer if isinstance(answer, Answered) else None))
            for asked in loose.pop(event.session, ()):
                _put(script, event.number, asked, answers)
        elif isinstance(event, HostCalled) and event.within:
            _put(script, event.within, event, answers)
        elif isinstance(event, HostCalled):
            loose[event.session].append(event)
        elif isinstance(event, Mapped):
            script.mapped.append(event)
    return list(found.values())


def _put(
    script: Script,
    number: int,
    asked: HostCalled,
    answers: dict[tuple[type[Event], int], Answered | HostAnswered],
) -> None:
    answer = answers.get((HostAnswered, asked.number))
    script.within[number].append((asked, answer if isinstance(answer, HostAnswered) else None))


class ExpectedMemory:
    """Memory that is mapped at a DSP address, as the recording says that it is; `now` is what it
    is in the replay."""

    def __init__(self, mapped: Mapped, now: memoryview) -> None:
        self.address, self.now = mapped.address, now
        self._expected = bytearray(len(now))

    def follow(self, changes: Iterable[Change], also_now: bool = False) -> None:
        """Note what has changed in the recording, and with `also_now` let it be so now."""
        for change in changes:
            start = change.address - self.address
            if 0 <= start <= len(self._expected) - len(change.data):
                self._expected[start : start + len(change.data)] = change.data
                if also_now:
                    self.now[start : start + len(change.data)] = change.data

    def compare(self, comparison: Comparison, place: str) -> None:
        """Compare both, and go on from what is now."""
        if self._expected != self.now:
            now = bytes(self.now)
            what = f"memory mapped at {self.address:#x}"
            comparison.octets(place, what, bytes(self._expected), now)
            self._expected[:] = now


# What is not the same in each run, by its nature.


def is_log(asked: HostCalled) -> bool:
    """Whether a call of the host is about the DSP's log, which comes when it comes."""
    opens = (asked.handle, asked.scalars) in _OPENS and text(asked.ins[1]) == LOG_MODULE
    return opens or asked.module == LOG_MODULE


def of_log(call: Called) -> bool:
    """Whether a call reads the DSP's log, which says other things each time."""
    return call.module == LOADER_URI and not installs(call)


def wants_log(handle: int, scalars: int, ins: Sequence[bytes], module: str) -> bool:
    """Whether a call that was not recorded is one by which a client gets at the log."""
    if (handle, scalars) in _OPENS:
        return text(ins[1]) == LOADER_URI
    return module == LOADER_URI and Scalars.decode(scalars).method not in (INSTALL, HAND_OVER)


def installs(call: Called) -> bool:
    """Whether a call installs a class, which is the program's code and no input."""
    return call.module == LOADER_URI and call.method in (INSTALL, HAND_OVER)


def compared_ins(call: Called, ins: Sequence[bytes]) -> list[bytes]:
    """The in-buffers of a call that are compared: of a class that is installed only the name."""
    return list(ins[1:]) if installs(call) else list(ins)


def opened(handle: int, scalars: int, outs: Sequence[bytes]) -> int:
    """The handle of the module that a call of a module manager has opened, 0 if none."""
    if (handle, scalars) not in _OPENS or not outs or len(outs[0]) < OpenAnswer.byte_size:
        return 0
    answer = OpenAnswer.unpack(outs[0])
    return 0 if answer.error else answer.handle


def translated(
    handle: int, scalars: int, ins: Sequence[bytes], handles: dict[int, int]
) -> list[bytes]:
    """The in-buffers of a call, with the handle that a module has now where one is closed."""
    found = list(ins)
    if (handle, scalars) in _CLOSES and len(found[0]) >= CloseRequest.byte_size:
        request = CloseRequest.unpack(found[0])
        request.handle = handles.get(request.handle, request.handle)
        found[0] = request.pack()
    return found
