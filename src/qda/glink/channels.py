"""The states of a channel, as a table, and what an end knows of one."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from qda.states import Transitions

__all__ = ["CHANNEL", "Channel", "Half", "Step"]


class Half(enum.Enum):
    """One end's half of a channel: messages pass while both halves are open."""

    CLOSED = "nobody has opened it, or all is over"
    OPENING = "OPEN has been sent"
    OPEN = "the other end has acknowledged it"
    CLOSING = "CLOSE has been sent; what still arrives is not for anybody"


class Step(enum.Enum):
    """What happens to a half."""

    OPEN = "its end opens it"
    OPEN_ACK = "the other end has heard of it"
    CLOSE = "its end closes it"
    CLOSE_ACK = "the other end knows that it is closed"


CHANNEL = Transitions(
    "half a GLINK channel",
    Half.CLOSED,
    (Half.CLOSED, Step.OPEN, Half.OPENING, "OPEN is sent with number and name"),
    (Half.OPENING, Step.OPEN_ACK, Half.OPEN, "messages of before are sent"),
    (Half.OPENING, Step.CLOSE, Half.CLOSING, "CLOSE is sent; OPEN_ACK may still come"),
    (Half.OPEN, Step.CLOSE, Half.CLOSING, "CLOSE is sent, messages that wait are dropped"),
    (Half.CLOSING, Step.OPEN_ACK, Half.CLOSING, "it comes late"),
    (Half.CLOSING, Step.CLOSE_ACK, Half.CLOSED, "the number may be given again"),
)


@dataclass(eq=False, slots=True)
class Channel:
    """A channel by its name, with the numbers that the two ends gave it; 0 for none.

    `mine` and `theirs` are the halves; of theirs only CLOSED and OPEN are seen.  `waiting` has
    messages that cannot leave yet.  `room` has the other end's intents by number with their sizes,
    `lent` those that a message of this end is in, `given` those of this end; `asked` says that one
    has been asked for.  `part` is what has come of a message, `part_left` what has not.
    """

    name: str
    number: int = 0
    their_number: int = 0
    mine: Half = Half.CLOSED
    theirs: Half = Half.CLOSED
    waiting: deque[bytes] = field(default_factory=deque)
    room: dict[int, int] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    lent: dict[int, int] = field(default_factory=dict)
    asked: bool = False
    part: bytearray = field(default_factory=bytearray)
    part_left: int = 0
    part_intent: int = 0

    @property
    def passes(self) -> bool:
        """Whether messages pass."""
        return self.mine is Half.OPEN and self.theirs is Half.OPEN

    def step(self, step: Step) -> None:
        """What happens to my half.  IllegalStep."""
        self.mine = CHANNEL.after(self.mine, step)
