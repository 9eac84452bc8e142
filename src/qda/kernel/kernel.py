"""Which kernel runs in the guest: an image, and the modules that it has its drivers in.

A kernel of a distribution is a package, of which an image and a few modules are kept; a kernel of
one's own is an image, and modules by their files.  Modules name what they depend on themselves.
"""

from __future__ import annotations

import gzip
import lzma
import re
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qda.errors import UsageError
from qda.kernel.deb import extract
from qda.kernel.machine import Tools

__all__ = ["NEEDED", "Kernel", "compiled", "missing_from", "unpack"]

_WANTED = ("virtio_mmio", "qcom-apcs-ipc-mailbox", "fastrpc", "qcom_glink_rpm")
"""The modules that a stock kernel has its part of the board in; what it has built in is missing."""

NEEDED = (
    "CONFIG_OF",
    "CONFIG_MODULES",
    "CONFIG_DEVTMPFS",
    "CONFIG_RPMSG_QCOM_GLINK_RPM",
    "CONFIG_QCOM_APCS_IPC",
    "CONFIG_ARM_GIC",
    "CONFIG_VIRTIO_MMIO",
    "CONFIG_VIRTIO_CONSOLE",
    "CONFIG_SERIAL_AMBA_PL011_CONSOLE",
)
"""What a kernel must have switched on, built in or as a module, besides the driver to be tried."""

_PACKED, _CONFIG = b"\x1f\x8b", b"IKCFG_ST"
_INIT = Path(__file__).parent / "init.c"
_FLAGS = ["-static", "-nostdlib", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-Os"]


def missing_from(config: str) -> list[str]:
    """Which of `NEEDED` a kernel's config has not switched on."""
    on = set(re.findall(r"^(CONFIG_\w+)=[ym]$", config, re.MULTILINE))
    return [option for option in NEEDED if option not in on]


def _check(name: str, config: str) -> None:
    missing = missing_from(config)
    if missing:
        raise UsageError(f"{name} has not {', '.join(missing)}")


def _config_in(image: bytes) -> str | None:
    """The config that a kernel has in it, if it has; behind a word that says so (kernel/configs.c),
    it is packed by itself."""
    if image.startswith(_PACKED):
        image = gzip.decompress(image)
    start = image.find(_CONFIG)
    if start < 0:
        return None
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(image[start + 8 :]).decode()
    except (zlib.error, UnicodeDecodeError):
        return None


@dataclass(frozen=True)
class Kernel:
    """An image, and modules in the order in which they are loaded."""

    image: Path
    modules: Sequence[Path] = ()

    @classmethod
    def of_package(cls, root: Path, more: Sequence[Path] = ()) -> Kernel:
        """The kernel of a package that was unpacked at `root`, and more modules behind its own.
        UsageError for a package of something else."""
        images = sorted(root.glob("boot/vmlinuz-*"))
        if not images:
            raise UsageError(f"{root}: no boot/vmlinuz-* is in it, as in a kernel's package")
        for config in root.glob("boot/config-*"):
            _check(config.name, config.read_text())
        known = {_name(path): path for path in root.rglob("*.ko*")}
        wanted = [known[_plain(name)] for name in _WANTED if _plain(name) in known]
        return cls(images[-1], _with_dependencies([*wanted, *more], known))

    @classmethod
    def of_image(cls, image: Path, modules: Sequence[Path]) -> Kernel:
        """A kernel of one's own; modules are loaded in the order in which they need each other.
        UsageError for one that has its config in it (CONFIG_IKCONFIG), and lacks something."""
        for path in (image, *modules):
            if not path.is_file():
                raise UsageError(f"{path}: no such file")
        config = _config_in(image.read_bytes())
        if config is not None:
            _check(f"the config of {image.name}", config)
        known = {_name(path): path for path in modules}
        return cls(image, _with_dependencies(modules, known))

    def files(self, tools: Tools) -> dict[str, Path | bytes]:
        """What of it stands in the guest's initial file system: the first process, the modules, and
        a list of them.  UsageError if the first process cannot be compiled."""
        places = [f"/qda/modules.d/{_name(path)}.ko" for path in self.modules]
        program = compiled(_INIT, tools)
        contents = dict(zip(places, map(_content, self.modules), strict=True))
        listed = "".join(f"{place}\n" for place in places).encode()
        return {"/init": program, "/qda/modules": listed, **contents}


def compiled(source: Path, tools: Tools, *more: str) -> bytes:
    """A program for the guest of one C file that needs no C library.  UsageError."""
    with tempfile.TemporaryDirectory(prefix="qda-guest-") as folder:
        built = Path(folder, "program")
        command = [tools.compiler, *_FLAGS, *more, "-o", str(built), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise UsageError(f"{tools.compiler} cannot compile for the guest: {done.stderr}")
        return built.read_bytes()


def unpack(package: Path, root: Path) -> None:
    """Keep of a kernel's package what is needed, below `root`.  UsageError."""
    drivers = ("virtio", "rpmsg", "mailbox", "misc/fastrpc*", "accel")
    patterns = ["./boot/vmlinuz-*", "./boot/config-*"]
    patterns += [f"./*/modules/*/drivers/{name}*" for name in drivers]
    extract(package, root, ["--wildcards", *patterns])


def _with_dependencies(modules: Sequence[Path], known: dict[str, Path]) -> list[Path]:
    ordered: list[Path] = []

    def add(path: Path, inside: frozenset[Path]) -> None:
        if path in ordered or path in inside:
            return
        for name in _depends(_content(path)):
            if name in known:
                add(known[name], inside | {path})
        ordered.append(path)

    for path in modules:
        add(path, frozenset())
    return ordered


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _name(module: Path) -> str:
    return _plain(module.name.split(".ko")[0])


def _content(module: Path) -> bytes:
    content = module.read_bytes()
    if module.suffix == ".xz":
        return lzma.decompress(content)
    if module.suffix == ".gz":
        return gzip.decompress(content)
    if module.suffix == ".zst":
        raise UsageError(f"{module}: unpack it first, with zstd -d")
    return content


def _depends(module: bytes) -> list[str]:
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    return [_plain(name) for name in found[1].decode().split(",") if name] if found else []
