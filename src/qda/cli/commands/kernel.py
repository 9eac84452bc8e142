"""`qda kernel`: a real kernel in QEMU, whose driver has our DSPs as its DSPs."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qda.agent import AgentGone
from qda.cli.commands.conformance import told_pytest
from qda.cli.laboratory import AGENT, THREADS, Laboratory, agent_file, tried
from qda.cli.options import ProfileOption, with_options
from qda.cli.program_options import ProgramCommand
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import UsageError
from qda.glink import Code, Command, TransferSizes
from qda.kernel.initramfs import tree
from qda.kernel.kernel import Kernel
from qda.kernel.machine import Tools, find_tools
from qda.kernel.misbehaviour import Misbehaviour
from qda.kernel.packages import fetch as fetch_package
from qda.kernel.packages import fetch_programs, folder_of, programs_of
from qda.kernel.program import Files, installed_files, program_files
from qda.kernel.run import Ended, Plan
from qda.kernel.run import run as run_plan
from qda.kernel.words import message_in_words, response_in_words
from qda.profiles.profile import DspProfile
from qda.virtual import load_profile

__all__ = ["app"]

app = typer.Typer(
    add_completion=False, help="A real kernel in QEMU, whose driver has our DSPs as its DSPs."
)

_BROKEN = 70
"""The exit status where the kernel has not brought the program to its end."""
_LATE = 124
_DAY = 24 * 60 * 60.0


class Trace(enum.StrEnum):
    """What a trace shows."""

    GLINK = "glink"
    WIRE = "wire"


@dataclasses.dataclass(frozen=True)
class GuestOptions:
    """The kernel, its board and what is in it, as options of a command."""

    package: Annotated[
        str, typer.Option(help="A suite that was fetched, or a folder with an unpacked package.")
    ] = ""
    image: Annotated[
        Path | None, typer.Option(help="A kernel of one's own, in place of a package.")
    ] = None
    module: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="A module to load as well; several times."),
    ] = dataclasses.field(default_factory=list)
    profile: ProfileOption = "generic"
    dsp: Annotated[str, typer.Option(help="Which of its DSPs, with commas between.")] = "cdsp"
    smmu: Annotated[bool, typer.Option("--smmu", help="Put the DSPs behind an SMMU.")] = False
    smp: Annotated[int, typer.Option(min=1, max=8, help="Processors of the guest.")] = 1
    memory: Annotated[int, typer.Option(min=128, max=4096, help="Memory, in MiB.")] = 512
    skeletons: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="Where the DSPs look for skeletons; several times."),
    ] = dataclasses.field(default_factory=list)
    root: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Files for the guest, from its root on.")
    ] = None
    append: Annotated[
        str, typer.Option(metavar="WORDS", help="More words for the kernel's command line.")
    ] = ""
    limit: Annotated[float, typer.Option(help="Seconds after which the guest is ended.")] = 60
    console: Annotated[
        bool, typer.Option("--console", help="Print what the kernel has said, at the end.")
    ] = False
    misbehave: Annotated[
        Misbehaviour | None,
        typer.Option(help="Have the DSPs answer wrongly, after the first calls of a session."),
    ] = None
    initramfs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An initial file system, to which ours is added."),
    ] = None
    trace: Annotated[
        Trace | None, typer.Option(help="Print what crosses between the kernel and the DSPs.")
    ] = None


@app.command("fetch")
def fetch(
    suite: Annotated[str, typer.Argument(help="A suite of Debian, as trixie.")],
    programs: Annotated[
        list[str] | None,
        typer.Argument(help="Packages of programs for the guest, as python3, with what they need."),
    ] = None,
) -> None:
    """Fetch a suite's arm64 kernel (about 100 MB, of which 37 are kept), for `run --package`; or
    programs for it."""
    folder = fetch_programs(suite, programs, _say) if programs else fetch_package(suite)
    sys.stdout.write(f"{folder}\n")


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


class GuestCommand(ProgramCommand):
    """A command in whose own options `--trace` alone means the messages."""

    alone = Trace.WIRE


@app.command("run", cls=GuestCommand, context_settings={"allow_interspersed_args": False})
@with_options
def run(
    program: Annotated[list[str], typer.Argument(help="A program for arm64, and its arguments.")],
    options: GuestOptions,
) -> None:
    """Run a program in a guest; ends with its exit status, 70 if the kernel broke, 124 if late."""
    tools = find_tools()
    command, files = _program(program, options, tools)
    plan = _plan(options, command, files)
    ended = run_plan(plan, tools, _write, _SEEN[options.trace] if options.trace else None)
    raise typer.Exit(_report(ended, options))


@app.command("conformance")
@with_options
def conformance(
    options: GuestOptions,
    hostile: Annotated[
        bool,
        typer.Option(
            help="Also make the requests that corrupt a kernel whose driver does not refuse them."
        ),
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the results there, as JUnit does.")
    ] = None,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="PYTEST...", help="What pytest is told beside, after `--`."),
    ] = None,
) -> None:
    """Try the rules of the device interface on a kernel's driver and on ours, side by side.

    Ends with 1 if a rule has not the same outcome on both and is no difference that is named.
    """
    told = told_pytest(hostile, junit, more or [])
    tools = find_tools()
    plan = _plan(options, [AGENT], {AGENT: agent_file(tools)})
    nodes = {dsp.name: _node_of(plan, number) for number, dsp in enumerate(plan.dsps)}
    # A kernel that is broken is to end at once: there is a new one for the next rule.  Each
    # request has a time, so the whole needs none.
    plan = dataclasses.replace(
        plan, channels=THREADS, append=f"oops=panic {options.append}".strip(), limit=_DAY
    )
    laboratory = Laboratory(plan, tools, nodes)
    try:
        status = tried(laboratory, told)
    except AgentGone as error:
        sys.stderr.write(f"qda kernel: {error}\n")
        status = _BROKEN
    finally:
        laboratory.close()
    for ended in laboratory.ended:
        _report(ended, options)
    raise typer.Exit(status)


def _plan(options: GuestOptions, command: list[str], files: Files) -> Plan:
    """What is to be run."""
    dsps = _dsps(options)
    if options.root is not None:
        files |= tree(options.root, "")
    folders = [str(folder.resolve()) for folder in options.skeletons]
    if folders:
        os.environ[FOLDERS_VARIABLE] = ";".join(folders)
    return Plan(
        kernel=_kernel(options),
        dsps=dsps,
        command=command,
        files=files,
        nodes=_nodes(dsps, options),
        smmu=options.smmu,
        processors=options.smp,
        memory=options.memory << 20,
        append=options.append,
        limit=options.limit,
        misbehaviour=options.misbehave,
        base=options.initramfs.read_bytes() if options.initramfs else b"",
    )


def _node_of(plan: Plan, number: int) -> str:
    """The node of a DSP that takes every session: the accelerator's, or the secure one."""
    nodes = [node for node in plan.nodes if node.startswith("/dev/accel/")]
    if nodes:
        return nodes[number]
    name = plan.dsps[number].name
    return max((node for node in plan.nodes if node.startswith(f"/dev/fastrpc-{name}")), key=len)


def _program(words: list[str], options: GuestOptions, tools: Tools) -> tuple[list[str], Files]:
    """The words of the command in the guest, and the files that it needs there."""
    program = Path(words[0])
    if options.initramfs and program.is_absolute() and not program.exists():
        return words, {}
    if "/" in words[0] or program.exists():
        place = f"/bin/{program.name}"
        return [place, *words[1:]], program_files(program, place, tools)
    return installed_files(programs_of(options.package), words)


def _kernel(options: GuestOptions) -> Kernel:
    if options.image is not None:
        return Kernel.of_image(options.image, options.module)
    if not options.package:
        raise UsageError(
            "which kernel? --package SUITE, after `qda kernel fetch SUITE`; or --image"
        )
    folder = Path(options.package)
    if "/" not in options.package:
        folder = folder_of(options.package)
        if not folder.is_dir():
            raise UsageError(f"no kernel of {options.package}: qda kernel fetch {options.package}")
    return Kernel.of_package(folder, options.module)


def _dsps(options: GuestOptions) -> list[DspProfile]:
    known = {dsp.name: dsp for dsp in load_profile(options.profile).dsps}
    names = options.dsp.split(",")
    for name in names:
        if name not in known:
            raise UsageError(f"--dsp {name}: {options.profile} has {', '.join(known)}")
    if len(set(names)) != len(names) or len(names) > 4:
        raise UsageError(f"--dsp {options.dsp}: up to four, each once")
    return [known[name] for name in names]


def _nodes(dsps: list[DspProfile], options: GuestOptions) -> list[str]:
    """What the program may count on: the nodes, and that each has all its context banks, which
    the older driver finds only after it has made its nodes."""
    if any("qda" in path.name for path in options.module):
        return [f"/dev/accel/accel{number}" for number in range(len(dsps))]
    banks = "/sys/bus/platform/drivers/qcom,fastrpc-cb"
    return [
        place
        for dsp in dsps
        for place in (
            *(f"/dev/fastrpc-{dsp.name}{'-secure' if it else ''}" for it in dsp.secure_nodes),
            *(f"{banks}/{dsp.name}-edge:fastrpc:compute-cb@{bank}" for bank in dsp.stream_ids),
        )
    ]


def _write(name: str, data: bytes) -> None:
    stream = (sys.stdout if name == "output" else sys.stderr).buffer
    stream.write(data)
    stream.flush()


def _tell(dsp: str, command: Command, come: bool) -> None:
    sys.stderr.write(f"{dsp} {'<-' if come else '->'} {command}\n")


def _tell_messages(dsp: str, command: Command, come: bool) -> None:
    if command.code is Code.DATA:
        message = command.data[TransferSizes.byte_size :]
        words = message_in_words(message) if come else response_in_words(message)
        sys.stderr.write(f"{dsp} {'<-' if come else '->'} {words}\n")


_SEEN = {Trace.GLINK: _tell, Trace.WIRE: _tell_messages}


def _report(ended: Ended, options: GuestOptions) -> int:
    if options.console:
        sys.stderr.write(ended.console)
    for trouble in ended.troubles:
        sys.stderr.write(f"qda kernel: {trouble}\n")
    for dsp, sessions in ended.left.items():
        names = ", ".join(str(session) for session in sessions)
        sys.stderr.write(f"qda kernel: {dsp}: the kernel has not released sessions {names}\n")
    if ended.status is not None:
        return os.waitstatus_to_exitcode(ended.status) & 0xFF
    if ended.late:
        words = f"the program was not at its end after {options.limit:g} s; --console shows more"
        sys.stderr.write(f"qda kernel: {words}\n")
        return _LATE
    if not ended.troubles:
        sys.stderr.write("qda kernel: the guest ended before the program; --console shows more\n")
    return _BROKEN
