"""The core without Python around it: `program.c` under each sanitizer that the compiler has."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from qda import limits
from qda.core import BLOCK, LANES, POOL_SIZE, Side, Woken, lane_address
from qda.errors import BAD_ADDRESS, BAD_PARAMETER, NO_SUCH_CLIENT, SKELETON_RAISED
from qda.fastrpc.handles import Fixed
from qda.fastrpc.message import InvokeMessage, Response
from qda.fastrpc.payload import (
    ALIGNMENT,
    DmaHandle,
    InvokeBuffer,
    PhysicalPage,
    RemoteBuffer,
    metadata_size,
)
from qda.layout import Record
from qda.memory import PAGE
from qda.uapi.accel import InvokeElement
from tests.idl.native.compiler import find_compiler

CORE = Path(__file__).parents[2] / "native" / "core"
SOURCES = [
    Path(__file__).with_name("program.c"),
    *(CORE / f"{n}.c" for n in ("driver", "dsp", "host")),
]
FREESTANDING = ("driver.c", "dsp.c")

needs_compiler = pytest.mark.skipif(not find_compiler(), reason="there is no C compiler")


def compiles(folder: Path, *flags: str) -> Path | None:
    """The program built with flags, None if this compiler cannot do that."""
    program = folder / "program"
    command = [find_compiler() or "", "-g", "-O1", "-Wall", "-Wextra", "-Werror", *flags]
    command += ["-I", str(CORE), "-o", str(program), *map(str, SOURCES), "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode and "sanitize" not in "".join(flags):
        pytest.fail(built.stderr)
    return None if built.returncode else program


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
    ],
)
def test_nothing_is_lost_or_touched_that_should_not_be(
    sanitizer: str, mode: str, count: int, tmp_path: Path
) -> None:
    """Random calls good and bad; rings with random delays, whose numbers wrap; hostile writers;
    short waits that are given up when answers come late, and tried again."""
    flags = [] if sanitizer == "none" else [f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all"]
    program = compiles(tmp_path, *flags)
    if program is None:
        pytest.skip(f"this compiler has no sanitizer for {sanitizer}")
    run = subprocess.run(
        [program, mode, "1", str(count)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@needs_compiler
@pytest.mark.parametrize("flags", [(), ("-m32",)])
def test_the_core_needs_no_libc(flags: tuple[str, ...], tmp_path: Path) -> None:
    """What runs on Hexagon, too, includes only what every compiler brings; on 32 bits as on 64."""
    for name in FREESTANDING:
        command = [find_compiler() or "", "-std=c11", "-ffreestanding", "-Wall", "-Wextra"]
        command += ["-Wconversion", "-Werror", *flags, "-c", str(CORE / name)]
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
    ("qda_side", Side, "bell sleeps cpu unused record rest"),
]


@needs_compiler
def test_the_records_are_those_of_python(tmp_path: Path) -> None:
    """Sizes, places and numbers, asserted by the compiler."""
    lines = ['#include "dsp.h"', '#include "driver.h"', '#include "host.h"']
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
        "QDA_FAILED": SKELETON_RAISED,
        "QDA_BAD_PARAMETER": BAD_PARAMETER,
        "QDA_BAD_ADDRESS": BAD_ADDRESS,
        "QDA_NO_SUCH_CLIENT": NO_SUCH_CLIENT,
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
    command = [find_compiler() or "", "-std=c11", "-I", str(CORE), "-fsyntax-only", str(source)]
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
    }
    for name, names in allowed.items():
        lines = (CORE / name).read_text().splitlines()
        included = {line.split()[1] for line in lines if line.startswith("#include")}
        assert included <= names, name
