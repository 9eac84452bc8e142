"""Who looks after the waits of a session, for the twin: lanes whose words have been overwritten.

`native/core/guard.c` says why.
"""

from __future__ import annotations

from dataclasses import dataclass

from qda.core.side import Guard, Waiter, rouse

__all__ = ["Guarded", "Lane"]


@dataclass(eq=False, slots=True)
class Lane:
    """A lane, its request's number and context word, and whether it is claimed; `doubted` is the
    request during which its words were found to be none that there can be."""

    waiter: Waiter
    number: int = 0
    context: int = 0
    taken: bool = False
    doubted: int = 0

    @property
    def is_in_order(self) -> bool:
        """Whether its words are as they can be, while its waiter sleeps; a side that may have
        missed the other is woken."""
        waiter, asked = self.waiter, self.number & 0xFFFFFFFF
        if waiter.mine.bell != asked:
            return False
        if waiter.other.bell == asked:
            if waiter.has_rung(self.number, self.context):
                rouse(waiter.sleep)
                return True
            return False
        if waiter.other.bell == asked - 1 & 0xFFFFFFFF:
            rouse(waiter.wake)
            rouse(waiter.sleep)  # for a signal that came just before the sleep
            return True
        return False


class Guarded:
    """Lanes on which somebody may wait long."""

    def __init__(self) -> None:
        self._lanes: dict[int, Lane] = {}
        self._guard = Guard()

    def guard(self, bell: int) -> None:
        """Who sleeps for an answer is looked after from now on: a byte is written to the descriptor
        when somebody begins to, and `look` has not been called since the last time.  -1: no
        more."""
        self._guard.bell, self._guard.told = bell, bell < 0

    def look(self) -> int:
        """Look after those who sleep: wake each side that may have missed the other.  Returns how
        many there are, or below 0 the number of a lane of which the words have been overwritten.
        """
        self._guard.told = self._guard.bell < 0
        sleepers = [
            (number, lane) for number, lane in list(self._lanes.items()) if lane.waiter.sleeps
        ]
        for number, lane in sleepers:
            if lane.is_in_order or not lane.waiter.sleeps:
                lane.doubted = lane.number - 1
            elif lane.doubted == lane.number:
                return -number
            else:
                lane.doubted = lane.number
        return len(sleepers)
