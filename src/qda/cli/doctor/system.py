"""The system: what a virtual DSP needs of the kernel and of the file system.

Containers are where it is missing: without a `/dev`, a home, a place for temporary files, or with
system calls that are forbidden.
"""

from __future__ import annotations

import os
import platform
import pwd
import resource
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.linux import take_descriptor

__all__ = ["examine_system"]

_finding = partial(Finding, "System")
_GOOD, _NOTE, _FAULT = Verdict.GOOD, Verdict.NOTE, Verdict.FAULT

_OLDEST = (5, 6)
"""The first Linux with pidfd_getfd(2)."""

_ENOUGH = 256
"""Descriptors; a session needs some ten, of the program and of the DSP."""


def examine_system(place: Place) -> Iterator[Finding]:
    """Look at the system."""
    yield _kernel()
    yield _system_calls()
    yield from _devices(place)
    yield _temporary_files(place)
    yield _home(place)
    yield _descriptors()
    yield from _yama(place)


def _kernel() -> Finding:
    words = f"Linux {platform.release()}, {platform.machine()}"
    digits = [
        int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit()
    ]
    if tuple(digits) < _OLDEST:
        oldest = ".".join(str(number) for number in _OLDEST)
        return _finding("kernel", _FAULT, f"{words}: too old", f"boot Linux {oldest} or newer")
    return _finding("kernel", _GOOD, words)


def _system_calls() -> Finding:
    """Those that containers forbid."""
    name = "system calls"
    try:
        os.close(os.memfd_create("qda-doctor"))
        process = os.pidfd_open(os.getpid())
        try:
            os.close(take_descriptor(process, process))
        finally:
            os.close(process)
    except OSError as error:
        words = f"memory files or process descriptors are forbidden: {error.strerror}"
        remedy = "start the container with --security-opt seccomp=unconfined"
        return _finding(name, _FAULT, words, remedy)
    return _finding(name, _GOOD, "memory files and process descriptors are allowed")


_DEVICES = {"null": (1, 3), "zero": (1, 5), "urandom": (1, 9)}


def _devices(place: Place) -> Iterator[Finding]:
    missing = [name for name in _DEVICES if not _is_device(place.path(f"/dev/{name}"))]
    if missing:
        dev = place.path("/dev")
        made = [
            f"mknod -m 666 {dev / name} c {_DEVICES[name][0]} {_DEVICES[name][1]}"
            for name in missing
        ]
        remedy = " && ".join(place.as_root(command) for command in [f"mkdir -p {dev}", *made])
        shown = ", ".join(f"/dev/{name}" for name in missing)
        yield _finding("/dev", _FAULT, f"there is no {shown}", remedy)
    else:
        yield _finding("/dev", _GOOD, ", ".join(f"/dev/{name}" for name in _DEVICES))
    if not place.path("/proc/self/maps").exists():
        remedy = place.as_root(f"mount -t proc proc {place.path('/proc')}")
        yield _finding("/proc", _FAULT, "is not mounted", remedy)


def _is_device(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISCHR(path.stat().st_mode)
    return False


def _temporary_files(place: Place) -> Finding:
    name = "temporary files"
    chosen = place.variables.get("TMPDIR", "")
    if chosen and not _is_writable(Path(chosen)):
        words = f"TMPDIR is {chosen}, where no file can be made"
        return _finding(name, _FAULT, words, "unset TMPDIR")
    folders = [chosen] if chosen else ["/tmp", "/var/tmp", "/usr/tmp"]
    for folder in folders:
        if _is_writable(Path(folder)):
            return _finding(name, _GOOD, f"in {folder}")
    words = "none can be made in /tmp or /var/tmp"
    return _finding(name, _FAULT, words, 'export TMPDIR="$PWD"')


def _is_writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _home(place: Place) -> Finding:
    name = "home"
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = f"user {os.geteuid()}, without a name"
    home = place.variables.get("HOME", "")
    cache = place.variables.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else "")
    if _can_be_made(Path(cache)) if cache else False:
        return _finding(name, _GOOD, f"{user}, {home}")
    words = f"{user}: no folder for what is kept; only `qda kernel fetch` wants one"
    return _finding(name, _NOTE, words, 'export XDG_CACHE_HOME="$PWD/.cache"')


def _can_be_made(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def _descriptors() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if soft == resource.RLIM_INFINITY else soft
    if most >= _ENOUGH:
        return _finding("descriptors", _GOOD, f"{soft} for a process")
    remedy = f"ulimit -n {_ENOUGH if hard < 0 or hard >= _ENOUGH else hard}"
    return _finding("descriptors", _NOTE, f"only {soft} for a process: few sessions", remedy)


def _yama(place: Place) -> Iterator[Finding]:
    """Programs under `qda serve` let the server read them, if the system lets them."""
    scope = place.text("/proc/sys/kernel/yama/ptrace_scope")
    if scope.isdecimal() and int(scope) > 1:
        words = "ptrace_scope 2 or more: programs cannot use `qda serve`, `qda run` as root only"
        remedy = place.as_root("sysctl kernel.yama.ptrace_scope=1")
        yield _finding("Yama", _NOTE, words, remedy)
