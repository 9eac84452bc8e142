"""The other end writes what it likes: it is understood, or a GlinkFault, and nothing else."""

from __future__ import annotations

import itertools
import os
import random

import pytest

from qda.glink import INDEXES, Code, Command, Edge, Fifo, GlinkFault, Wire
from tests.glink.ends import AROUND, GUARD, Ends, opened

SEEDS = 50 if "QDA_EVERYWHERE" in os.environ else 1
INPUTS = 20_000 if SEEDS > 1 else 3_000
"""Pieces of nonsense that are written for each seed, each looked at."""
EACH = 30
"""For one edge at most: after a fault it is over."""


def hostile_bytes(chance: random.Random, known: list[bytes]) -> bytes:
    """Commands that were seen, with bits and whole words changed, or bytes of no meaning."""
    if chance.random() < 0.05:
        return chance.randbytes(8 * chance.randrange(1, 6))
    whole = bytearray(chance.choice(known))
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        at = chance.randrange(len(whole))
        whole[at] = chance.choice([0, 1, 0xFF, whole[at] ^ 1 << chance.randrange(8)])
    return bytes(whole)


def is_whole(ends: Ends) -> bool:
    """Whether nothing was written around the FIFOs."""
    guard = bytes([GUARD]) * AROUND
    return all(w.startswith(guard) and w.endswith(guard) for w in ends.whole)


def attack(ends: Ends, chance: random.Random, known: list[bytes]) -> int:
    """Write nonsense for the first end until it has had enough; how much it was."""
    wire, other = ends.wires[0], Fifo(ends.memory[1])
    indexes = ends.memory[1][:INDEXES].cast("I")
    mine = bytes(ends.memory[0][:4])
    for number in range(1, EACH + 1):
        whole = hostile_bytes(chance, known)
        try:
            if len(whole) <= other.room:
                other.write(whole)
            if chance.random() < 0.02:
                indexes[chance.randrange(2)] = chance.choice([1, 8, 264, 1 << 31])
            before = bytes(ends.memory[1][4:])
            wire.pump()
        except GlinkFault:
            return number
        assert before == bytes(ends.memory[1][4:])  # of what it reads it writes its own index
        assert mine == bytes(ends.memory[0][:4])  # and not the reader's index of what it writes
        wire.edge.outgoing.clear()
    return EACH


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_comes_is_understood_or_a_fault(seed: int) -> None:
    """Nothing is read or written outside, and no other error comes of it (H15)."""
    chance = random.Random(seed)
    known: list[bytes] = []
    tried = 0
    for round_ in itertools.count():
        ends = Ends(intentless=round_ % 2 == 0)
        opened(ends)
        ends.edge(1).send("c", bytes(round_ % 300))
        ends.ring(1)
        if round_ < 300:
            known += ends.seen
        tried += attack(ends, chance, known)
        assert is_whole(ends)
        if tried >= INPUTS:
            break


class Changing(Fifo):
    """Memory that its writer changes between two looks."""

    def __init__(self, memory: memoryview, then: bytes) -> None:
        super().__init__(memory)
        self._memory, self._then = memory, then

    def peek(self, count: int) -> bytes:
        seen = super().peek(count)
        self._memory[INDEXES : INDEXES + len(self._then)] = self._then
        return seen


@pytest.mark.parametrize(
    "then",
    [
        bytes([99]),
        Command(Code.DATA, 1, 0, bytes(8)).pack(),
        Command(Code.INTENT, 1, 200).pack(),
    ],
)
def test_a_command_is_what_it_was_at_the_first_look(then: bytes) -> None:
    memory = [memoryview(bytearray(INDEXES + 64)) for _ in range(2)]
    Fifo(memory[0]).write(Command(Code.VERSION, 1).pack())
    wire = Wire(Edge(), Changing(memory[0], then), Fifo(memory[1]), lambda: None)
    assert wire.pump() == []
    assert Command.unpack(Fifo(memory[1]).peek(8)) == Command(Code.VERSION_ACK, 1)


def test_who_never_reads_is_not_answered_for_ever() -> None:
    """What waits for room is held in memory, so it has a limit."""
    edge = Edge()
    while len(edge.outgoing) <= 1 << 14:
        edge.receive(Command(Code.VERSION, 1))
    with pytest.raises(GlinkFault, match="are unread"):
        edge.receive(Command(Code.VERSION, 1))
