"""What has been found: that something is as it should be, or what is not, and what mends it."""

from __future__ import annotations

import enum
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Finding", "Place", "Verdict"]


class Verdict(enum.StrEnum):
    """How it is."""

    GOOD = "good"
    NOTE = "note"
    """Something is missing that not everybody needs."""

    FAULT = "fault"
    """Something does not work that is there to work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing, and the command that mends it, if anything is to be mended."""

    subject: str
    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


_MANAGERS = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "apk": "apk add",
    "pacman": "pacman -S --noconfirm",
    "zypper": "zypper install -y",
}
"""Package managers, and how each installs."""

_PACKAGES: dict[str, dict[str, str]] = {
    "cc": {"apt-get": "gcc libc6-dev", "apk": "gcc musl-dev", "": "gcc"},
    "dtc": {"apt-get": "device-tree-compiler", "": "dtc"},
    "ps": {"": "procps"},
    "qemu-system-aarch64": {"apt-get": "qemu-system-arm", "": "qemu-system-aarch64"},
}
"""Packages of programs by manager, where they have other names; "" for all other managers."""


@dataclass(frozen=True)
class Place:
    """Where is looked: below which root, with which variables, in which working folder."""

    root: Path = Path("/")
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    folder: Path = Path()

    def path(self, name: str) -> Path:
        """A path of the system."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """What a short file of the system says, "" if it is not there."""
        try:
            return self.path(name).read_text("utf-8", "replace").strip(" \0\n")
        except OSError:
            return ""

    def which(self, program: str) -> str | None:
        """The path of a program."""
        return shutil.which(program, path=self.variables.get("PATH", os.defpath))

    def version(self, program: str) -> str:
        """What a program says of its version, in a line; "" if it cannot be run."""
        try:
            said = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return (said.stdout.splitlines() or [""])[0].strip()

    def install(self, program: str) -> str:
        """The command that installs a program, with the package manager of this system."""
        for manager, install in _MANAGERS.items():
            if self.which(manager):
                packages = _PACKAGES.get(program, {})
                package = packages.get(manager) or packages.get("") or program
                return self.as_root(f"{install} {package}")
        return f"install {program}"

    def as_root(self, command: str) -> str:
        """A command that only root may give."""
        return command if os.geteuid() == 0 else f"sudo {command}"
