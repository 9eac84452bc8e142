"""`qda replay`: what the program of a recording did, done again with a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qda
from qda.cli.options import Dialect, IdlOption, JsonOption, ProfileOption
from qda.cli.output import write, write_json
from qda.cli.programs import look_for_skeletons
from qda.cli.recordings import interfaces_in

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("replay")
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording: `qda run --record`.")],
    device: Annotated[
        str | None,
        typer.Option(help='Path of a node, or "virtual"; by default a real one if there is one.'),
    ] = None,
    dialect: Annotated[
        Dialect | None, typer.Option(help="Dialect of the device interface, if not the node's.")
    ] = None,
    profile: ProfileOption = "generic",
    skeletons: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Where virtual DSPs look for skeletons first."),
    ] = None,
    idl: IdlOption = [],  # noqa: B006  # Typer's way
    as_json: JsonOption = False,
) -> None:
    """Do what the program of a recording did, and compare what the DSP says; status 1 if it is
    something else."""
    from qda.recording.difference import Comparison
    from qda.recording.events import Called, Opened
    from qda.recording.file import read
    from qda.recording.program_side import play_against

    events = read(file)
    comparison = Comparison(interfaces_in(idl))
    look_for_skeletons(skeletons or [])
    nodes: list[str] = []

    def opened(event: Opened) -> qda.Session:
        session = qda.open(
            event.domain,
            device=device,
            dialect=dialect,
            profile=profile,
            process=event.process,
            attributes=event.attributes,
        )
        nodes.append(f"{session.node}, dialect {session.dialect}")
        return session

    play_against(events, opened, comparison)
    calls = sum(isinstance(one, Called) for one in events)
    if as_json:
        differences = [
            {"place": one.place, "field": one.field, "recorded": one.recorded, "now": one.now}
            for one in comparison.differences
        ]
        write_json({"nodes": nodes, "calls": calls, "differences": differences})
    else:
        where = "; ".join(dict.fromkeys(nodes)) or "nothing"
        said = str(comparison) if comparison else "nothing differs"
        write(f"{calls} calls in {len(nodes)} sessions, with {where}:\n{said}\n")
    if comparison:
        raise typer.Exit(1)
