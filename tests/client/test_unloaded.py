"""A library that cannot be loaded: the error of the load says why, and what to do in that case."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import qda
from qda.client import unloaded
from qda.errors import UNABLE_TO_LOAD
from tests.idl.native.compiler import find_compiler

URI = "file:///libcase_skel.so?case_skel_handle_invoke&_modver=1.0"
NAME = "libcase_skel.so"


def header(**fields: int) -> bytes:
    """The head of this machine's own program, as a shared object, with other fields."""
    data = bytearray(Path("/proc/self/exe").read_bytes()[:4096])
    data[40:48] = bytes(8)  # no sections
    places = {"size": 4, "order": 5, "kind": 16, "machine": 18, "sections": 40}
    for name, value in {"kind": 3, **fields}.items():
        if name in ("size", "order"):
            data[places[name]] = value
        else:
            struct.pack_into("<H", data, places[name], value)
    return bytes(data)


def link(folder: Path) -> None:
    (folder / NAME).symlink_to("nowhere")


def built(source: str, *flags: str) -> Callable[[Path], None]:
    """What compiles a library of a text."""

    def build(folder: Path) -> None:
        compiler = find_compiler()
        if compiler is None:
            pytest.skip("there is no C compiler")
        (folder / "case.c").write_text(source)
        command = [compiler, "-shared", "-fPIC", "-w", "case.c", "-o", NAME, *flags]
        subprocess.run(command, check=True, cwd=folder)

    return build


def with_lost_library(folder: Path) -> None:
    """Linked with a library that has gone since."""
    built("int helper(void) { return 1; }")(folder)
    (folder / NAME).rename(folder / "libhelper_of_case.so")
    built(f"int helper(void); {ENTRY} {{ return helper(); }}", "-L.", "-lhelper_of_case")(folder)
    (folder / "libhelper_of_case.so").unlink()


ENTRY = "int case_skel_handle_invoke(void)"
CASES: dict[str, tuple[bytes | Callable[[Path], object], str, str]] = {
    "nothing": (lambda folder: None, "no file of that name", "set DSP_LIBRARY_PATH"),
    "upper case": (
        lambda folder: (folder / "libCase_skel.so").touch(),
        "libCase_skel.so, whose name differs in upper and lower case",
        f"call it {NAME}",
    ),
    "no lib": (
        lambda folder: (folder / "case_skel.so").touch(),
        "case_skel.so, whose name differs a little",
        f"call it {NAME}",
    ),
    "folder": (lambda folder: (folder / NAME).mkdir(), f"{NAME} is no file", "put the library"),
    "pipe": (lambda folder: os.mkfifo(folder / NAME), f"{NAME} is no file", "put the library"),
    "link": (link, "is a link to nowhere, where nothing is", "mend the link"),
    "empty": (b"", "is something else", "-shared -fPIC"),
    "text": (b"not a library", "is something else", "-shared -fPIC"),
    "archive": (b"!<arch>\n", "is something else", "-shared -fPIC"),
    "object": (header(kind=1), "is something else", "-shared -fPIC"),
    "program": (header(kind=2), "is something else", "-shared -fPIC"),
    "short": (header(sections=0xFFFF), "not written to its end", "-shared -fPIC"),
    "hexagon": (header(machine=164, size=1), "another processor", "for this machine"),
    "machine": (header(machine=8), "another processor", "for this machine"),
    "bits": (header(size=1), "another processor", "for this machine"),
    "order": (header(order=2), "another processor", "for this machine"),
    "symbol": (built("int other(void) { return 0; }"), "is not in the library", "NAME_skel.c"),
    "hidden": (built(ENTRY + "{ return 0; }", "-fvisibility=hidden"), "static", "without that"),
    "plain": (
        built("int case_skel_invoke(void) { return 0; }"),
        "descends from remote_handle64",
        "make both of one text",
    ),
    "other": (
        built("int m_case_skel_handle_invoke(void) { return 0; }"),
        "of another interface",
        "compare the names",
    ),
    "undefined": (
        built(f"int nobody(void); {ENTRY} {{ return nobody(); }}"),
        "calls a function that neither it",
        "define it",
    ),
    "needed": (with_lost_library, "is linked with a library", "LD_LIBRARY_PATH"),
    "python": (
        lambda folder: (folder / "case_skel.py").write_text("x ="),
        "raises an exception when it is loaded",
        "traceback",
    ),
    "no class": (
        lambda folder: (folder / "case_skel.py").write_text("x = 1"),
        "no class of that interface",
        "derive",
    ),
}


@pytest.fixture(scope="module")
def session() -> Iterator[qda.Session]:
    with qda.open("cdsp", device="virtual") as found:
        yield found


@pytest.mark.parametrize("case", CASES)
def test_the_error_fits_the_case(
    session: qda.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """One status for all, and a cause and a next step for each; nothing of it is fatal."""
    made, cause, next_step = CASES[case]
    monkeypatch.setenv("DSP_LIBRARY_PATH", str(tmp_path))
    if isinstance(made, bytes):
        (tmp_path / NAME).write_bytes(made)
    else:
        made(tmp_path)
    with pytest.raises(qda.DspError) as caught:
        session.load(URI)
    assert caught.value.status == UNABLE_TO_LOAD
    assert cause in caught.value.cause
    assert next_step in caught.value.next_step


def test_a_file_that_may_not_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so that it is told here that it may not."""
    path = tmp_path / NAME
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    words = f"{NAME} not found; searched installed skeletons (none); {path}"
    error = qda.DspError("open", "cdsp", UNABLE_TO_LOAD, words)
    unloaded.explain_load(error)
    assert error.cause == f"{path} may not be read by this user"
    assert error.next_step == f"permit it: chmod a+r {path}"
