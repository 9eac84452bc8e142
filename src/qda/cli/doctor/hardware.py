"""Hardware: nodes and who may use them, kernel modules, remote processors, shells (U8, U9)."""

from __future__ import annotations

import grp
import os
import re
import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.client.opening import SHELL_FOLDERS

__all__ = ["examine_hardware"]

_finding = partial(Finding, "Hardware")
_GOOD, _NOTE, _FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT

_MODEL = "/sys/firmware/devicetree/base/model"
_COMPATIBLE = "/sys/firmware/devicetree/base/compatible"
_SOC = "/sys/devices/soc0/machine"
_HEAP = "/dev/dma_heap/system"
_DSPS = ("adsp", "cdsp", "sdsp", "mdsp", "gdsp")


def examine_hardware(place: Place) -> Iterator[Finding]:
    """Look for real DSPs.  A machine that has none is as good as any other."""
    nodes = _nodes(place)
    machine = place.text(_MODEL) or place.text(_SOC)
    is_qualcomm = "qcom," in place.text(_COMPATIBLE) or bool(place.text(_SOC))
    if not nodes and not is_qualcomm:
        yield _finding("DSP", _GOOD, "none here: the DSPs are virtual")
        return
    yield _finding("machine", _GOOD, machine or "without a name")
    if place.variables.get("MACHINE_NAME"):
        words = f"MACHINE_NAME is {place.variables['MACHINE_NAME']}"
        yield _finding("machine", _NOTE, f"{words}: the library believes it", "unset MACHINE_NAME")
    yield from _processors(place)
    yield _driver(place, nodes)
    for node in nodes:
        yield _node(place, node)
    if any("fastrpc" in node.name for node in nodes):
        yield _node(place, place.path(_HEAP))
    yield _shells(place)


def _nodes(place: Place) -> list[Path]:
    accel = [
        node
        for node in sorted(place.path("/dev/accel").glob("accel*"))
        if (place.text(f"/sys/class/accel/{node.name}/device/uevent") or "qda").find("qda") >= 0
    ]
    return accel + sorted(place.path("/dev").glob("fastrpc-*"))


def _driver(place: Place, nodes: list[Path]) -> Finding:
    """The kernel's driver: loaded, or built in."""
    loaded = {line.split()[0] for line in place.text("/proc/modules").splitlines() if line}
    found = sorted(loaded & {"qda", "fastrpc"})
    if found or nodes:
        words = f"module {', '.join(found)}" if found else "built into the kernel"
        return _finding("driver", _GOOD, words)
    remedy = place.as_root("modprobe fastrpc")
    return _finding("driver", _FAULT, "there are no nodes: no driver is loaded", remedy)


def _processors(place: Place) -> Iterator[Finding]:
    """The remote processors that are DSPs, and whether they run."""
    for folder in sorted(place.path("/sys/class/remoteproc").glob("remoteproc*")):
        name = _read(folder / "name")
        if not any(dsp in name for dsp in _DSPS):
            continue
        state, firmware = _read(folder / "state"), _read(folder / "firmware")
        words = f"{state}, firmware {firmware or 'unknown'}"
        if state in ("running", "attached"):
            yield _finding(name, _GOOD, words)
            continue
        start = place.as_root(f"sh -c 'echo start > {folder}/state'")
        packed = place.path("/lib/firmware").glob(f"{firmware}*") if firmware else [firmware]
        if not any(True for _ in packed):  # as it is, or compressed
            words += f", which is not in {place.path('/lib/firmware')}"
            start = f"{place.install('linux-firmware')} && {start}"
        yield _finding(name, _FAULT, words, start)


def _node(place: Place, node: Path) -> Finding:
    shown = f"/{node.relative_to(place.root)}"
    if not node.exists():
        remedy = place.as_root("modprobe system_heap")
        return _finding(shown, _FAULT, "is missing: buffers come from there", remedy)
    status = node.stat()
    try:
        group = grp.getgrgid(status.st_gid).gr_name
    except KeyError:
        group = str(status.st_gid)
    words = f"mode {status.st_mode & 0o777:03o}, group {group}"
    if os.access(node, os.R_OK | os.W_OK):
        return _finding(shown, _GOOD, words)
    if status.st_mode & 0o060 == 0o060 and status.st_gid:
        remedy = f"sudo usermod -aG {shlex.quote(group)} $(id -un)  # then log in again"
    else:
        remedy = place.as_root(f"chmod a+rw {shlex.quote(str(node))}")
    return _finding(shown, _FAULT, f"{words}: not for this user", remedy)


def _shells(place: Place) -> Finding:
    """Images of the shell, which a process on a real DSP begins with."""
    folders = [place.path(folder) for folder in SHELL_FOLDERS]
    found = [
        path
        for folder in folders
        for pattern in ("fastrpc_shell_*", "*/fastrpc_shell_*")
        for path in sorted(folder.glob(pattern))
    ]
    if not found:
        looked = ", ".join(SHELL_FOLDERS)
        remedy = "copy fastrpc_shell_* of this machine's firmware to /usr/lib/dsp/cdsp"
        return _finding("shell", _FAULT, f"no fastrpc_shell_* in {looked}", remedy)
    kinds = sorted({re.sub(r"fastrpc_shell_", "", path.name) for path in found})
    return _finding("shell", _GOOD, f"{found[0].parent}: {', '.join(kinds)}")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip(" \0\n")
    except OSError:
        return ""
