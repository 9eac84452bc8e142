"""Tests wait for what they need, not for a time, and every wait ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

TESTS: Final = Path(__file__).resolve().parent
SHIPPED: Final = TESTS.parent / "src" / "qda" / "conformance"
"""Tests that are a part of the package."""

SLEEPS: Final = {
    "driver/test_neighbours.py": "a process that is to outlive the one which forked it",
    "shim/programs/skeletons/hostile_skel.py": "an enemy that leaves others some time to work",
    "waiting.py": "the one place that looks again",
}


def pauses(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that let time pass: a sleep, a wait on an event of nobody, a busy loop."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="sleep" | "sched_yield")):
                yield node.lineno
            case ast.Call(func=ast.Name(id="sleep")):
                yield node.lineno
            case ast.Call(func=ast.Attribute(value=ast.Call(func=event), attr="wait")):
                if ast.unparse(event).endswith("Event"):
                    yield node.lineno
            case ast.While(body=[ast.Pass() | ast.Continue()]):
                yield node.lineno


def test_no_test_waits_for_a_time() -> None:
    """A sleep is too short on a slow machine and too long on all others: `until` looks again."""
    found = {
        file.relative_to(TESTS).as_posix()
        for file in sorted(TESTS.rglob("*.py"))
        if any(pauses(ast.parse(file.read_text())))
    }
    assert found == SLEEPS.keys()
    assert [
        file for file in SHIPPED.rglob("*.py") if any(pauses(ast.parse(file.read_text())))
    ] == []


def test_no_example_has_to_be_fast() -> None:
    """By default Hypothesis fails one that takes 0.2 s, which any may on a busy machine."""
    assert settings().deadline is None


@pytest.mark.parametrize(
    "line",
    [
        "time.sleep(0.1)",
        "sleep(1)",
        "os.sched_yield()",
        "threading.Event().wait(0.01)",
        "Event().wait(timeout=1)",
        "while not done(): pass",
        "while not done(): time.sleep(1)",
    ],
)
def test_a_pause_is_found(line: str) -> None:
    """Each way in which one was written here."""
    assert list(pauses(ast.parse(line))) == [1]


@pytest.mark.parametrize(
    "line", ["done.wait(30)", "until(lambda: done)", "while read(): count += 1"]
)
def test_what_waits_for_something_is_none(line: str) -> None:
    """An event of somebody, a condition, a loop that does its work."""
    assert list(pauses(ast.parse(line))) == []
