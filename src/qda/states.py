"""State machines as tables: what is not in the table is illegal.

    class State(enum.Enum):
        OPEN = "people walk through"
        SHUT = "nobody does"

    class Event(enum.Enum):
        PUSH = "somebody pushes"
        BANG = "the wind blows"

    DOOR = Transitions(
        "a door",
        State.SHUT,
        (State.SHUT, Event.PUSH, State.OPEN, "the hinges creak"),
        (State.OPEN, Event.BANG, State.SHUT, "everybody looks up"),
    )
    DOOR.after(State.SHUT, Event.PUSH)      # State.OPEN
    DOOR.after(State.SHUT, Event.BANG)      # IllegalStep

The code that runs asks the table, or a test compares what it does with the table at every step; the
page in the documents is printed from it, and a test walks it.  So a rule stands once.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

__all__ = ["IllegalStep", "Transitions"]

S = TypeVar("S", bound=enum.Enum)
E = TypeVar("E", bound=enum.Enum)


class IllegalStep(RuntimeError):
    """An event in a state in which it may not happen."""


class Transitions(Generic[S, E]):
    """The legal steps of a machine that begins in `start`.

    Each row says: in this state, after this event, that state, and what is done on the way.  The
    value of a member of `S` or `E` is the sentence that explains it.  ValueError for two rows of
    the same state and event.
    """

    def __init__(self, name: str, start: S, *rows: tuple[S, E, S, str]) -> None:
        self.name, self.start, self.rows = name, start, rows
        self.steps: Mapping[tuple[S, E], S] = {(row[0], row[1]): row[2] for row in rows}
        if len(self.steps) != len(rows):
            raise ValueError(f"{name}: two rows have the same state and event")

    def after(self, state: S, event: E) -> S:
        """The state that an event leads to.  IllegalStep."""
        try:
            return self.steps[state, event]
        except KeyError:
            words = f"{self.name}: {event.name} is no legal step from {state.name}"
            raise IllegalStep(words) from None

    def legal(self, state: S, event: E) -> bool:
        """Whether the event may happen in the state."""
        return (state, event) in self.steps

    @property
    def states(self) -> list[S]:
        """All states, in the order of their declaration."""
        return list(type(self.start))

    @property
    def events(self) -> list[E]:
        """The events of the table, in the order of their declaration."""
        return list(type(self.rows[0][1]))

    def ends(self, state: S) -> bool:
        """Whether no other state follows a state."""
        return not any(before is state is not after for before, _, after, _ in self.rows)

    # Printed.

    def picture(self) -> str:
        """The machine as a Mermaid diagram; events that change nothing are left out."""
        return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in self._arrows())])

    def _arrows(self) -> Iterator[str]:
        yield f"[*] --> {_shown(self.start)}"
        for state in self.states:
            labels: dict[S, list[str]] = {}
            for before, event, after, _ in self.rows:
                if before is state and after is not state:
                    labels.setdefault(after, []).append(_shown(event))
            for after, events in labels.items():
                yield f"{_shown(state)} --> {_shown(after)}: {', '.join(events)}"
            if self.ends(state):
                yield f"{_shown(state)} --> [*]"

    def page(self) -> str:
        """The machine in Markdown: picture, states, events, and each legal step."""
        lines = ["```mermaid", self.picture(), "```", "", "| state | meaning |", "|---|---|"]
        lines += [f"| {_shown(state)} | {state.value} |" for state in self.states]
        lines += ["", "| event | meaning |", "|---|---|"]
        lines += [f"| {_shown(event)} | {event.value} |" for event in self.events]
        lines += ["", "| state | event | next state | what happens |", "|---|---|---|---|"]
        lines += [
            f"| {_shown(state)} | {_shown(event)} | {_shown(after)} | {words} |"
            for state, event, after, words in self.rows
        ]
        return "\n".join([*lines, "", "Every other step is illegal.", ""])

    def c_header(self, prefix: str) -> str:
        """States, events and the table in C: `PREFIX_after[state][event]`, -1 for illegal."""
        low, states, events = prefix.lower(), self.states, self.events
        lines = [f"/* The states of {self.name}: printed from its table, not to be edited. */"]
        for kind, members in (("state", states), ("event", events)):
            names = [f"    {prefix}_{member.name}, /* {member.value} */" for member in members]
            lines += [f"enum {low}_{kind} {{", *names, "};"]
        lines.append(f"static const signed char {low}_after[{len(states)}][{len(events)}] = {{")
        for state in states:
            numbers = [
                states.index(self.steps[state, event]) if self.legal(state, event) else -1
                for event in events
            ]
            lines.append(f"    {{{', '.join(map(str, numbers))}}}, /* {state.name} */")
        return "\n".join([*lines, "};", ""])


def _shown(member: enum.Enum) -> str:
    return member.name.lower()
