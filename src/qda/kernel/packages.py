"""Kernels of the distribution: fetched when one says so, kept, and found again by their suite.

APT does the work, with lists of its own, so that this machine's are left as they are; it trusts
what this machine trusts.  No root is needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from qda.errors import UsageError
from qda.kernel.kernel import unpack

__all__ = ["fetch", "folder_of"]

_IMAGE = re.compile(r"linux-image-\d[^ ]*-arm64(-unsigned)?")
_OTHERS = ("-rt-", "-cloud-")
"""Kernels for special machines."""


def folder_of(suite: str) -> Path:
    """Where the kernel of a suite is kept, whether or not it is there."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "qda", "kernels", suite)


def fetch(suite: str) -> Path:
    """Fetch the newest arm64 kernel of a suite from this machine's archive, and keep what is needed
    of it.  Returns the folder.  UsageError."""
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UsageError(f"no {tool}: kernels are fetched on Debian and its kin")
    with tempfile.TemporaryDirectory(prefix="qda-apt-") as place:
        apt = _Apt(Path(place), suite)
        apt.run("apt-get", "update")
        names = [line.split(" - ")[0] for line in apt.run("apt-cache", "search", "linux-image-")]
        images = [
            name
            for name in names
            if _IMAGE.fullmatch(name) and not any(word in name for word in _OTHERS)
        ]
        if not images:
            raise UsageError(f"suite {suite!r} has no package of an arm64 kernel")
        newest = max(images, key=_version)
        apt.run("apt-get", "download", newest)
        (package,) = Path(place).glob("*.deb")
        folder = folder_of(suite)
        fresh = folder.with_name(f"{suite}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        unpack(package, fresh)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    return folder


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


class _Apt:
    """APT for arm64 and one suite, with its own lists below `place`."""

    def __init__(self, place: Path, suite: str) -> None:
        self._place = place
        for folder in ("lists/partial", "cache/archives/partial"):
            (place / folder).mkdir(parents=True)
        archive, key = _archive()
        signed = f" signed-by={key}" if key else ""
        (place / "sources.list").write_text(f"deb [arch=arm64{signed}] {archive} {suite} main\n")
        self._options = [
            f"Dir::State::Lists={place}/lists",
            f"Dir::Cache={place}/cache",
            f"Dir::Etc::SourceList={place}/sources.list",
            "Dir::Etc::SourceParts=/dev/null",
            "Dir::State::status=/dev/null",
            "APT::Architecture=arm64",
            "APT::Architectures::=arm64",
            "APT::Sandbox::User=root",
            "Debug::NoLocking=1",
        ]

    def run(self, tool: str, *words: str) -> list[str]:
        """The lines of a tool's output.  UsageError."""
        options = [word for option in self._options for word in ("-o", option)]
        done = subprocess.run(
            [tool, *options, "-q", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self._place,
        )
        if done.returncode:
            raise UsageError(f"{tool} {' '.join(words)} failed: {done.stderr.strip()}")
        return done.stdout.splitlines()


def _archive() -> tuple[str, str]:
    """The archive that this machine has its packages from, and the file of its key."""
    for path in sorted(Path("/etc/apt").rglob("*.sources")):
        text = path.read_text()
        uri = re.search(r"^URIs: *(\S+)", text, re.MULTILINE)
        key = re.search(r"^Signed-By: *(/\S+)", text, re.MULTILINE)
        if uri:
            return uri[1], key[1] if key else ""
    for path in sorted(Path("/etc/apt").rglob("*.list")):
        line = re.search(r"^deb +(?:\[[^]]*\] +)?(\S+)", path.read_text(), re.MULTILINE)
        if line:
            return line[1], ""
    raise UsageError("APT has no sources on this machine: /etc/apt/sources.list")
