"""A call: what it holds, and its states.  Nothing here waits, locks or sends.

The rules (R.. and H.. are numbers of the specification):

- A call is sent once.  A signal breaks off the wait for it, not the call; the same request by the
  same thread goes back to waiting (R24).
- What the DSP works on belongs to nobody else.  From sending to the response, or to the death of
  the protection domain, a call keeps its context number, its lane and its buffers, whatever becomes
  of its caller (H16).
- A caller may go at any moment, also a second time while it goes: a handler of signals raises where
  it likes.  Whoever has a call is therefore known without a word of his.  A caller has it as long
  as its `Keeper` exists (see `qda.driver.calls`); after that it is the session's, which goes on
  from the state that it finds the call in.
- A response to anything else than the call that is awaited is dropped (H15).

In RESERVED, SENT and RETURNED a call is its caller's, in INTERRUPTED and ABANDONED the session's.
What is OVER is being given back, and may be given back again: nothing is given back twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final, NamedTuple
from weakref import ref

from qda.driver.lanes import Lane
from qda.driver.sharing import Uses
from qda.driver.watching import Crossing
from qda.states import Transitions

__all__ = ["CALL", "Call", "Event", "Key", "State"]


class State(enum.Enum):
    """Where a call is."""

    RESERVED = "a context number and a lane are reserved; the message is being made"
    SENT = "the DSP works on it, and its caller waits"
    INTERRUPTED = "the DSP works on it; its caller handles a signal and may come back"
    ABANDONED = "the DSP works on it, and nobody waits"
    RETURNED = "the DSP has done with it; its caller takes the results"
    OVER = "nobody needs it: number, lane and buffers are given back"

    __hash__ = object.__hash__  # a call asks the table three times: by identity, not by name


class Event(enum.Enum):
    """What happens to a call."""

    SEND = "its message goes to the DSP"
    SIGNAL = "its caller has to handle a signal first"
    RESUME = "the same thread makes the same request again"
    LEAVE = "its caller goes: with the results, after a failure, or broken off"
    ANSWER = "the response of the DSP has come"
    DEATH = "no response will come: the protection domain has died, or the session ends"

    __hash__ = object.__hash__


CALL: Final = Transitions(
    "a call",
    State.RESERVED,
    (State.RESERVED, Event.SEND, State.SENT, "the message leaves, once and for all (R24)"),
    (State.RESERVED, Event.LEAVE, State.OVER, "the DSP has not heard of it"),
    (State.SENT, Event.SIGNAL, State.INTERRUPTED, "the ioctl ends with EINTR"),
    (State.SENT, Event.LEAVE, State.ABANDONED, "what the DSP may still write to is kept (H16)"),
    (State.SENT, Event.ANSWER, State.RETURNED, "outputs are copied to the caller"),
    (State.SENT, Event.DEATH, State.RETURNED, "the result says that the process has died"),
    (State.INTERRUPTED, Event.RESUME, State.SENT, "nothing is sent (R24)"),
    (State.INTERRUPTED, Event.LEAVE, State.ABANDONED, "the thread has made another request"),
    (State.INTERRUPTED, Event.DEATH, State.OVER, "nobody is told"),
    (
        State.ABANDONED,
        Event.ANSWER,
        State.OVER,
        "the response is dropped; what it has made is undone",
    ),
    (State.ABANDONED, Event.DEATH, State.OVER, "nobody is told"),
    (State.RETURNED, Event.LEAVE, State.OVER, "the ioctl ends with the result"),
)

_STEPS = CALL.steps


class Key(NamedTuple):
    """Which request of which thread a call is, to find it again after a signal: thread id, module,
    shape, and address of the arguments."""

    tid: int
    handle: int
    scalars: int
    arguments: int


_RESERVED = State.RESERVED


class Call:
    """A call under way: its lane, its context word, and the uses of memory that it keeps.

    `key` is None for the driver's own calls.  `before` is how many messages its lane had carried
    before.  `finish` takes a result and copies the outputs back; `late` takes one that nobody waits
    for, and returns what is to be done once the call is over.  `keeper` tells whether its caller is
    still there.  `crossing` is what is kept of it for somebody who watches, None for nobody.
    """

    __slots__ = (
        "before",
        "context",
        "crossing",
        "finish",
        "keeper",
        "key",
        "lane",
        "late",
        "state",
        "uses",
    )

    def __init__(self, key: Key | None) -> None:
        self.key = key
        self.context = self.before = 0
        self.lane: Lane | None = None
        self.state: State = _RESERVED
        self.uses = Uses()
        self.finish: Callable[[int], int] | None = None
        self.late: Callable[[int], Callable[[], None]] | None = None
        self.keeper: ref[object] | None = None
        self.crossing: Crossing | None = None

    def take(self, event: Event) -> None:
        """Make a step.  IllegalStep."""
        try:
            self.state = _STEPS[self.state, event]
        except KeyError:
            self.state = CALL.after(self.state, event)

    @property
    def sent(self) -> bool:
        """Whether the message has left: the lane knows, before the step is made."""
        return self.lane is not None and self.lane.sent != self.before

    @property
    def number(self) -> int:
        """The number of its lane, which its context word carries; 0 before it has one."""
        return self.lane.number if self.lane is not None else 0

    @property
    def is_kept(self) -> bool:
        """Whether its caller has it."""
        return self.keeper is not None and self.keeper() is not None
