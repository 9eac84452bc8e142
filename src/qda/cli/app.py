"""The commands of `qda`: what they take, and how they show what they have found."""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table
from typer.core import TyperCommand, TyperGroup

import qda
from qda.cli import INTERRUPTED, codes, idl, pictures, programs, systems
from qda.errors import Explanation
from qda.uapi import DIALECTS, header, reference
from qda.virtual import load_profile, profile_names

if TYPE_CHECKING:
    from qda.cli.demo import Outcome

__all__ = ["app"]

_out = Console(highlight=False, soft_wrap=False)
_progress = Console(stderr=True, highlight=False)


class Dialect(enum.StrEnum):
    """The dialects of the device interface."""

    RFC = "rfc"
    V1 = "v1"
    LEGACY = "legacy"


class _Commands(TyperGroup):
    """Commands whose errors are messages, not tracebacks."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except qda.QdaError as error:
            print(f"qda: {error}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The Qualcomm DSP Accelerator in software: devices, interface, errors, a demo.",
)
_uapi = typer.Typer(no_args_is_help=True, help="Print the device interface.")
app.add_typer(_uapi, name="uapi")
app.add_typer(idl.app, name="idl")

ProfileOption = Annotated[
    str, typer.Option(help="The system that is virtual: see `qda profiles`, or a .toml file.")
]
DialectOption = Annotated[Dialect, typer.Option(help="Dialect of the device interface.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        _write(f"qda {metadata.version('qda-accel')}\n")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Options of the command itself."""


def _write(text: str) -> None:
    """Write text as it is: no colours, no line breaks that are not in it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _write_json(value: object) -> None:
    _write(json.dumps(value, indent=2) + "\n")


def _steps() -> Progress:
    """Progress on standard error, if that is a terminal; nothing is left of it."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=_progress,
        transient=True,
        disable=not _progress.is_terminal,
    )


@app.command("demo")
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
    as_json: JsonOption = False,
) -> None:
    """Run an image filter on the cdsp, three ways, and compare it with the host."""
    from qda.cli import demo  # parses its interface: nothing for the other commands

    pictures.check_writable(output)
    results = []
    with _steps() as progress:
        task = progress.add_task("filtering on the host ...")
        photograph = pictures.read_photograph()
        expected, host = demo.filter_on_host(photograph)
        progress.update(task, description="starting the DSP ...")
        with qda.open("cdsp", device=device, dialect=dialect, profile=profile) as session:
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
        _write_json(
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
        _out.print(
            f"Edges of a photograph, {width} x {height} pixels, "
            f"drawn by {escape(node)} (dialect {spoken}):"
        )
        _out.print(_demo_table(outcomes, host))
        _out.print(_verdict(outcomes))
        _write(f"The picture is in {output}\n")
    if not equal:
        raise typer.Exit(1)


def _demo_table(outcomes: list[Outcome], host: float) -> Table:
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


@app.command()
def info(profile: ProfileOption = "generic", as_json: JsonOption = False) -> None:
    """List device nodes, and ask each DSP what it can do."""
    with _steps() as progress:
        task = progress.add_task("looking for devices ...")
        found = []
        for system in systems.survey(profile):
            found.append(system)
            progress.update(task, description=f"{system.domain or system.node} found ...")
    if as_json:
        _write_json([_as_plain(system) for system in found])
        return
    _out.print(f"Virtual system: {escape(load_profile(profile).title)}")
    _out.print(_nodes_table(found))
    _out.print(_capabilities_table([system for system in found if not system.problem]))


def _as_plain(system: systems.Found) -> dict[str, Any]:
    plain = dataclasses.asdict(system)
    if system.capabilities is not None:
        plain["capabilities"] = {
            systems.attribute_name(number): value for number, value in system.capabilities.items()
        }
    return {**plain, "architecture": system.architecture}


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
            _ranges(system.stream_ids) if system.stream_ids is not None else "unknown",
            _size(system.message_limit) if system.message_limit is not None else "unknown",
        )
    return table


def _ranges(numbers: tuple[int, ...]) -> str:
    """Numbers in short: "1-8, 12 (9 banks)"."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
    return f"{words} ({len(numbers)} {'bank' if len(numbers) == 1 else 'banks'})"


def _size(count: int) -> str:
    return f"{count / (1 << 20):g} MiB"


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


@app.command(context_settings={"ignore_unknown_options": True})
def explain(
    code: Annotated[
        str, typer.Argument(help="A number such as 0x80000406, 39 or -22, or a symbol: EINVAL.")
    ],
) -> None:
    """Say what an error code of the device or the DSP means, and what to do."""
    _write("\n".join(_in_words(explanation) for explanation in codes.explain(code)))


def _in_words(explanation: Explanation) -> str:
    return (
        f"{explanation.number} {explanation.symbol}: {explanation.meaning}\n"
        f"  Likely cause: {explanation.cause}.\n"
        f"  Next: {explanation.next_step}.\n"
    )


@app.command()
def profiles() -> None:
    """List the systems that can be virtual."""
    table = Table()
    for title in ("profile", "system", "DSPs"):
        table.add_column(title)
    for name in profile_names():
        profile = load_profile(name)
        dsps = [f"{dsp.name}: stream ids {_ranges(dsp.limits.stream_ids)}" for dsp in profile.dsps]
        table.add_row(name, escape(profile.title), "\n".join(dsps))
    _out.print(table)


class Trace(enum.StrEnum):
    """What is traced."""

    CALLS = "calls"
    WIRE = "wire"


class _ProgramCommand(TyperCommand):
    """A command for which `--trace` without a value is `--trace=calls`, and whose options end at
    the first argument: what follows is another program's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = iter(args)
        own: list[str] = []
        for word in words:
            own.append("--trace=calls" if word == "--trace" else word)
            if word == "--" or not word.startswith("-"):
                break
            if not {"=", "mixed"} & {*word, word.strip("-")} and own[-1] == word != "--help":
                own += [value for value in [next(words, None)] if value is not None]
        return super().parse_args(ctx, [*own, *words])


_PROGRAM = {"allow_interspersed_args": False}

AccelDialectOption = Annotated[
    Dialect, typer.Option(help="Dialect of the accelerator's nodes: rfc or v1.")
]
SkeletonsOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR", help="Where the DSPs look for skeletons first; may be given several times."
    ),
]
MixedOption = Annotated[
    bool,
    typer.Option(
        "--mixed",
        help="Serve programs that mix GEM handles and descriptors; would fail on a kernel.",
    ),
]
TraceOption = Annotated[
    Trace | None,
    typer.Option(help="Print every device call, with =wire also what crosses the transport."),
]
TraceFileOption = Annotated[
    Path | None, typer.Option(metavar="PATH", help="Where the trace goes, if not to stderr.")
]


def _program_options(
    profile: str,
    dialect: Dialect,
    skeletons: list[Path] | None,
    mixed: bool,
    trace: Trace | None,
    trace_file: Path | None,
) -> programs.Options:
    traced = trace.value if trace else None
    return programs.Options(
        profile, dialect.value, tuple(skeletons or ()), mixed, traced, trace_file
    )


@app.command("run", cls=_ProgramCommand, context_settings=_PROGRAM)
def run_with_devices(
    program: Annotated[list[str], typer.Argument(help="A program and its arguments.")],
    profile: ProfileOption = "generic",
    dialect: AccelDialectOption = Dialect.RFC,
    skeletons: SkeletonsOption = None,
    mixed: MixedOption = False,
    trace: TraceOption = None,
    trace_file: TraceFileOption = None,
) -> None:
    """Run a program that sees virtual devices under /dev; ends with its exit status."""
    options = _program_options(profile, dialect, skeletons, mixed, trace, trace_file)
    raise typer.Exit(programs.run(program, options))


@app.command(cls=_ProgramCommand)
def serve(
    socket: Annotated[Path, typer.Option(metavar="PATH", help="Where the server's socket goes.")],
    profile: ProfileOption = "generic",
    dialect: AccelDialectOption = Dialect.RFC,
    skeletons: SkeletonsOption = None,
    mixed: MixedOption = False,
    trace: TraceOption = None,
    trace_file: TraceFileOption = None,
) -> None:
    """Serve virtual devices to programs, which the printed variables let in, until SIGTERM."""
    options = _program_options(profile, dialect, skeletons, mixed, trace, trace_file)
    programs.serve(socket, options, sys.stdout)


@_uapi.command("header")
def print_header(dialect: DialectOption = Dialect.RFC) -> None:
    """Print the C header, for programs that use the device without a library."""
    _write(header(DIALECTS[dialect]))


@_uapi.command("reference")
def print_reference(dialect: DialectOption = Dialect.RFC) -> None:
    """Print the documentation page, in Markdown."""
    _write(reference(DIALECTS[dialect]))
