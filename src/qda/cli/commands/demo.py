"""`qda demo`: an image filter on the DSP, and a table of what it took."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

import qda
from qda.cli import demo, pictures
from qda.cli.demo import Outcome
from qda.cli.options import Dialect, JsonOption, ProfileOption, WordyCommand
from qda.cli.output import show, steps, write, write_json

__all__ = ["app"]

app = typer.Typer(add_completion=False)


class _DemoCommand(WordyCommand):
    """A command in whose options `--profile` without a name asks for a profile of the calls, as
    `session.profile()` does: `--times`."""

    def understood(self, args: list[str]) -> list[str]:
        """See `WordyCommand.understood`."""
        return [
            "--times" if word == "--profile" and after.startswith("-") else word
            for word, after in pairwise([*args, "-"])
        ]


@app.command("demo", cls=_DemoCommand)
def run_demo(
    device: Annotated[
        str | None,
        typer.Option(help='Path of a node, or "virtual"; by default a real one if there is one.'),
    ] = None,
    dialect: Annotated[
        Dialect | None, typer.Option(help="Dialect of the device interface, if not the node's.")
    ] = None,
    profile: ProfileOption = "generic",
    output: Annotated[Path, typer.Option(metavar="PATH", help="Where the picture goes.")] = Path(
        "qda-demo.png"
    ),
    times: Annotated[
        bool, typer.Option("--times", help="Show where the time goes; so does --profile alone.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run an image filter on the cdsp, three ways, and compare it with the host."""
    pictures.check_writable(output)
    results = []
    with steps() as progress:
        task = progress.add_task("filtering on the host ...")
        photograph = pictures.read_photograph()
        expected, host = demo.filter_on_host(photograph)
        progress.update(task, description="starting the DSP ...")
        with (
            qda.open("cdsp", device=device, dialect=dialect, profile=profile) as session,
            session.profile() if times else nullcontext() as where,
        ):
            node, spoken = session.node, session.dialect
            progress.update(task, description="filtering on the DSP ...")
            for result in demo.filter_on_dsp(session, photograph, expected):
                results.append(result)
                progress.update(
                    task, description=f"filtering on the DSP: {result[0].way} is done ..."
                )
            outcomes = [outcome for outcome, _ in results]
            pictures.write_picture(output, results[-1][1])
    equal = all(outcome.equal for outcome in outcomes)
    if as_json:
        write_json(
            {
                "node": node,
                "dialect": spoken,
                "photograph": list(photograph.shape),
                "picture": str(output),
                "host_milliseconds": host,
                "ways": [dataclasses.asdict(outcome) for outcome in outcomes],
                "equal": equal,
            }
        )
    else:
        height, width = expected.shape
        size = f"{width} x {height} pixels"
        title = f"Edges of a photograph, {size}, drawn by {escape(node)} (dialect {spoken}):"
        show(title, _table(outcomes, host), _verdict(outcomes))
        said = f"{where}\n" if where is not None else ""
        write(f"{said}The picture is in {output}\n")
    if not equal:
        raise typer.Exit(1)


def _table(outcomes: list[Outcome], host: float) -> Table:
    table = Table()
    table.add_column("way")
    for title in ("bytes worked on", "bytes copied", "time (ms)"):
        table.add_column(title, justify="right")
    table.add_column("as on the host")
    for outcome in outcomes:
        table.add_row(
            outcome.way,
            f"{outcome.bytes:,}",
            f"{outcome.copied:,}",
            f"{outcome.milliseconds:.2f}",
            "[green]yes[/]" if outcome.equal else "[red]NO[/]",
        )
    table.add_row("on the host", f"{outcomes[0].bytes:,}", "0", f"{host:.2f}", "", style="dim")
    return table


def _verdict(outcomes: list[Outcome]) -> str:
    wrong = [outcome.way for outcome in outcomes if not outcome.equal]
    if wrong:
        return f"[red]Not what NumPy draws on the host: {', '.join(wrong)}.[/]"
    return f"All {len(outcomes)} drawings are what NumPy draws on the host, bit for bit."
