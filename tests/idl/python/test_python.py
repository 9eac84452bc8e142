"""The Python back end: interfaces as classes, at run time and as written modules."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import qda
from qda.errors import SKELETON_RAISED, UNSUPPORTED
from qda.fastrpc.scalars import Scalars
from qda.idl import RawCall
from qda.idl.python import write_module
from qda.idl.wire.lifecycle import VERSION_MISMATCH

SHAPES = """
#include "remote.idl"
const string IDL_VERSION = "1.2.0";
enum colour { red, green, class };
/** Counted things. */
struct pair { long first; octet bytes[3]; boolean good; colour shade; };
interface shapes : remote_handle64 {
    const long LIMIT = 0x10; ///< the most
    struct named { string name; pair details; sequence<double> data; };
    /**
     * Add numbers.
     * @param vec the numbers
     */
    long sum(in sequence<long> vec, rout long long res);
    long nothing();
    long scale(in sequence<short> vec, in short factor, rout sequence<short> scaled);
    long grow(inrout string text, inrout sequence<long> numbers, inrout double number);
    long complex(in named given, rout named result, rout sequence<string> words);
    long lambda(in long from, rout long close);
    long invoke(in boolean name, rout boolean yes, rout colour shade, rout wchar letter);
    async long later(in sequence<octet> given, rout sequence<octet> result);
    long pairs(in sequence<pair> given, rout sequence<pair> result);
    long fails(in unsigned long status);
    long undone();
    long texts(in sequence<wstring> given, rout wstring joined);
    long shared(in dmahandle given, rout dmahandle filled);
};
"""


@pytest.fixture(scope="module")
def shapes() -> Any:
    """The interface, made at run time."""
    return qda.idl.load(SHAPES, name="shapes.idl")


def implementation(shapes: Any) -> Any:
    """An implementation of all but one of its methods."""

    class MyShapes(shapes.Skeleton):  # type: ignore[misc]
        def sum(self, vec):  # type: ignore[no-untyped-def]
            return int(vec.sum())

        undone = shapes.Skeleton.undone

        def nothing(self):  # type: ignore[no-untyped-def]
            pass

        def scale(self, vec, factor, scaled):  # type: ignore[no-untyped-def]
            scaled[:] = vec * factor

        def grow(self, text, numbers, number):  # type: ignore[no-untyped-def]
            numbers += 1
            return text * 2, numbers, number / 2

        def complex(self, given, result, words):  # type: ignore[no-untyped-def]
            assert result["name"] == 20 and len(result["data"]) == 4
            details = shapes.pair(given.details.first + 1, b"xyz", True, shapes.colour.green)
            result["data"][:2] = given.data[:2]
            return shapes.named(given.name.upper(), details, None), [f"{n} units" for n in words]

        def lambda_(self, from_):  # type: ignore[no-untyped-def]
            return -from_

        def invoke_(self, name):  # type: ignore[no-untyped-def]
            return not name, 77, ord("é")

        def later(self, given, result):  # type: ignore[no-untyped-def]
            return bytes(reversed(given))

        def pairs(self, given, result):  # type: ignore[no-untyped-def]
            result[:] = given[::-1]

        def fails(self, status):  # type: ignore[no-untyped-def]
            raise qda.StatusError(status, "as you wish")

        def texts(self, given, joined):  # type: ignore[no-untyped-def]
            return "".join(given)[: joined - 1]

        def shared(self, given, filled):  # type: ignore[no-untyped-def]
            filled.view[:] = given.view

    return MyShapes


@pytest.fixture(scope="module")
def session() -> Iterator[qda.Session]:
    """A session on the virtual device."""
    with qda.open("cdsp", device="virtual") as session:
        yield session


@pytest.fixture(scope="module")
def remote(shapes: Any, session: qda.Session) -> Iterator[Any]:
    """The implementation, on the DSP."""
    with session.load(implementation(shapes)) as remote:
        yield remote


def test_a_method_takes_and_returns_what_the_interface_says(remote: Any) -> None:
    """Lists and arrays go in, numbers come out; None for a method without results."""
    assert remote.sum([1, 2, 3]) == 6
    assert remote.sum(np.arange(1000)) == 499500
    assert remote.nothing() is None


def test_a_result_needs_room_by_number_or_by_memory(remote: Any) -> None:
    """The caller's array is filled in place, and is itself the result."""
    assert remote.scale([1, -2], 3, 2).tolist() == [3, -6]
    room = np.zeros(2, np.int16)
    assert remote.scale([1, -2], 3, room) is room
    assert room.tolist() == [3, -6]


def test_inrout_parameters_are_arguments_and_results(remote: Any) -> None:
    """A string's room is its own length unless more is offered."""
    result = remote.grow("ab", [1, 2], 5.0, text_capacity=10)
    assert result.text == "abab"
    assert result.numbers.tolist() == [2, 3]
    assert result.number == 2.5
    assert remote.grow("", [], 1).text == ""


def test_structures_are_dataclasses_at_both_ends(shapes: Any, remote: Any) -> None:
    """Also within sequences of strings and arrays; a dictionary does as well."""
    given = shapes.named("dot", shapes.pair(1, b"abc", False, shapes.colour.red), [1.0, 2.0])
    result, words = remote.complex(given, {"name": 20, "data": 4}, [20, 30])
    assert result.name == "DOT"
    assert result.details == shapes.pair(2, b"xyz", True, shapes.colour.green)
    assert result.data.tolist() == [1.0, 2.0, 0.0, 0.0]
    assert words == ["20 units", "30 units"]
    given = {"name": "dot", "details": given.details, "data": (3.0, 4.0)}
    result, _ = remote.complex(given, {"name": 20, "data": 4}, [])
    assert result.data.tolist() == [3.0, 4.0, 0.0, 0.0]


def test_names_that_python_needs_get_an_underscore(shapes: Any, remote: Any) -> None:
    """Keywords, and what the classes have themselves."""
    assert remote.lambda_(5) == -5
    assert shapes.colour.class_ == 2
    assert "from_" in inspect.signature(shapes.lambda_).parameters


def test_an_enumerator_without_a_name_is_kept(shapes: Any, remote: Any) -> None:
    """Four bytes may hold any number (5.1)."""
    result = remote.invoke_(True)
    assert result.yes is False
    assert isinstance(result.shade, shapes.colour)
    assert result.shade == 77
    assert result.letter == ord("é")


def test_an_async_method_can_be_awaited_or_asked(remote: Any) -> None:
    """With and without an event loop."""

    async def both() -> list[Any]:
        started = remote.later(b"abc", 3), remote.later(b"d", 1)
        return list(await asyncio.gather(*map(_await, started)))

    assert [bytes(one) for one in asyncio.run(both())] == [b"cba", b"d"]
    assert bytes(remote.later(b"xy", 2).result(timeout=30)) == b"yx"


async def _await(pending: Any) -> Any:
    return await pending


def test_any_method_can_be_started(remote: Any) -> None:
    """Several calls at once, each with its result."""
    pending = [qda.start(remote.sum, [number, 1]) for number in range(8)]
    assert [one.result(timeout=30) for one in pending] == list(range(1, 9))
    failing = qda.start(remote.fails, 0x8000040E)
    with pytest.raises(qda.DspError):
        failing.result(timeout=30)


def test_sequences_of_structures_are_structured_arrays(shapes: Any, remote: Any) -> None:
    """Dataclasses go in as well; arrays are views."""
    pairs = [shapes.pair(number, b"abc", True, 1) for number in range(3)]
    result = remote.pairs(pairs, 3)
    assert result["first"].tolist() == [2, 1, 0]
    assert bytes(result["bytes"][0]) == b"abc"
    assert remote.pairs(result, 3)["first"].tolist() == [0, 1, 2]


def test_what_a_skeleton_raises_is_the_status(remote: Any) -> None:
    """A StatusError its own, anything else 0x80000401, a missing method 0x80000414."""
    for call, status in (
        (lambda: remote.fails(0x8000040E), 0x8000040E),
        (lambda: remote.fails(7), 7),
        (remote.undone, UNSUPPORTED),
        (lambda: remote.scale([1, 2, 3], 2, 2), SKELETON_RAISED),
    ):
        with pytest.raises(qda.DspError) as caught:
            call()
        assert caught.value.status == status
    with pytest.raises(qda.DspError, match=r"shapes\.fails on cdsp: 0x8000040E AEE_EBADPARM"):
        remote.fails(0x8000040E)


def test_wide_strings_and_handles(session: qda.Session, remote: Any) -> None:
    """UTF-16 both ways; a buffer of the session is a dmahandle, without a copy."""
    assert remote.texts(["grün", "🎵"], 20) == "grün🎵"
    assert remote.texts(["abcdef"], 4) == "abc"
    given, filled = session.empty(16, np.uint8), session.empty(16, np.uint8)
    given[:] = 7
    remote.shared(given, filled)
    assert filled.tolist() == [7] * 16


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda remote: remote.sum([1 << 40]), "sum: parameter vec: .* -2147483648 to 2147483647"),
        (lambda remote: remote.sum(["x"]), "parameter vec"),
        (lambda remote: remote.scale([1], 1 << 20, 1), "parameter factor: 1048576 does not fit"),
        (lambda remote: remote.scale([1], 1, None), "parameter scaled: no room"),
        (lambda remote: remote.grow(5, [], 1.0), "parameter text: 5 is no text"),
        (lambda remote: remote.complex({}, {}, []), "parameter given: .* no member 'name'"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(remote: Any, call: Any, words: str) -> None:
    """Method, parameter, and what was given."""
    with pytest.raises(qda.QdaError, match=words) as caught:
        call(remote)
    assert isinstance(caught.value, ValueError | TypeError)


def test_help_shows_signature_and_words(shapes: Any) -> None:
    """What the IDL says about a method is its docstring, with the declaration."""
    shown = "(self, vec: 'runtime.Numbers', *, timeout: 'float | None' = None) -> 'int'"
    assert str(inspect.signature(shapes.sum)) == shown
    words = inspect.getdoc(shapes.sum)
    assert words is not None
    assert words.startswith("Add numbers.\n@param vec the numbers")
    assert "long sum(in sequence<long> vec, rout long long res);" in words
    line = "def sum(self, vec: runtime.Numbers, *, timeout: float | None = None) -> int:"
    assert line in inspect.getsource(shapes.sum)
    assert shapes.LIMIT == 16


def test_a_skeleton_refuses_callers_made_for_a_newer_version(session: qda.Session) -> None:
    """By the URI, before any object is made (7)."""
    new, old = (qda.idl.load(SHAPES.replace("1.2.0", v), name="shapes.idl") for v in ("1.3", "1.1"))
    session.install(implementation(qda.idl.load(SHAPES, name="shapes.idl")))
    with session.load(old) as remote:
        assert remote.sum([1]) == 1
    with pytest.raises(qda.DspError) as caught:
        session.load(new)
    assert caught.value.status == VERSION_MISMATCH


def test_an_interface_finds_what_another_program_has_installed(shapes: Any) -> None:
    """`skeletons=` installs from the beginning; `load` of the interface opens by its URI."""
    skeletons = [implementation(shapes)]
    with (
        qda.open("cdsp", device="virtual", skeletons=skeletons) as session,
        session.load(shapes) as remote,
    ):
        assert remote.sum([4, 5]) == 9
        assert "shapes" in repr(remote)
    with qda.open("cdsp", device="virtual") as session, pytest.raises(qda.DspError, match="libsh"):
        session.load(shapes)


def test_a_plain_interface_is_opened_by_name(session: qda.Session) -> None:
    """Without handle64 the methods count from 0, `open` and `close` are ordinary names (5.4)."""
    plain: Any = qda.idl.load(
        "interface plain { long open(in long a, rout long b); long close(); };"
    )

    class Plain(plain.Skeleton):  # type: ignore[misc]
        calls = 0

        def open_(self, a):  # type: ignore[no-untyped-def]
            self.calls += 1
            return a + self.calls

        def close_(self):  # type: ignore[no-untyped-def]
            self.calls = 100

    with session.load(Plain) as one, session.load(plain) as two:
        assert one.open_(1) == 2
        assert two.open_(1) == 3  # one skeleton for the process
        two.close_()
        assert one.open_(1) == 102


def test_a_file_with_several_interfaces_asks_which(shapes: Any) -> None:
    """By name; a module has them all."""
    text = "interface a { long m(); }; interface b { long m(); }; const long N = 3;"
    with pytest.raises(qda.UsageError, match="a, b"):
        qda.idl.load(text)
    assert qda.idl.load(text, "b").interface.name == "b"
    module = qda.idl.load_module(text)
    assert (module.a.interface.name, module.N) == ("a", 3)
    with pytest.raises(qda.UsageError, match="no interface"):
        qda.idl.load("const long N = 3;")


def test_what_cannot_be_marshalled_says_so_when_it_is_called() -> None:
    """The other methods of the interface work (4.3)."""
    refused = qda.idl.load(
        "union u switch(long) { case 1: long a; }; interface x { long m(in u a); long n(); };"
    )

    class Loop:
        def invoke(self, *_: Any, label: str) -> None:
            assert label == "x.n"

    assert refused(Loop()).n() is None
    with pytest.raises(qda.UsageError, match="union"):
        refused(Loop()).m(None)


# Written modules.


def written(text: str, folder: Path, name: str) -> ModuleType:
    """The module of an IDL text, through a file."""
    file = folder / f"{name}_idl.py"
    file.write_text(write_module(qda.idl.parse(text, name=f"{name}.idl")))
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[file.stem] = module  # dataclasses look there
    try:
        specification.loader.exec_module(module)
    finally:
        del sys.modules[file.stem]
    return module


def test_a_written_module_is_what_load_makes(tmp_path: Path, shapes: Any) -> None:
    """It carries the interface's text, and needs no other file."""
    module = written(SHAPES, tmp_path, "shapes")
    assert module.shapes.interface == shapes.interface
    assert module.IDL.text.count("#line") == 2
    with (
        qda.open("cdsp", device="virtual") as session,
        session.load(implementation(_with_types(module))) as remote,
    ):
        assert isinstance(remote, module.shapes)
        assert remote.sum([1, 2]) == 3


def _with_types(module: ModuleType) -> Any:
    """The written interface, with its types as attributes as `load` gives them."""
    remote = module.shapes
    for name in ("pair", "colour", "shapes_named"):
        setattr(remote, name.removeprefix("shapes_"), getattr(module, name))
    return remote


def test_documentation_that_looks_like_code_declares_nothing() -> None:
    """It is neither given out nor imported for."""
    words = "How many.\nnote: Any number, np.nan\nother = 1\n"
    text = f"/**\n{words}*/\nconst long COUNT = 3;\ninterface plain {{ long f(in long a); }};\n"
    written = write_module(qda.idl.parse(text, name="plain.idl"))
    assert words in written
    names = written.partition("__all__ = [\n")[2].partition("]")[0]
    assert names.split() == ['"COUNT",', '"IDL",', '"plain",', '"plain_Skeleton",']
    assert "from typing import Final, TypeAlias\n" in written
    assert "import numpy" not in written


@pytest.mark.timeout(120)
def test_a_written_module_passes_the_strict_type_checker(tmp_path: Path) -> None:
    """And so does a program that uses it; one that uses it wrongly does not."""
    (tmp_path / "shapes_idl.py").write_text(write_module(qda.idl.parse(SHAPES, name="shapes.idl")))
    right = """
import numpy as np
import qda
from shapes_idl import shapes, pair, colour

class MyShapes(shapes.Skeleton):
    def lambda_(self, from_: int) -> int:
        return from_

with qda.open("cdsp") as session, session.load(MyShapes) as remote:
    total: int = remote.sum(np.arange(5))
    shade: colour = remote.invoke_(True).shade
    later: bytes = remote.later(b"x", 1).result().tobytes()
    value = pair(1, b"abc", True, colour.red)
with qda.open("cdsp") as session, session.load(shapes) as opened:
    opened.nothing()
"""
    (tmp_path / "right.py").write_text(right)
    (tmp_path / "wrong.py").write_text(right.replace("total: int", "total: str"))
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary"]
    command += ["--cache-dir", str(tmp_path / "cache"), "shapes_idl.py"]
    for file, wanted in (("right.py", 0), ("wrong.py", 1)):
        done = subprocess.run(
            [*command, file], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == wanted, done.stdout + done.stderr


# Calls in words.


def described(shapes: Any, method: int, ins: list[Any], outs: list[Any], status: Any = 0) -> str:
    """A call in words."""
    word = Scalars(method, len(ins), len(outs)).word
    text: str = shapes.describe(RawCall(word, ins, outs, status=status))
    return text


def test_a_raw_call_is_told_in_words(shapes: Any) -> None:
    """With results once it is answered, and its status if it failed."""
    numbers = np.array([1, 2, 3], "<i4")
    ins, outs = [b"\3\0\0\0", numbers], [b"\6" + bytes(7)]
    assert described(shapes, 2, ins, outs) == "shapes.sum(vec=[1, 2, 3]) -> res=6"
    assert described(shapes, 2, ins, outs, None) == "shapes.sum(vec=[1, 2, 3])"
    assert described(shapes, 2, ins, outs, 0x8000040E) == (
        "shapes.sum(vec=[1, 2, 3]) -> 0x8000040E AEE_EBADPARM"
    )
    assert described(shapes, 3, [], []) == "shapes.nothing() -> 0"
    many = [(1000).to_bytes(4, "little"), np.zeros(1000, "<i4")]
    assert "0, 0, ... 1000 elements]" in described(shapes, 2, many, outs)
    uri = b"file:///x?y\0"
    opening = RawCall(0x00020001, [len(uri).to_bytes(4, "little"), uri], status=0)
    assert shapes.describe(opening) == "shapes.open(uri='file:///x?y') -> 0"


def test_a_raw_call_that_does_not_fit_is_told_too(shapes: Any) -> None:
    """With the reason; nothing is trusted."""
    assert "malformed" in described(shapes, 2, [b"\3\0\0\0", bytes(4)], [bytes(8)])
    assert "has no method 30" in described(shapes, 30, [], [])


def test_a_call_of_the_client_is_described_as_it_was_meant(shapes: Any) -> None:
    """Through the marshaller and back."""
    seen = []

    class Spy:
        def invoke(self, method: int, *parts: Any, label: str) -> None:
            scalars = Scalars(method, *(len(part) for part in parts))
            seen.append(shapes.describe(RawCall(scalars.word, *parts)))

        def close(self) -> None: ...

    given = shapes.named("dot", shapes.pair(1, b"abc", True, 2), [0.5])
    shapes(Spy()).complex(given, {"name": 20, "data": 4}, [7])
    assert "'name': 'dot'" in seen[0]
    assert "words=<room [7]>" in seen[0]
