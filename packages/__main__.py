"""Make a source distribution and the wheels of all platforms: `make packages`.

The wheels are made of the source distribution, so that it is known to be whole.  Zig compiles the C
parts for the libc of the platform, an old one of its kind, on any machine.  From their symbols
auditwheel finds out which systems with glibc that is, and names the wheel for them; of musl there
is one version to name, and a library that needs it looks like one of glibc's to auditwheel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from packages.contents import surprises

ROOT: Final = Path(__file__).resolve().parent.parent

PLATFORMS: Final = {
    "manylinux-x86_64": "x86_64-linux-gnu.2.28",
    "manylinux-aarch64": "aarch64-linux-gnu.2.28",
    "musllinux-x86_64": "x86_64-linux-musl",
    "musllinux-aarch64": "aarch64-linux-musl",
}
"""What each wheel is compiled for, in Zig's words: 2.28 is the glibc of distributions of 2018."""


def main() -> None:
    """Make them, and say what there is."""
    parser = argparse.ArgumentParser("packages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the packages")
    parser.add_argument("--only", choices=PLATFORMS, help="the wheel of this platform alone")
    options = parser.parse_args()
    console = Console()
    made: list[Path] = []
    with tempfile.TemporaryDirectory(prefix="qda-packages-") as name:
        folder = Path(name)
        with console.status("source distribution"):
            archive = _source(folder)
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        source = folder / archive.name.removesuffix(".tar.gz")
        for platform in [options.only] if options.only else PLATFORMS:
            with console.status(f"wheel for {platform}"):
                made.append(_wheel(source, platform, folder / platform))
        for wheel in made:
            if wrong := surprises(wheel, source):
                sys.exit(f"{wheel.name}: " + "; ".join(wrong))
        options.output.mkdir(parents=True, exist_ok=True)
        made = [Path(shutil.copy(file, options.output)) for file in (archive, *made)]
    table = Table("package", "KiB", title=f"Packages in {options.output}")
    for file in made:
        table.add_row(file.name, f"{file.stat().st_size / 1024:,.0f}")
    console.print(table)


def _source(folder: Path) -> Path:
    """Make the source distribution."""
    _run("-m", "build", "--sdist", "--outdir", folder, ROOT)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _wheel(source: Path, platform: str, folder: Path) -> Path:
    """Make the wheel of a platform, under the name of the systems that it runs on."""
    target = PLATFORMS[platform]
    variables = {
        "CC": f"{_zig()} cc -target {target}",
        "_PYTHON_HOST_PLATFORM": f"linux-{target.partition('-')[0]}",
    }
    shutil.rmtree(source / "build", ignore_errors=True)
    _run("-m", "build", "--wheel", "--outdir", folder, source, **variables)
    (plain,) = folder.glob("*.whl")
    if plain.name.endswith("-none-any.whl"):
        sys.exit(f"packages: the C parts cannot be compiled for {platform}; try with {variables}")
    if target.endswith("-musl"):
        systems = f"musllinux_1_2_{target.partition('-')[0]}"
        _run("-m", "wheel", "tags", "--remove", "--platform-tag", systems, plain)
    else:
        _run("-m", "auditwheel", "repair", "--wheel-dir", plain.parent, plain)
        plain.unlink()
    (named,) = plain.parent.glob("*.whl")
    return named


def _zig() -> Path:
    """The compiler, from its package."""
    package = find_spec("ziglang")
    if not package or not package.origin:
        sys.exit("packages: Zig is missing: pip install 'qda-accel[packages]'")
    return Path(package.origin).with_name("zig")


def _run(*arguments: str | Path, **variables: str) -> None:
    """Run a module of Python, silently unless it fails; the tools of its environment are found."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PATH": path, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if ran.returncode:
        sys.exit(f"{ran.stdout}packages: {' '.join(map(str, arguments))} failed")


if __name__ == "__main__":
    main()
