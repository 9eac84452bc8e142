"""`qda profiles`: the systems that can be virtual."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from qda.cli.output import show
from qda.cli.systems import attribute_name
from qda.cli.words import ranges, size
from qda.profiles.profile import DspProfile
from qda.virtual import load_profile, nodes_of, profile_names

__all__ = ["app"]

app = typer.Typer(add_completion=False, invoke_without_command=True)


@app.callback()
def list_profiles(context: typer.Context) -> None:
    """List the systems that can be virtual, or show one of them."""
    if context.invoked_subcommand is not None:
        return
    table = Table()
    for title in ("profile", "system", "DSPs"):
        table.add_column(title)
    for name in profile_names():
        profile = load_profile(name)
        dsps = [f"{dsp.name}: stream ids {ranges(dsp.stream_ids)}" for dsp in profile.dsps]
        table.add_row(name, escape(profile.title), "\n".join(dsps))
    show(table)


@app.command("show")
def show_profile(
    name: Annotated[str, typer.Argument(help="Its name, or the path of a .toml file.")],
) -> None:
    """Show a system: its DSPs, their nodes, and what they allow."""
    profile = load_profile(name)
    table = Table(title=f"{escape(profile.title)}, /dev/fastrpc-* of {profile.fastrpc}")
    table.add_column("")
    for dsp in profile.dsps:
        table.add_column(dsp.name)
    nodes = [[it.path for it in nodes_of(profile) if it.domain == dsp.name] for dsp in profile.dsps]
    table.add_row("nodes", *("\n".join(paths) for paths in nodes))
    for title, words in _ROWS.items():
        table.add_row(title, *(escape(words(dsp)) for dsp in profile.dsps))
    show(table)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _by_name(table: Mapping[str, int]) -> str:
    """Settings of switches, or errnos of nodes."""
    return "\n".join(
        f"{name}: {_yes(it) if isinstance(it, bool) else errno.errorcode[it]}"
        for name, it in table.items()
    )


def _capabilities(dsp: DspProfile) -> str:
    if dsp.capability_status:
        return f"refused with {dsp.capability_status:#x}"
    return "\n".join(f"{attribute_name(key)}: {it:#x}" for key, it in dsp.capabilities.items())


_ROWS = {
    "stream ids": lambda dsp: ranges(dsp.stream_ids),
    "message limit": lambda dsp: size(dsp.message_limit),
    "plain node takes signed processes": lambda dsp: _yes(not dsp.secure),
    "poll mode": lambda dsp: _yes(dsp.poll_mode),
    "remote heap": lambda dsp: _yes(dsp.remote_heap),
    "policy": lambda dsp: dsp.policy,
    "nodes that cannot be opened": lambda dsp: _by_name(dsp.refused_nodes),
    "switches": lambda dsp: _by_name(dsp.switches),
    "capabilities": _capabilities,
}
"""What is shown of each DSP."""
