"""A virtual system for tests, and a census of everything that it may leave behind."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import qda
from qda.client import RemoteModule, Session, device_file
from qda.client.device import DeviceFile
from qda.uapi import DIALECTS
from qda.virtual import Machine, load_profile

__all__ = [
    "Census",
    "System",
    "census",
    "children_of",
    "load_without_host",
    "new_machine",
    "open_file",
    "open_session",
]


@dataclass(frozen=True)
class Census:
    """What exists: what the device holds, descriptors and shared mappings of this process, and
    processes of the DSP."""

    device: object
    descriptors: int
    mappings: int
    processes: int


def census(machine: Machine, domain: str = "cdsp") -> Census:
    """Count everything now."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    return Census(
        machine.devices[domain].census(),
        len(os.listdir("/proc/self/fd")),
        sum("/memfd:qda" in line for line in maps),
        sum(len(children_of(pid)) for pid in machine.pids),
    )


def children_of(pid: int) -> list[int]:
    """Process ids of the children of a process that has one thread."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class System(Machine):
    """A machine for a test, and the dialect in which the test speaks to it."""

    dialect = "rfc"


def open_file(machine: Machine, dialect: str = "", domain: str = "cdsp") -> DeviceFile:
    """A file with a user protection domain of the machine, in the test's dialect by default."""
    dialect = dialect or getattr(machine, "dialect", System.dialect)
    file = device_file(machine.open(domain, dialect), DIALECTS[dialect], domain)
    try:
        file.create(b"", qda.ProcessAttribute.UNSIGNED)
    except BaseException:
        file.close()
        raise
    return file


def open_session(machine: Machine, dialect: str = "", domain: str = "cdsp") -> Session:
    """A session on such a file."""
    return Session(open_file(machine, dialect, domain))


def load_without_host(session: Session, uri: str) -> RemoteModule:
    """Open a module as a program does that does not serve its DSP, or in a way of its own."""
    handle = session.manager.open(uri)
    return RemoteModule(session.calls, handle, uri, lambda: session.manager.close(handle, uri))


def new_machine(profile: str = "generic", dialect: str = System.dialect) -> System:
    """A system of its own, not the process's."""
    system = System(load_profile(profile))
    system.dialect = dialect
    return system


def descriptors() -> Counter[str]:
    """What this process's descriptors lead to, for the message of a failed census."""
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{name}").split(":[")[0]] += 1
        except OSError:
            continue
    return found
