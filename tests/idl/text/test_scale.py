"""A text of any size takes work in proportion, and no file takes more than a limit."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from qda import limits
from qda.errors import UsageError
from qda.idl import IdlError, load, load_module, parse


def work(function: Callable[[], object]) -> int:
    """How many functions are called: a measure that no other program disturbs."""
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def interfaces(number: int) -> str:
    """A file with many interfaces."""
    one = "interface i{} {{ long f(in long x, rout long y); }};"
    return "\n".join(one.format(place) for place in range(number))


@pytest.mark.parametrize(
    "text",
    [
        interfaces,
        lambda number: "\n".join(f"struct s{k} {{ long x; }};" for k in range(number)),
        lambda number: "\n".join(f"const long c{k} = {k};" for k in range(number)),
        lambda number: f"enum e {{ {', '.join(f'e{k}' for k in range(number))} }};",
    ],
    ids=["interfaces", "structures", "constants", "enumerators"],
)
def test_twice_the_declarations_are_twice_the_work(text: Callable[[int], str]) -> None:
    """Of parsing, and of making the module."""
    load_module(text(3), name="x.idl")  # what is done once
    for made in (parse, load_module):
        few, many = (work(partial(made, text(number), name="x.idl")) for number in (200, 400))
        assert many < 2.4 * few


def test_an_interface_beside_many_types_takes_work_in_proportion() -> None:
    """Each becomes its attribute, and is compared with no other."""

    def text(number: int) -> str:
        types = (f"struct s{k} {{ long x; }}; enum e{k} {{ a{k} }};" for k in range(number))
        return "\n".join([*types, "interface i { long f(); };"])

    load(text(3), name="x.idl")
    few, many = (work(partial(load, text(number), name="x.idl")) for number in (100, 200))
    assert many < 2.4 * few
    assert load(text(3), name="x.idl").s2(x=1).x == 1


def test_one_of_many_interfaces_is_made_without_the_others() -> None:
    """A chain of 200 interfaces has 20,000 methods in all, and the last one 200."""
    chain = "interface a0 { long f0(); };\n" + "\n".join(
        f"interface a{k} : a{k - 1} {{ long f{k}(); }};" for k in range(1, 200)
    )
    last = load(chain, "a199", name="x.idl")
    assert callable(last.f0)
    assert not hasattr(last, "a3")
    with pytest.raises(UsageError, match="and 180 more; give the one"):
        load(chain, name="x.idl")


@pytest.mark.timeout(20)
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe, a device and a folder may have no end."""
    pipe = tmp_path / "pipe.idl"
    os.mkfifo(pipe)
    (tmp_path / "folder.idl").mkdir()
    large = tmp_path / "large.idl"
    with large.open("wb") as stream:
        stream.truncate(limits.IDL_FILE + 1)
    for path in (pipe, tmp_path / "folder.idl", large, Path("/dev/zero"), tmp_path / "none.idl"):
        with pytest.raises(IdlError, match="cannot find"):
            parse(f'#include "{path}"', name="x.idl")
        with pytest.raises(IdlError, match="cannot read the file; a regular one"):
            parse(path)


def test_what_cannot_be_read_is_called_by_its_kind(tmp_path: Path) -> None:
    """So that nobody looks for it."""
    os.mkfifo(tmp_path / "pipe.idl")
    (tmp_path / "loop.idl").symlink_to("loop.idl")
    (tmp_path / "stale.idl").symlink_to("nowhere.idl")
    with (tmp_path / "large.idl").open("wb") as stream:
        stream.truncate(limits.IDL_FILE + 1)
    for name, words in {
        "pipe.idl": "this is a pipe",
        ".": "this is a folder",
        "/dev/zero": "this is a device",
        "loop.idl": "Too many levels of symbolic links",
        "stale.idl": "No such file",
        "large.idl": f"this one has {limits.IDL_FILE + 1} bytes",
    }.items():
        with pytest.raises(IdlError, match=words):
            parse(tmp_path / name)


@pytest.mark.parametrize("broken", ["{", "interface i { long f(in long (", "#\n", "@", "\0", "'"])
def test_a_broken_text_is_left_after_so_many_errors(broken: str) -> None:
    """And of a line without end the part is shown that is wrong."""
    with pytest.raises(IdlError) as caught:
        parse(broken * 20_000, name="x.idl")
    assert len(caught.value.diagnostics) <= limits.IDL_ERRORS
    assert len(str(caught.value)) < 1000 * limits.IDL_ERRORS


def test_of_a_long_line_the_part_around_the_error_is_shown() -> None:
    """With the caret at its place."""
    with pytest.raises(IdlError) as caught:
        parse(f"{' ' * 5000}interface i {{ long f(in nosuch a); }};{' ' * 5000}", name="x.idl")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("nosuch a")
    assert len(shown) < 300


@pytest.mark.parametrize("deepest", ["", "interface i { long f(); };"])
def test_files_that_include_each_other_twice_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch, deepest: str
) -> None:
    """With errors or without any: on 40 levels they would be read for ever."""
    monkeypatch.setattr(limits, "IDL_FILES", 100)
    read: list[str] = []

    def content(path: str) -> str:
        read.append(path)
        level = int(path.removesuffix(".idl")) + 1
        return f'#include "{level}.idl"\n' * 2 if level < 40 else deepest

    def itself(path: str) -> str:
        read.append(path)
        return f'#include "{path}"\n' * 2

    for files in (content, itself):
        read.clear()
        with pytest.raises(IdlError, match="includes"):
            parse("0.idl", read=files)
        assert len(read) < 300


def test_what_is_included_counts_with_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes, and its words."""
    part, text = f"/*{'x' * 1000}*/", '#include "a.idl"\n' * 2
    monkeypatch.setattr(limits, "IDL_FILE", 1500)
    with pytest.raises(IdlError, match=r"x\.idl:2:.* in one text"):
        parse(text, name="x.idl", read=lambda _: part)
    monkeypatch.setattr(limits, "IDL_TOKENS", 10)
    with pytest.raises(IdlError, match="more than 10 words and signs"):
        parse(interfaces(1), name="x.idl")
