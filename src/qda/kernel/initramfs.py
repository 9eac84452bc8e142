"""The guest's initial file system, an archive in the kernel's own format (cpio, "newc")."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

__all__ = ["archive", "tree"]

_MAGIC = "070701"


def tree(folder: Path, place: str) -> dict[str, Path]:
    """All files of a folder by where they stand in the guest, below `place`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {f"{place}/{path.relative_to(folder)}": path for path in files}


def archive(files: Mapping[str, Path | bytes]) -> bytes:
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
        if isinstance(source, bytes):
            mode, content = 0o755, source
        else:
            mode, content = stat.S_IMODE(source.stat().st_mode), source.read_bytes()
        entries.append(_entry("/".join(parts), stat.S_IFREG | mode, content, len(entries)))
    return b"".join([*entries, _entry("TRAILER!!!", 0, b"", len(entries))])


def _entry(name: str, mode: int, content: bytes, number: int) -> bytes:
    text = name.encode() + b"\0"
    fields = [number + 1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(text), 0]
    head = (_MAGIC + "".join(f"{field:08x}" for field in fields)).encode() + text
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
