"""The core without Python around it: `program.c` under each sanitizer that the compiler has, and on
processors that are not this one.

Other processors need Zig, which is a compiler for all of them (`pip install -e '.[cross]'`), and to
run there QEMU's user mode (Debian: qemu-user); the first run compiles a C library for each.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qda import limits
from qda.core import BLOCK, LANES, POOL_SIZE, Side, Traced, Woken, lane_address
from qda.core.layout import TOLD, Times
from qda.errors import (
    BAD_ADDRESS,
    BAD_ITEM,
    BAD_PARAMETER,
    BAD_STATE,
    BUSY,
    CONNECTION_RESET,
    EXPIRED,
    INTERRUPTED,
    NO_SUCH_CLIENT,
    NO_SUCH_MAP,
    PROCESS_DIED,
    RPC_FAILED,
    SKELETON_RAISED,
    UNSUPPORTED,
    WOULD_BLOCK,
    plain,
    status_of,
)
from qda.fastrpc.handles import LAST_FIXED, Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import (
    ALIGNMENT,
    DmaHandle,
    InvokeBuffer,
    PhysicalPage,
    RemoteBuffer,
    metadata_size,
)
from qda.fastrpc.queue import BufferFlag, BufferReference, PacketFlag, RingState
from qda.layout import Record
from qda.memory import PAGE
from qda.uapi.accel import InvokeElement
from tests.idl.native.compiler import find_compiler

CORE = Path(__file__).parents[2] / "native" / "core"
SOURCES = [
    Path(__file__).with_name("program.c"),
    *(CORE / f"{n}.c" for n in ("driver", "dsp", "host")),
]
FREESTANDING = ("driver.c", "dsp.c", "queue.c")

needs_compiler = pytest.mark.skipif(not find_compiler(), reason="there is no C compiler")


def compiler_for(target: str) -> list[str]:
    """The command that compiles for "here", "-m32", or what Zig calls a target."""
    if target in ("here", "-m32"):
        if not find_compiler():
            pytest.skip("there is no C compiler")
        return [find_compiler() or "", *([] if target == "here" else [target])]
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("ziglang is not installed: pip install -e '.[cross]'")
    return [sys.executable, "-m", "ziglang", "cc", "-target", target]


class Programs:
    """`program.c`, built once in each way; None where this compiler cannot do that."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._built: dict[tuple[str, ...], Path | None] = {}

    def build(self, *flags: str, target: str = "here") -> Path | None:
        """The program built with flags."""
        key = (*flags, target)
        if key not in self._built:
            program = self._folder / f"program-{len(self._built)}"
            command = [*compiler_for(target), "-g", "-O1", "-Wall", "-Wextra", "-Werror", *flags]
            command += ["-I", str(CORE), "-o", str(program), *map(str, SOURCES), "-lpthread"]
            built = subprocess.run(command, capture_output=True, text=True, check=False)
            if built.returncode and "sanitize" not in "".join(flags):
                pytest.fail(built.stderr)
            self._built[key] = None if built.returncode else program
        return self._built[key]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    return Programs(tmp_path_factory.mktemp("programs"))


@needs_compiler
@pytest.mark.parametrize(
    ("sanitizer", "mode", "count"),
    [
        ("address,undefined", "calls", 20_000),
        ("address,undefined", "lanes", 20_000),
        ("address,undefined", "hostile", 500),
        ("thread", "calls", 5_000),
        ("thread", "lanes", 20_000),
        ("none", "lanes", 400_000),
        ("none", "moments", 500),
        ("none", "forks", 1),
    ],
)
def test_nothing_is_lost_or_touched_that_should_not_be(
    programs: Programs, sanitizer: str, mode: str, count: int
) -> None:
    """Random calls good and bad; rings with random delays, whose numbers wrap; hostile writers;
    short waits that are given up when answers come late, and tried again; children of those who
    look."""
    flags = [] if sanitizer == "none" else [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    program = programs.build(*flags)
    if program is None:
        pytest.skip(f"this compiler has no sanitizer for {sanitizer}")
    run = subprocess.run(
        [program, mode, "1", str(count)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.timeout(600)  # the first time Zig compiles a C library
@pytest.mark.parametrize(
    ("target", "emulator"),
    [
        ("aarch64-linux-musl", ["qemu-aarch64"]),
        ("hexagon-linux-musl", ["qemu-hexagon", "-cpu", "v67"]),
    ],
)
@pytest.mark.parametrize(("mode", "count"), [("calls", 20_000), ("lanes", 100_000)])
def test_it_is_the_same_on_other_processors(
    programs: Programs, target: str, emulator: list[str], mode: str, count: int
) -> None:
    """ARM has a weaker order of memory than x86, Hexagon has 32 bits."""
    if not shutil.which(emulator[0]):
        pytest.skip(f"{emulator[0]} is not installed: Debian has it in qemu-user")
    program = programs.build(target=target)
    command = [*emulator, str(program), mode, "1", str(count)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


TARGETS = ["here", "-m32", "aarch64-freestanding", "hexagon-freestanding"]


@pytest.mark.parametrize("target", TARGETS)
def test_the_core_needs_no_libc(target: str, tmp_path: Path) -> None:
    """What runs on Hexagon, too, includes only what every compiler brings; on 32 bits as on 64."""
    for name in FREESTANDING:
        command = [*compiler_for(target), "-std=c11", "-ffreestanding", "-Wall", "-Wextra"]
        command += ["-Wconversion", "-Werror", "-c", str(CORE / name)]
        command += ["-o", str(tmp_path / "object.o")]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr


RECORDS: list[tuple[str, type[Record], str]] = [
    ("qda_element", InvokeElement, "address length fd attributes"),
    ("qda_message", InvokeMessage, "client_id tid context handle scalars address size"),
    ("qda_response", Response, "context result"),
    ("qda_remote_buffer", RemoteBuffer, "pv length"),
    ("qda_dma_handle", DmaHandle, "fd offset length"),
    ("qda_listed", InvokeBuffer, "pages index"),
    ("qda_page", PhysicalPage, "address size"),
    ("qda_side", Side, "bell sleeps cpu timed record rest"),
    ("qda_times", Times, "begun ended process thread"),
    (
        "qda_traced",
        Traced,
        "begun sent answered ended method.begun method.ended method.process method.thread copied "
        "shared longest handle scalars number result thread client_id domain unused",
    ),
    ("qda_ring_state", RingState, "position packets waits"),
    ("qda_packet_buffer", BufferReference, "fd size offset flags address"),
]

QUEUE_STATUSES = {
    "EXPIRED": EXPIRED,
    "BAD_STATE": BAD_STATE,
    "BAD_PARAMETER": BAD_PARAMETER,
    "BAD_ITEM": BAD_ITEM,
    "BUSY": BUSY,
    "RESET": CONNECTION_RESET,
    "INTERRUPTED": INTERRUPTED,
    "NO_SUCH_MAP": NO_SUCH_MAP,
    "NO_THREAD": status_of("AEE_EQURTTHREADCREATE"),
    "RPC": RPC_FAILED,
    "WOULD_BLOCK": WOULD_BLOCK,
}

PACKET_FLAGS = {
    "MESSAGE": "MESSAGE",
    "BUFFERS": "BUFFERS",
    "WAKEUP": "WAKEUP",
    "READY": "USER_READY",
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_records_are_those_of_python(target: str, tmp_path: Path) -> None:
    """Sizes, places and numbers, asserted by the compiler."""
    lines = [f'#include "{name}.h"' for name in ("dsp", "driver", "host", "queue")]
    equal = {
        "QDA_LANES": LANES,
        "QDA_SLOT": BLOCK,
        "QDA_POOL": POOL_SIZE,
        "QDA_TAIL": metadata_size(0),
        "QDA_PER_ARGUMENT": metadata_size(1) - metadata_size(0),
        "QDA_ALIGNMENT": ALIGNMENT,
        "QDA_PAGE": PAGE,
        "QDA_LONGEST": limits.ARGUMENT,
        "QDA_CONTROL_HANDLE": int(Fixed.INIT),
        "QDA_LAST_FIXED": LAST_FIXED,
        "QDA_FAILED": SKELETON_RAISED,
        "QDA_BAD_STATE": BAD_STATE,
        "QDA_DIED": PROCESS_DIED,
        "QDA_TOLD": TOLD,
        "QDA_BAD_PARAMETER": BAD_PARAMETER,
        "QDA_BAD_ADDRESS": BAD_ADDRESS,
        "QDA_NO_SUCH_CLIENT": NO_SUCH_CLIENT,
        "QDA_UNSUPPORTED": UNSUPPORTED,
        **{f"QDA_QUEUE_{name}": plain(status) for name, status in QUEUE_STATUSES.items()},
        **{f"QDA_PACKET_{name}": PacketFlag[word] for name, word in PACKET_FLAGS.items()},
        "QDA_BUFFER_REF": BufferFlag.REF,
        "QDA_BUFFER_DEREF": BufferFlag.DEREF,
        "QDA_PACKET_MOST_BUFFERS": limits.QUEUE_BUFFERS,
        "QDA_PACKET_LONGEST": limits.QUEUE_MESSAGE,
        "QDA_WAKEUP_WAIT": limits.WAKEUP_WAIT,
        "QDA_WAKEUP_LONGEST": limits.WAKEUP_LONGEST,
        **{f"QDA_{woken.name}": woken.value for woken in Woken},
        "sizeof(struct qda_lane)": lane_address(0, 1),
    }
    for name, record, words in RECORDS:
        equal[f"sizeof(struct {name})"] = record.byte_size
        for word, field in zip(words.split(), record.fields, strict=True):
            equal[f"offsetof(struct {name}, {word})"] = field.offset
    lines += [f'_Static_assert({what} == {number}u, "{what}");' for what, number in equal.items()]
    source = tmp_path / "equal.c"
    source.write_text("\n".join([*lines, ""]))
    command = [*compiler_for(target), "-std=c11", "-ffreestanding", "-I", str(CORE)]
    command += ["-c", str(source), "-o", str(tmp_path / "equal.o")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def test_the_walls_stand_in_c_too() -> None:
    """The driver's side and the DSP's share the wire and the lane, and nothing else."""
    allowed = {
        "wire.h": {"<stddef.h>", "<stdint.h>"},
        "lane.h": {"<stdatomic.h>", "<stdint.h>", '"wire.h"'},
        "driver.h": {'"lane.h"', '"wire.h"'},
        "dsp.h": {'"lane.h"', '"wire.h"'},
        "driver.c": {'"driver.h"'},
        "dsp.c": {'"dsp.h"'},
        "queue.h": {"<stdatomic.h>", "<stddef.h>", "<stdint.h>"},
        "queue.c": {'"queue.h"', '"wire.h"'},
    }
    for name, names in allowed.items():
        lines = (CORE / name).read_text().splitlines()
        included = {line.split()[1] for line in lines if line.startswith("#include")}
        assert included <= names, name
