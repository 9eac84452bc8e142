"""A machine in QEMU whose memory is ours too: started, watched, ended.

Everything that leads to it is a socket pair, so nothing of it is left in the file system.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from qda.errors import UsageError
from qda.kernel.board import Board
from qda.kernel.doorbells import Doorbell, TestPort, program, serve
from qda.kernel.guest import GuestMemory
from qda.linux import die_with_parent

__all__ = ["PORTS", "Boots", "Machine", "Tools", "find_tools"]

PORTS = ("output", "errors", "status")
"""The ports of the guest's console for programs, in the order of their numbers; the channels that
a program may have beside them are the next ones."""

_PROGRAMS = {
    "qemu-system-aarch64": "qemu-system-arm",
    "dtc": "device-tree-compiler",
}
_COMPILERS = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu"}
_COMMAND_LINE = "console=ttyAMA0 panic=-1 loglevel=5 printk.time=1"


@dataclass(frozen=True)
class Tools:
    """The programs of the distribution that are needed."""

    qemu: str
    dtc: str
    compiler: str


def find_tools() -> Tools:
    """The programs that are needed.  UsageError names what is missing, and its package."""
    wanted = _PROGRAMS | _COMPILERS
    found = {name: shutil.which(name) for name in wanted}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(wanted[name] for name in missing)
        raise UsageError(f"no {', '.join(missing)}: apt-get install {packages}")
    return Tools(*(path for path in found.values() if path is not None))


class Boots(NamedTuple):
    """What a machine boots: a kernel, an initial file system, and more for the command line."""

    image: Path
    initramfs: bytes
    append: str = ""


@dataclass
class Machine:
    """A machine that runs: its process, our ends of its console, ports and channels, and its test
    port."""

    process: subprocess.Popen[bytes]
    console: socket.socket
    ports: dict[str, socket.socket]
    channels: list[socket.socket]
    port: TestPort
    _owned: ExitStack = field(repr=False)

    @classmethod
    def start(
        cls,
        tools: Tools,
        board: Board,
        memory: GuestMemory,
        doorbells: Sequence[Doorbell],
        boots: Boots,
        processors: int = 1,
        channels: int = 0,
    ) -> Machine:
        """Start one with the board's memory and doorbells.  OSError, UsageError."""
        with ExitStack() as undo:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="qda-kernel-")))
            talking = [f"channel{number}" for number in range(channels)]
            names = ("console", *PORTS, *talking, "bells", "test")
            ours, theirs = {}, {}
            for name in names:
                ours[name], theirs[name] = socket.socketpair()
                undo.callback(ours[name].close)
                undo.callback(theirs[name].close)
            machine = _machine(board, processors)
            _compile_tree(tools, machine, board, folder)
            (folder / "initramfs").write_bytes(boots.initramfs)
            backend = f"memory-backend-file,id=ram,size={board.size},share=on"
            command = [tools.qemu, *machine]
            command += ["-object", f"{backend},mem-path=/proc/self/fd/{memory.descriptor}"]
            command += ["-kernel", str(boots.image), "-initrd", str(folder / "initramfs")]
            command += ["-dtb", str(folder / "board.dtb")]
            command += ["-append", f"{_COMMAND_LINE} {boots.append}".strip()]
            command += ["-nographic", "-no-reboot", "-nodefaults", "-monitor", "none"]
            command += _devices(theirs, [*PORTS, *talking], len(board.edges))
            passed = [memory.descriptor, *(end.fileno() for end in theirs.values())]
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, pass_fds=passed, preexec_fn=die_with_parent
            )
            undo.callback(_end, process)
            for end in theirs.values():
                end.close()
            serve(ours["bells"], board.edges, doorbells)
            port = TestPort(ours["test"])
            program(port, board.edges)
            ports = {name: ours[name] for name in PORTS}
            talks = [ours[name] for name in talking]
            return cls(process, ours["console"], ports, talks, port, undo.pop_all())

    def close(self) -> None:
        """End it.  Idempotent."""
        self._owned.close()


def _machine(board: Board, processors: int) -> list[str]:
    smmu = ",iommu=smmuv3,default-bus-bypass-iommu=on" if board.smmu else ""
    words = ["-M", f"virt,gic-version=2,memory-backend=ram{smmu}", "-cpu", "cortex-a57"]
    return [*words, "-smp", str(processors), "-m", str(board.size >> 20)]


def _devices(ends: dict[str, socket.socket], ports: Sequence[str], vectors: int) -> list[str]:
    words = ["-chardev", f"socket,id=console,fd={ends['console'].fileno()}"]
    words += ["-serial", "chardev:console", "-device", "virtio-serial-device"]
    for number, name in enumerate(ports, 1):
        words += ["-chardev", f"socket,id={name},fd={ends[name].fileno()}"]
        words += ["-device", f"virtserialport,chardev={name},nr={number},name=qda.{name}"]
    words += ["-chardev", f"socket,id=bells,fd={ends['bells'].fileno()}"]
    words += ["-device", f"ivshmem-doorbell,chardev=bells,vectors={vectors},addr=1"]
    words += ["-chardev", f"socket,id=test,fd={ends['test'].fileno()}"]
    return [*words, "-object", "qtest,id=port,chardev=test,log=/dev/null"]


def _compile_tree(tools: Tools, machine: Sequence[str], board: Board, folder: Path) -> None:
    """The tree of QEMU's machine, with what is added to it."""
    dumped, source = folder / "virt.dtb", folder / "board.dts"
    words = [word.replace("virt,", f"virt,dumpdtb={dumped},", 1) for word in machine]
    backend = f"memory-backend-ram,id=ram,size={board.size}"
    _run([tools.qemu, *words, "-object", backend, "-nographic", "-nodefaults"])
    quiet = [tools.dtc, "-q", "-q"]
    text = _run([*quiet, "-I", "dtb", "-O", "dts", str(dumped)]).decode()
    source.write_text(text + board.device_tree())
    _run([*quiet, "-I", "dts", "-O", "dtb", "-o", str(folder / "board.dtb"), str(source)])


def _run(command: list[str]) -> bytes:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"{os.path.basename(command[0])} failed: {words}")
    return done.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
