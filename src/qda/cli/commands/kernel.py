"""`qda kernel`: a real kernel in QEMU, whose driver has our DSPs as its DSPs."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qda.cli.options import ProfileOption, with_options
from qda.dsp.spawn import FOLDERS_VARIABLE
from qda.errors import UsageError
from qda.glink import Command
from qda.kernel.initramfs import tree
from qda.kernel.kernel import Kernel
from qda.kernel.machine import find_tools
from qda.kernel.misbehaviour import Misbehaviour
from qda.kernel.packages import fetch as fetch_package
from qda.kernel.packages import folder_of
from qda.kernel.program import program_files
from qda.kernel.run import Ended, Plan
from qda.kernel.run import run as run_plan
from qda.profiles.profile import DspProfile
from qda.virtual import load_profile

__all__ = ["app"]

app = typer.Typer(
    add_completion=False, help="A real kernel in QEMU, whose driver has our DSPs as its DSPs."
)

_BROKEN = 70
"""The exit status where the kernel has not brought the program to its end."""
_LATE = 124


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
    limit: Annotated[float, typer.Option(help="Seconds after which the guest is ended.")] = 60
    console: Annotated[
        bool, typer.Option("--console", help="Print what the kernel has said, at the end.")
    ] = False
    misbehave: Annotated[
        Misbehaviour | None,
        typer.Option(help="Have the DSPs answer wrongly, after the first calls of a session."),
    ] = None
    trace: Annotated[
        bool, typer.Option("--trace", help="Print every command that crosses GLINK.")
    ] = False


@app.command("fetch")
def fetch(suite: Annotated[str, typer.Argument(help="A suite of Debian, as trixie.")]) -> None:
    """Fetch a suite's arm64 kernel (about 100 MB, of which 37 are kept), for `run --package`."""
    sys.stdout.write(f"{fetch_package(suite)}\n")


@app.command("run", context_settings={"allow_interspersed_args": False})
@with_options
def run(
    program: Annotated[list[str], typer.Argument(help="A program for arm64, and its arguments.")],
    options: GuestOptions,
) -> None:
    """Run a program in a guest; ends with its exit status, 70 if the kernel broke, 124 if late."""
    tools = find_tools()
    dsps = _dsps(options)
    place = f"/bin/{Path(program[0]).name}"
    files = program_files(Path(program[0]), place, tools)
    if options.root is not None:
        files |= tree(options.root, "")
    folders = [str(folder.resolve()) for folder in options.skeletons]
    if folders:
        os.environ[FOLDERS_VARIABLE] = ";".join(folders)
    plan = Plan(
        kernel=_kernel(options),
        dsps=dsps,
        command=[place, *program[1:]],
        files=files,
        nodes=_nodes(dsps, options),
        smmu=options.smmu,
        processors=options.smp,
        memory=options.memory << 20,
        limit=options.limit,
        misbehaviour=options.misbehave,
    )
    ended = run_plan(plan, tools, _write, _trace if options.trace else None)
    raise typer.Exit(_report(ended, options))


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


def _trace(dsp: str, command: Command, come: bool) -> None:
    sys.stderr.write(f"{dsp} {'<-' if come else '->'} {command}\n")


def _report(ended: Ended, options: GuestOptions) -> int:
    if options.console:
        sys.stderr.write(ended.console)
    for trouble in ended.troubles:
        sys.stderr.write(f"qda kernel: {trouble}\n")
    if ended.status is not None:
        return os.waitstatus_to_exitcode(ended.status) & 0xFF
    if ended.late:
        words = f"the program was not at its end after {options.limit:g} s; --console shows more"
        sys.stderr.write(f"qda kernel: {words}\n")
        return _LATE
    return _BROKEN
