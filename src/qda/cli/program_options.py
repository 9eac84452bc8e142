"""What `qda run` and `qda serve` are told about the devices that programs see."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from qda import limits
from qda.cli.options import Dialect, IdlOption, ProfileOption, WordyCommand
from qda.cli.served import Served

__all__ = ["ProgramCommand", "ProgramOptions", "Trace"]


class Trace(enum.StrEnum):
    """What is traced."""

    CALLS = "calls"
    JSON = "json"
    SUMMARY = "summary"
    WIRE = "wire"


@dataclass(frozen=True)
class ProgramOptions(Served):
    """What is served, and how, as options of a command."""

    profile: ProfileOption = "generic"
    dialect: Annotated[
        Dialect,
        typer.Option(
            help="What nodes speak: the accelerator's rfc, v1 or handle, or the older driver's "
            "legacy, legacy-7.3 or legacy-signals."
        ),
    ] = Dialect.RFC
    skeletons: Annotated[
        list[Path],
        typer.Option(
            metavar="DIR",
            help="Where the DSPs look for skeletons first; may be given several times.",
        ),
    ] = field(default_factory=list)
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed",
            help="Serve programs that mix GEM handles and descriptors; would fail on a kernel.",
        ),
    ] = False
    lanes: Annotated[
        bool,
        typer.Option(
            "--lanes/--no-lanes",
            help="Lend programs lanes to call the DSP by themselves, or carry out each call.",
        ),
    ] = True
    as_kernel: Annotated[
        bool,
        typer.Option(
            "--as-kernel",
            help="Answer as Linux's older driver does where ours keeps a rule that it does not, "
            "and let no program wait for a context bank.",
        ),
    ] = False
    banks: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=limits.BANKS,
            help="How many context banks each DSP has, one for each program at a time, if not as "
            "many as the profile says.",
        ),
    ] = None
    wait: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="How long a program waits for a context bank while others have all of them; 0 "
            "refuses it at once, as a kernel does.",
        ),
    ] = limits.BANK_WAIT
    trace: Annotated[
        Trace | None,
        typer.Option(
            help="Print every device call: with =wire also what crosses the transport, with =json "
            "all of that as lines of JSON, with =summary only what the calls have cost."
        ),
    ] = None
    trace_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where the trace goes, if not to stderr.")
    ] = None
    timeline: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Write a timeline for Perfetto (ui.perfetto.dev), out.pftrace."
        ),
    ] = None
    idl: IdlOption = field(default_factory=list)
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="Record what crosses the interface, with its bytes: calls.qda."
        ),
    ] = None
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Answer the program's calls from a recording, and say where it asks for something "
            "else; no skeletons are needed.",
        ),
    ] = None


class ProgramCommand(WordyCommand):
    """A command in whose own options `--trace` alone means `--trace=calls`, or another kind.

    Its own options end where the program's name stands, or `--`.
    """

    alone: str = Trace.CALLS

    def understood(self, args: list[str]) -> list[str]:
        """See `WordyCommand.understood`."""
        with_value = {
            name
            for option in self.params
            if option.param_type_name == "option" and not getattr(option, "is_flag", False)
            for name in option.opts
        }
        words = iter(args)
        own: list[str] = []
        for word in words:
            own.append(f"--trace={self.alone}" if word == "--trace" else word)
            if word == "--" or not word.startswith("-"):
                break
            if word in with_value - {"--trace"}:
                own += islice(words, 1)  # its value, whatever that looks like
        return [*own, *words]
