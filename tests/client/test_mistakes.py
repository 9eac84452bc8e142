"""Mistakes of a beginner: the first line says which argument, what it was, and what is wanted."""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda.client import Session
from qda.profiles.profile import load

made: Any = qda.idl.load(
    "interface made { struct point { long x; long other; };"
    " long whole(in long a); long wide(in long long a); long real(in double a);"
    " long paint(in sequence<octet> v, rout sequence<octet> w); long show(in point one);"
    " long share(in dmahandle memory); long pair(in dmahandle memory, in dmahandle other); };"
)


class Made(made.Skeleton):  # type: ignore[misc]
    def whole(self, a: int) -> None: ...
    def wide(self, a: int) -> None: ...
    def real(self, a: float) -> None: ...
    def paint(self, v: object, w: object) -> None: ...
    def show(self, one: object) -> None: ...
    def share(self, memory: object) -> None: ...
    def pair(self, memory: object, other: object) -> None: ...


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with qda.open("cdsp", device="virtual") as opened:
        yield opened


@pytest.fixture(scope="module")
def remote(session: Session) -> Any:
    return session.load(Made)


def closed(session: Session) -> qda.Buffer:
    """A buffer that has been given back."""
    with session.alloc(1) as buffer:
        return buffer


LONG = "an integer from -2147483648 to 2147483647"
ROOM = "a number of elements, or a writable contiguous array of uint8"
HANDLE = "a dmahandle is a buffer, or an array that lies in one"
MISTAKES: dict[str, Callable[[Session, Any], object]] = {
    f"parameter a: None does not fit long: {LONG}": lambda _, remote: remote.whole(None),
    f"parameter a: '1' does not fit long: {LONG}": lambda _, remote: remote.whole("1"),
    f"parameter a: 2147483648 does not fit long: {LONG}": lambda _, remote: remote.whole(1 << 31),
    "does not fit long long: an integer from -92": lambda _, remote: remote.wide(1 << 63),
    "parameter a: 'x' does not fit double: a number of 64 bits": lambda _, r: r.real("x"),
    f"parameter w: '2' cannot be filled: {ROOM}": lambda _, remote: remote.paint(b"ab", "2"),
    f"parameter w: [0, 0] cannot be filled: {ROOM}": lambda _, remote: remote.paint(b"", [0, 0]),
    "which is no member: did you mean 'other'?": lambda _, r: r.show({"x": 1, "othr": 2}),
    "'zz', which is no member; ['other', 'x'] are": lambda _, r: r.show({"x": 1, "zz": 2}),
    "(1, 2) has no member 'x': a structure is wanted, or": lambda _, r: r.show((1, 2)),
    f"parameter memory: b'abc': {HANDLE}": lambda _, remote: remote.share(b"abc"),
    "of the session: arrays of `session.empty` do": lambda _, r: r.share(np.zeros(3)),
    "made.whole: timeout nan: a number of seconds": lambda _, r: r.whole(1, timeout=float("nan")),
    "timeout 'x': a number of seconds": lambda _, r: qda.start(r.whole, 1).result("x"),  # type: ignore[arg-type]
    "5 is no method: `qda.start(remote.sum, numbers)`": lambda *_: qda.start(5),  # type: ignore[arg-type]
    "'made.idl' is an interface: ": lambda session, _: session.load("made.idl"),
    "'interface x { };' is an interface: ": lambda session, _: session.load("interface x { };"),
    "'skel.py' is a file of Python: import it": lambda session, _: session.load("skel.py"),
    "'libmade_skel.so' is a library: load it by": lambda session, _: session.load(
        "libmade_skel.so"
    ),
    "dtype 'flaot32': ": lambda session, _: session.empty(3, "flaot32"),
    "offset 20: the buffer has 8 bytes": lambda session, _: session.map(session.empty(1), 20),
    "skeletons <class 'tests.": lambda *_: qda.open("cdsp", skeletons=Made),
    "attributes 'x': a number": lambda *_: qda.open("cdsp", device="virtual", attributes="x"),  # type: ignore[arg-type]
    "shell 'x': the bytes of an image": lambda *_: qda.open("cdsp", device="virtual", shell="x"),  # type: ignore[arg-type]
    "attributes -1: a number from 0 to 4294967295": lambda *_: qda.open(
        "cdsp", device="virtual", attributes=-1
    ),
    "shell of 10000000 bytes: dialect rfc takes images of up to": lambda *_: qda.open(
        "cdsp", device="virtual", shell=bytes(10_000_000)
    ),
    "debug 'false': True or False": lambda *_: qda.open("cdsp", debug="false"),  # type: ignore[arg-type]
    "poll 'no': True or False": lambda *_: qda.open("cdsp", poll="no"),  # type: ignore[arg-type]
    "wait '5': a number of seconds": lambda *_: qda.open("cdsp", wait="5"),  # type: ignore[arg-type]
    "['rfc'] is no dialect: there are": lambda *_: qda.open("cdsp", dialect=["rfc"]),  # type: ignore[arg-type]
    "profile ['x']: a name, or the path of": lambda *_: qda.open("cdsp", profile=["x"]),  # type: ignore[arg-type]
    "banks 'x': a number": lambda *_: load("generic").with_banks("x"),  # type: ignore[arg-type]
    "banks 0: at least 1": lambda *_: load("generic").with_banks(0),
    "name 5: the name of a file": lambda *_: qda.idl.load("interface x { };", name=5),  # type: ignore[arg-type]
    "include_dirs 'x': a list": lambda *_: qda.idl.load("interface x { };", include_dirs="x"),
    "defines 5: a list": lambda *_: qda.idl.load("interface x { };", defines=5),  # type: ignore[arg-type]
    "share: parameter memory: <Buffer handle": lambda session, r: r.share(closed(session)),
    "paint: parameter v: <Buffer handle": lambda session, r: r.paint(closed(session), 0),
    "paint: parameter w: <Buffer handle": lambda session, r: r.paint(b"", closed(session)),
    "pair: parameter other: <Buffer handle": lambda session, r: r.pair(
        session.alloc(1), closed(session)
    ),
    "pair: parameter memory: handle argument array": lambda _, r: r.pair(np.zeros(1), np.zeros(2)),
    "skeletons 3: a list of classes": lambda *_: qda.open("cdsp", skeletons=3),  # type: ignore[arg-type]
    "device 3: the path of a node, or 'virtual'": lambda *_: qda.open("cdsp", device=3),  # type: ignore[arg-type]
    "device 'virtal': did you mean 'virtual'?": lambda *_: qda.open("cdsp", device="virtal"),
    "vaddrin -1: a number from 0 to 18446744073709551615": lambda session, _: session.map(
        session.alloc(8), hint=-1
    ),
    "fd 1099511627776: a number from -2147483648": lambda session, _: session.import_fd(1 << 40),
    "b'abc' is one piece of memory: a list": lambda session, _: session.invoke(5, 2, b"abc"),
    "handle None: a number": lambda session, _: session.invoke(None, 2),  # type: ignore[arg-type]
    "outputs [1125899906842624]: too large": lambda session, _: session.invoke(5, 2, [], [1 << 50]),
    "is no open module: `session.load` opens one": lambda session, _: made(session),
    "parameter memory: None: a dmahandle": lambda _, remote: remote.share(None),
    "parameter w: array([[0., 0.], [0., 0.]]) cannot be filled": lambda _, remote: remote.paint(
        b"", np.zeros((2, 2))
    ),
    "code 'EINVAL': a number; `qda explain` takes": lambda *_: qda.explain("EINVAL"),  # type: ignore[arg-type]
    "give a number, `@qda.method(2)`": lambda *_: qda.method(Path),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("words", MISTAKES)
def test_the_first_line_names_what_was_given_and_what_is_wanted(
    words: str, session: Session, remote: Any
) -> None:
    with pytest.raises(qda.QdaError, match=re.escape(words)) as caught:
        MISTAKES[words](session, remote)
    assert words in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    "seconds",
    [60, 60.0, np.float32(60), np.int64(60), Fraction(60), Decimal(60), 10**400, math.inf],
)
def test_any_number_of_seconds_is_a_timeout(remote: Any, seconds: Any) -> None:
    """Of a call, and of a wait for one."""
    assert remote.show({"x": 1, "other": 2}, timeout=seconds) is None
    assert qda.start(remote.show, {"x": 1, "other": 2}).result(seconds) is None


def test_what_the_dsp_refuses_of_a_method_has_a_cause_of_its_own(session: Session) -> None:
    """There is no traceback to be read; and what is closed is not called a wrong handle."""

    class Wrong(Made):
        def paint(self, v: object, w: object) -> Any:
            return "x"

    remote: Any = session.load(Wrong)
    with pytest.raises(qda.DspError, match="result w: ") as caught:
        remote.paint(b"", 1)
    assert "the method was not used, or has not answered, as its interface" in str(caught.value)
    assert "traceback" not in str(caught.value)
    remote.close()
    with pytest.raises(qda.DspError, match=r"`with` has been left, or its `close` was called"):
        remote.paint(b"", 1)


def test_arguments_that_are_too_large_to_be_copied_are_named(
    session: Session, monkeypatch: pytest.MonkeyPatch, remote: Any
) -> None:
    """Not the buffers of the session, of which there may be enough."""

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOMEM, "")

    monkeypatch.setattr(session.calls._file.node, "ioctl", refuse)
    for timeout in (None, 60):
        with pytest.raises(qda.DeviceError, match="no memory for 2097152 bytes of arguments"):
            session.invoke(99, 2, [bytes(2 << 20)], timeout=timeout)
        with pytest.raises(qda.DeviceError, match="ENOMEM: out of memory"):
            session.invoke(99, 2, [bytes(2)], timeout=timeout)
