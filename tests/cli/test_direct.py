"""`qda run` without Typer means what it means with it."""

from __future__ import annotations

from dataclasses import fields

import pytest
from typer.testing import CliRunner

from qda.cli import programs
from qda.cli.app import app
from qda.cli.direct import understand
from qda.cli.served import Served

PLAIN = [
    ["true"],
    ["--", "true"],
    ["sh", "-c", "exit 7"],
    ["--", "--trace"],
    ["echo", "--trace", "--profile", "--help"],
    ["--mixed", "--dialect=v1", "true", "--mixed"],
    ["--dialect=legacy-7.3", "true"],
    ["--no-lanes", "true"],
    ["--as-kernel", "--dialect=legacy", "true"],
    ["--no-lanes", "--lanes", "true"],
    ["--trace", "true"],
    ["--trace=wire", "--trace-file", "calls", "true"],
    ["--trace", "--trace-file=calls", "--", "true", "--"],
    ["--record", "a", "--replay=b", "--idl=c", "--idl", "d", "true"],
    ["--profile", "--trace", "true"],
    ["--profile", "--", "true"],
    ["--profile=a", "--profile=b", "true"],
    ["--skeletons", "a b", "--skeletons=c", "--", "true"],
    ["--banks", "40", "--wait=0", "true"],
    ["--banks=1024", "--banks=1", "--wait", "007", "true"],
    ["--skeletons=", "--trace-file=", "--profile=", "true"],
]
OTHER = [
    [],
    ["--"],
    ["--help"],
    ["-h"],
    ["-", "true"],
    ["--nothing", "true"],
    ["--mixed=yes", "true"],
    ["--as-kernel=yes", "true"],
    ["--trace="],
    ["--trace=some", "true"],
    ["--dialect=v9", "true"],
    ["--profile"],
    ["--banks=0", "true"],
    ["--banks=1025", "true"],
    ["--banks=many", "true"],
    ["--banks=-1", "true"],
    ["--wait=1.5", "true"],
    ["--wait=-1", "true"],
    ["--wait"],
]


@pytest.mark.parametrize("words", PLAIN, ids=" ".join)
def test_what_is_understood_means_the_same(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Option by option, and the program's own words stay its own."""
    ran: list[tuple[list[str], dict[str, object]]] = []

    def run(command: list[str], served: Served) -> int:
        ran.append((command, values_of(served)))
        return 0

    monkeypatch.setattr(programs, "run", run)
    assert CliRunner().invoke(app, ["run", *words]).exit_code == 0
    found = understand(words)
    assert found is not None
    assert ran == [(found[0], values_of(found[1]))]


def values_of(served: Served) -> dict[str, object]:
    return {field.name: getattr(served, field.name) for field in fields(Served)}


@pytest.mark.parametrize("words", OTHER, ids=" ".join)
def test_help_and_mistakes_are_left_to_typer(words: list[str]) -> None:
    """It has the words for them."""
    assert understand(words) is None
