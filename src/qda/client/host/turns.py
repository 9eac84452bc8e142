"""What one listening thread of a host says to its DSP: the states, without any waiting.

A thread parks in `next2` and comes back with a call, runs it, and brings the result with its next
`next2` (spec/fastrpc.md 7.2).

- Its first request brings nothing: context 0, result -1.
- INTERRUPTED means that a call was lost, or never came: it starts over.
- After BAD_STATE the DSP wants no more of it.
- Any other refusal may have been for what it has brought.  It says so once, as the result of no
  call, and ends if that is refused too.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from qda.errors import BAD_STATE, INTERRUPTED, as_signed
from qda.fastrpc.listener import FIRST_RESULT, NextRequest
from qda.states import Transitions

__all__ = ["TURN", "Turn", "TurnEvent", "TurnState"]


class TurnState(enum.Enum):
    """What a listening thread has for its DSP."""

    FRESH = "it brings nothing"
    RUNNING = "it runs a call"
    DONE = "it brings the result of its call"
    REFUSED = "it brings the refusal of what it brought before"
    ENDED = "it comes no more"


class TurnEvent(enum.Enum):
    """What happens to a listening thread."""

    CALL = "the DSP gives it a call"
    RESULT = "its call has run"
    INTERRUPT = "`next2` is answered with INTERRUPTED"
    REFUSE = "`next2` is refused with another status"
    END = "`next2` is refused with BAD_STATE"


TURN: Final = Transitions(
    "a thread that listens",
    TurnState.FRESH,
    (TurnState.FRESH, TurnEvent.CALL, TurnState.RUNNING, "the call runs"),
    (TurnState.FRESH, TurnEvent.INTERRUPT, TurnState.FRESH, "it comes again"),
    (TurnState.FRESH, TurnEvent.REFUSE, TurnState.REFUSED, "it comes again, with the status"),
    (TurnState.FRESH, TurnEvent.END, TurnState.ENDED, "it leaves"),
    (TurnState.RUNNING, TurnEvent.RESULT, TurnState.DONE, "it comes with the result"),
    (TurnState.DONE, TurnEvent.CALL, TurnState.RUNNING, "the result has been taken"),
    (TurnState.DONE, TurnEvent.INTERRUPT, TurnState.FRESH, "the result is dropped"),
    (TurnState.DONE, TurnEvent.REFUSE, TurnState.REFUSED, "the result is dropped"),
    (TurnState.DONE, TurnEvent.END, TurnState.ENDED, "it leaves"),
    (TurnState.REFUSED, TurnEvent.CALL, TurnState.RUNNING, "all is well again"),
    (TurnState.REFUSED, TurnEvent.INTERRUPT, TurnState.ENDED, "the second refusal counts"),
    (TurnState.REFUSED, TurnEvent.REFUSE, TurnState.ENDED, "the second refusal counts"),
    (TurnState.REFUSED, TurnEvent.END, TurnState.ENDED, "it leaves"),
)


@dataclass(slots=True)
class Turn:
    """A listening thread: its state, and what it brings with its next request."""

    state: TurnState = field(default=TURN.start, init=False)
    context: int = field(default=0, init=False)
    result: int = field(default=FIRST_RESULT, init=False)
    reply: bytes = field(default=b"", init=False)

    def _step(self, event: TurnEvent) -> None:
        self.state = TURN.after(self.state, event)
        self.context, self.result, self.reply = 0, FIRST_RESULT, b""

    def request(self, capacity: int) -> NextRequest:
        """What it says; its `reply` goes along.  `capacity` is the room for a call, in bytes."""
        return NextRequest(
            context=self.context,
            result=self.result,
            reply_length=len(self.reply),
            capacity=capacity,
        )

    def called(self, context: int) -> None:
        """The DSP gives it a call.  IllegalStep."""
        self._step(TurnEvent.CALL)
        self.context = context

    def ran(self, result: int, reply: bytes) -> None:
        """Its call has run, with a signed result.  IllegalStep."""
        context = self.context
        self._step(TurnEvent.RESULT)
        self.context, self.result, self.reply = context, result, reply

    def refused(self, status: int) -> None:
        """Its request was refused.  IllegalStep."""
        if status == BAD_STATE:
            self._step(TurnEvent.END)
        elif status == INTERRUPTED:
            self._step(TurnEvent.INTERRUPT)
        else:
            self._step(TurnEvent.REFUSE)
            if self.state is TurnState.REFUSED:
                self.result = as_signed(status)
