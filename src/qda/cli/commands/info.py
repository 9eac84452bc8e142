"""`qda info`: the nodes that there are, and what their DSPs say of themselves."""

from __future__ import annotations

import dataclasses

import typer
from rich.markup import escape
from rich.table import Table

from qda import limits
from qda.cli import systems
from qda.cli.options import JsonOption, ProfileOption
from qda.cli.output import show, steps, write_json
from qda.cli.words import ranges, size
from qda.client import POLLING
from qda.virtual import load_profile

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("info")
def info(profile: ProfileOption = "generic", as_json: JsonOption = False) -> None:
    """List device nodes, and ask each DSP what it can do."""
    with steps() as progress:
        task = progress.add_task("looking for devices ...")
        found = []
        for system in systems.survey(profile):
            found.append(system)
            progress.update(task, description=f"{system.domain or system.node} found ...")
    if as_json:
        write_json([_as_plain(system) for system in found])
        return
    show(
        f"Virtual system: {escape(load_profile(profile).title)}",
        _nodes_table(found),
        _poll_mode([system.domain for system in found if system.poll_mode]),
        _capabilities_table([system for system in found if not system.problem]),
    )


def _as_plain(system: systems.Found) -> dict[str, object]:
    plain = dataclasses.asdict(system)
    if system.capabilities is not None:
        plain["capabilities"] = {
            systems.attribute_name(number): value for number, value in system.capabilities.items()
        }
    return {**plain, "architecture": system.architecture}


def _poll_mode(domains: list[str]) -> str:
    """Where calls may wait awake."""
    where = ", ".join(dict.fromkeys(domains)) or "no DSP here"
    return (
        f"Poll mode (qda.open(..., poll=True), dialect {POLLING}): {where}. A call then looks for "
        f"its answer for up to {limits.POLL / 1000:g} ms before it sleeps."
    )


def _nodes_table(found: list[systems.Found]) -> Table:
    table = Table(title="Device nodes", title_justify="left")
    for title in ("node", "DSP", "dialect", "Hexagon", "stream ids", "message limit"):
        table.add_column(title)
    for system in found:
        if system.problem:
            table.add_row(system.node, system.domain, f"[red]{escape(system.problem)}[/]")
            continue
        table.add_row(
            system.node,
            system.domain,
            system.dialect,
            system.architecture or "unknown",
            ranges(system.stream_ids) if system.stream_ids is not None else "unknown",
            size(system.message_limit) if system.message_limit is not None else "unknown",
        )
    return table


def _capabilities_table(found: list[systems.Found]) -> Table:
    """One column for each DSP; an attribute that a DSP does not have is 0."""
    table = Table(title="Capabilities, as the DSPs tell them", title_justify="left")
    table.add_column("attribute", justify="right")
    table.add_column("meaning")
    for system in found:
        table.add_column(f"{system.node}\n{system.domain}", justify="right")
    numbers = {number for system in found for number in system.capabilities or ()}
    for number in sorted(numbers | set(systems.ATTRIBUTES)):
        values = [(system.capabilities or {}).get(number, 0) for system in found]
        shown = [f"{value:#x}" if value > 9 else str(value) for value in values]
        table.add_row(str(number), systems.attribute_name(number), *shown)
    return table
