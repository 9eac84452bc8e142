"""The guest's initial file system, an archive in the kernel's own format (cpio, "newc")."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Link", "after", "archive", "tree"]

_MAGIC = "070701"


@dataclass(frozen=True)
class Link:
    """A symbolic link in the guest."""

    target: str


def tree(folder: Path, place: str) -> dict[str, Path | bytes | Link]:
    """All files of a folder by where they stand in the guest, below `place`; links within it stay
    links, others are what they lead to."""
    found: dict[str, Path | bytes | Link] = {}
    for path in sorted(folder.rglob("*")):
        here = f"{place}/{path.relative_to(folder)}"
        if path.is_symlink() and _leads_within(path, folder):
            found[here] = Link(os.readlink(path))
        elif path.is_file():
            found[here] = path
    return found


def _leads_within(link: Path, folder: Path) -> bool:
    target = Path(os.readlink(link))
    whole = Path(os.path.normpath(link.parent / target))
    return not target.is_absolute() and whole.is_relative_to(folder)


def archive(files: Mapping[str, Path | bytes | Link]) -> bytes:
    """An archive of files by their absolute paths; bytes are what a file has in it, one that is a
    path keeps its permissions.  Folders are made as they are needed.  OSError."""
    entries, known = list[bytes](), set[str]()
    for place, source in files.items():
        parts = place.strip("/").split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            if folder not in known:
                known.add(folder)
                entries.append(_entry(folder, stat.S_IFDIR | 0o755, b"", len(entries)))
        if isinstance(source, Link):
            mode, content = stat.S_IFLNK | 0o777, source.target.encode()
        elif isinstance(source, bytes):
            mode, content = stat.S_IFREG | 0o755, source
        else:
            mode, content = stat.S_IFREG | stat.S_IMODE(source.stat().st_mode), source.read_bytes()
        entries.append(_entry("/".join(parts), mode, content, len(entries)))
    return b"".join([*entries, _entry("TRAILER!!!", 0, b"", len(entries))])


def after(base: bytes, more: bytes) -> bytes:
    """An archive behind another, which may be compressed: where both have a file, it is that of the
    second (Documentation/driver-api/early-userspace/buffer-format)."""
    return _padded(base) + more


def _entry(name: str, mode: int, content: bytes, number: int) -> bytes:
    text = name.encode() + b"\0"
    fields = [number + 1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(text), 0]
    head = (_MAGIC + "".join(f"{field:08x}" for field in fields)).encode() + text
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
