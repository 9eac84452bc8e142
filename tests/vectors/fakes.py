"""A client, a message buffer and a DSP made from a vector's literals."""

from __future__ import annotations

import hashlib
from typing import Any

from qda.driver.memory import Awaited, wait_for
from qda.interrupts import Deadline
from qda.linux import Area
from qda.memory import PAGE, ClientAddress
from qda.uapi.accel import InvokeElement
from tests.literal import LiteralClient

Case = dict[str, Any]

ARGUMENTS_AT = 0x10000010000
"""Where the argument array is mapped on top of the listed memory."""

STRUCTURE_AT = ClientAddress(1 << 62)
"""Where structures of ioctls are: far from whatever a vector lists."""

ORDINARY = (0, 0, 0)
"""Identity of mappings that are not of a buffer object."""


class FakeMessage:
    """A message buffer at the addresses that a vector gives."""

    def __init__(self, size: int, device_address: int) -> None:
        self.data = bytearray(size)
        self.view = memoryview(self.data)
        self.process_address = 0
        self.device_address = device_address


class FakeClient(LiteralClient):
    """A client whose memory and mappings are those that a vector lists."""

    def __init__(self, given: Case, page_offset: int) -> None:
        super().__init__()
        self.pid = self.tid = given["pid"]
        self.is_admin = True
        self.comm = given.get("comm", "app").encode()
        self.limit = page_offset
        self.regions = [
            (entry["addr"], bytearray(_content(entry)), entry.get("readonly", False))
            for entry in given["memory"]
        ]
        elements = b"".join(InvokeElement.codec.pack(*entry) for entry in given.get("args", ()))
        self._on_top = (
            [(ARGUMENTS_AT, bytearray(elements), True)]
            if given.get("args_ptr") == ARGUMENTS_AT
            else []
        )
        self._structure = (STRUCTURE_AT, bytearray(), False)
        self.interrupted = False

    def place(self, structure: bytes) -> ClientAddress:
        """Have a structure in memory, for an ioctl; where it is."""
        self._structure = (STRUCTURE_AT, bytearray(structure), False)
        return STRUCTURE_AT

    def _find(self, address: int, length: int, write: bool) -> tuple[bytearray, int] | None:
        for start, data, read_only in (self._structure, *self._on_top, *self.regions):
            if start <= address and address + length <= start + len(data):
                return None if write and read_only else (data, address - start)
        return None

    def read(self, address: int, length: int) -> bytes | None:
        found = self._find(address, length, write=False)
        return bytes(found[0][found[1] : found[1] + length]) if found else None

    def write(self, address: int, data: bytes) -> bool:
        found = self._find(address, len(data), write=True)
        if found is None:
            return False
        found[0][found[1] : found[1] + len(data)] = data
        return True

    def wait(self, answer: Awaited, within: Deadline | None) -> None:
        if self.interrupted:
            raise InterruptedError(4, "a signal")
        wait_for(answer, within)

    def hashes(self) -> list[str]:
        return [hashlib.sha256(data).hexdigest() for _, data, _ in self.regions]


def _content(entry: Case) -> bytes:
    if "shake128" in entry:
        return hashlib.shake_128(entry["shake128"].encode()).digest(entry["size"])
    return bytes.fromhex(entry["hex"]).ljust(entry["size"], b"\0")


def areas_of(given: Case, identities: dict[int, tuple[int, int, int]]) -> list[Area]:
    """The vector's mappings, each with the object that it shows.

    The vectors do not say which mapping belongs to which object; the sizes do: a run of mappings
    that follow each other ends where its object does.  What has contents is ordinary memory.
    `identities` is by GEM handle.
    """
    ordinary = {entry["addr"] for entry in given["memory"]}
    left = {entry["handle"]: entry["size"] for entry in given["gem"]}
    found: list[Area] = []
    runs: list[list[list[int]]] = []
    for vma in given["vma"]:
        last = runs[-1][-1] if runs else None
        follows = last is not None and vma[0] == last[1]
        if follows and last is not None and vma[2] == last[2] + (last[1] - last[0]) // PAGE:
            runs[-1].append(vma)
        else:
            runs.append([vma])
    for run in runs:
        size = run[0][2] * PAGE + run[-1][1] - run[0][0]
        is_ordinary = run[0][0] in ordinary
        handle = next((n for n, wanted in left.items() if wanted == size and not is_ordinary), 0)
        left.pop(handle, None)
        identity = identities.get(handle, ORDINARY)
        found += [Area(start, end, offset * PAGE, identity) for start, end, offset in run]
    return found


def fill(index: int, length: int) -> bytes:
    """What the vectors' DSP writes into output buffer `index`."""
    return bytes((37 * place + 101 * index + 11) % 256 for place in range(length))
