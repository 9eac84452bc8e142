"""Kernels of the distribution, and programs for them: fetched when one says so, kept, and found
again by their suite.

APT does the work, with lists of its own, so that this machine's are left as they are; it trusts
what this machine trusts.  No root is needed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from qda.errors import UsageError
from qda.kernel.deb import extract
from qda.kernel.kernel import unpack

__all__ = ["fetch", "fetch_programs", "folder_of", "programs_of"]

_IMAGE = re.compile(r"linux-image-\d[^ ]*-arm64(-unsigned)?")
_OTHERS = ("-rt-", "-cloud-")
"""Kernels for special machines."""
_UNUSED = ("./usr/share", "./usr/include", "./var", "*/gconv", "*/ossl-modules")
"""Of a package of programs: what a guest can do without, more than half of Python's."""


def folder_of(suite: str) -> Path:
    """Where the kernel of a suite is kept, whether or not it is there."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "qda", "kernels", suite)


def programs_of(suite: str) -> Path:
    """Where programs of a suite are kept, as in the root of a file system, if there are any."""
    return folder_of(f"{suite}-programs")


def fetch(suite: str) -> Path:
    """Fetch the newest arm64 kernel of a suite from this machine's archive, and keep what is needed
    of it.  Returns the folder.  UsageError."""
    with _apt(suite) as apt:
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
        (package,) = apt.place.glob("*.deb")
        with _replaced(folder_of(suite)) as folder:
            unpack(package, folder)
    return folder_of(suite)


def fetch_programs(suite: str, names: Sequence[str], say: Callable[[str], None]) -> Path:
    """Fetch packages of a suite for arm64, with all that they need, in place of those of before.

    `say` is told beforehand how much that is.  Returns the folder.  UsageError.
    """
    with _apt(suite) as apt:
        words = ["install", "--no-install-recommends", "--yes", *names]
        lines = apt.run("apt-get", "--print-uris", *words)
        sizes = [int(line.split()[2]) for line in lines if line.startswith("'")]
        say(f"{len(sizes)} packages, {sum(sizes) / 1e6:.0f} MB")
        apt.run("apt-get", "--download-only", *words)
        packages = sorted((apt.place / "cache" / "archives").glob("*.deb"))
        with _replaced(programs_of(suite)) as folder:
            for package in packages:
                extract(package, folder, [f"--exclude={pattern}" for pattern in _UNUSED])
    return programs_of(suite)


@contextmanager
def _apt(suite: str) -> Iterator[_Apt]:
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UsageError(f"no {tool}: kernels are fetched on Debian and its kin")
    with tempfile.TemporaryDirectory(prefix="qda-apt-") as place:
        apt = _Apt(Path(place), suite)
        apt.run("apt-get", "update")
        yield apt


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A fresh folder, which takes the place of another when it is complete."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    yield fresh
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


class _Apt:
    """APT for arm64 and one suite, with its own lists below `place`."""

    def __init__(self, place: Path, suite: str) -> None:
        self.place = place
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
            cwd=self.place,
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
