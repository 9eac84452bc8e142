"""A traceback of a refusal ends in the program: it shows no line of ours."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qda
from qda.client import Session

frames: Any = qda.idl.load(
    "interface frames { long half(in long runtime, rout long y); long take(in string error); };"
)


class Frames(frames.Skeleton):  # type: ignore[misc]
    def half(self, runtime: int) -> int:
        return 1 // runtime

    def take(self, error: str) -> None: ...


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with qda.open("cdsp", device="virtual") as opened:
        yield opened


@pytest.fixture(scope="module")
def remote(session: Session) -> Any:
    return session.load(Frames)


def closed(session: Session) -> Any:
    """A buffer that has been given back."""
    with session.alloc(1) as buffer:
        return buffer


def twice() -> dict[str, object]:
    """Two methods of a skeleton with the same number."""
    mark = qda.method(2)
    return {"one": mark(lambda self: None), "other": mark(lambda self: None)}


REFUSED: dict[str, Callable[[Session, Any], object]] = {
    "a value that does not fit": lambda _, remote: remote.half("x"),
    "a text that is none": lambda _, remote: remote.take(3),
    "a method that raises": lambda _, remote: remote.half(0),
    "a started call": lambda _, remote: qda.start(remote.half, 0).result(),
    "a call by number": lambda _, remote: remote._module.invoke(99),
    "a call of any handle": lambda session, _: session.invoke(99, 2),
    "memory that is none": lambda session, _: session.invoke(99, 2, [3]),
    "no size": lambda session, _: session.alloc(0),
    "no memory": lambda session, _: session.alloc(1 << 50),
    "no shape": lambda session, _: session.empty(-1),
    "no buffer": lambda session, _: session.map(np.zeros(3)),
    "no offset": lambda session, _: session.map(session.empty(3), "x"),  # type: ignore[arg-type]
    "a closed buffer": lambda session, _: session.fd_of(closed(session)),
    "a closed buffer's descriptor": lambda session, _: closed(session).export_fd(),
    "no descriptor": lambda session, _: session.import_fd(-7),
    "no class": lambda session, _: session.load(3),  # type: ignore[call-overload]
    "no module": lambda session, _: session.load("nothing"),
    "no skeleton": lambda session, _: session.install(dict),
    "no skeleton for the host": lambda session, _: session.provide(dict),
    "no DSP": lambda *_: qda.open("gpu"),
    "no interface": lambda *_: qda.idl.load("interfce x { };"),
    "no module for an interface": lambda *_: frames(5),
    "no code": lambda *_: qda.explain("nonsense"),  # type: ignore[arg-type]
    "no word": lambda *_: qda.explain(1 << 70),
    "no method to start": lambda *_: qda.start(5),  # type: ignore[arg-type]
    "no number of a method": lambda *_: qda.method("x"),  # type: ignore[arg-type]
    "a number that no word holds": lambda *_: qda.method(1 << 32),
    "no method to mark": lambda *_: qda.method(2)(5),  # type: ignore[type-var]
    "two methods of one number": lambda *_: type("Two", (qda.Skeleton,), twice()),
    "no ring": lambda session, _: session.queue(5),
    "no callback": lambda session, _: session.queue(on_packet=5),  # type: ignore[arg-type]
    "no packet": lambda session, _: session.queue().read(0),
    "no packet to look at": lambda session, _: session.queue().peek(0),
    "no message": lambda session, _: session.queue().write(5),  # type: ignore[arg-type]
    "no reference": lambda session, _: session.queue().write(b"", [5]),  # type: ignore[list-item]
    "no elements": lambda session, _: session.alloc(8).numpy("nonsense"),
    "elements without bytes": lambda session, _: session.alloc(8).numpy("S"),
    "a closed buffer's array": lambda session, _: closed(session).numpy(),
    "no sessions": lambda *_: qda.Pool(0, Frames),
    "no folder for a trace": lambda *_: qda.trace("/nowhere/trace.json").__enter__(),
    "no folder for a timeline": lambda *_: qda.trace("/nowhere/trace.pftrace").__enter__(),
    "no folder for a recording": lambda *_: qda.record("/nowhere/calls.qda").__enter__(),
    "no recording": lambda *_: qda.replay("/nowhere/calls.qda"),
    "no profile": lambda *_: qda.open("cdsp", profile="/nowhere/profile.toml"),
    "no path of a trace": lambda *_: qda.trace(5),  # type: ignore[arg-type]
    "no path of a recording": lambda *_: qda.record(5),  # type: ignore[arg-type]
    "no path to play": lambda *_: qda.replay("calls\0qda"),
}


@pytest.mark.parametrize("operation", REFUSED)
def test_a_refusal_shows_no_frames_of_ours(operation: str, session: Session, remote: Any) -> None:
    with pytest.raises(qda.QdaError) as caught:
        REFUSED[operation](session, remote)
    error = caught.value
    shown = traceback.extract_tb(error.__traceback__)
    assert {frame.filename for frame in shown} == {__file__}
    assert error.__cause__ is None


def test_a_closed_session_says_so_whatever_is_asked() -> None:
    """Also of a buffer that is still there, and in one line."""
    with qda.open("cdsp", device="virtual") as session:
        buffer, remote = session.alloc(8), session.load(Frames)
    for ask in (
        lambda: session.fd_of(buffer),
        lambda: session.map(buffer),
        lambda: session.alloc(1),
        lambda: session.empty(1),
        lambda: session.import_fd(0),
        lambda: session.invoke(99, 2),
        lambda: session.load(Frames),
        lambda: session.load("frames"),
        lambda: session.install(Frames),
        lambda: session.provide(Frames),
        lambda: session.serve_host(),
        lambda: remote.half(1),
        lambda: qda.start(remote.half, 1).result(),
        lambda: buffer.export_fd(),
    ):
        with pytest.raises(qda.DeviceError, match="EBADF: the session is closed"):
            ask()
    assert session.read_log() == []
    session.close()
    buffer.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the interpreter says it by itself")
def test_a_method_that_there_is_not_has_a_neighbour(remote: Any) -> None:
    with pytest.raises(AttributeError, match="frames has no method 'hlaf': did you mean 'half'"):
        remote.hlaf(1)
    assert not hasattr(remote, "__array__")


def test_a_name_that_the_package_has_not_has_a_neighbour() -> None:
    word = "opne"
    with pytest.raises(AttributeError, match="no attribute 'opne': did you mean 'open'"):
        getattr(qda, word)
    assert not hasattr(qda, "__wrapped__")


@pytest.mark.parametrize(
    "write",
    [lambda file: qda.trace(file).__enter__(), lambda file: qda.record(file).__enter__()],
    ids=["trace", "record"],
)
def test_a_file_that_cannot_be_written_says_that_its_folder_is_not_there(
    write: Callable[[str], object], tmp_path: Path
) -> None:
    file = tmp_path / "nowhere" / "file.json"
    with pytest.raises(qda.UsageError) as caught:
        write(str(file))
    words = f"{file}: No such file or directory: there is no folder {file.parent}"
    assert str(caught.value) == words


MISSPELT: dict[str, tuple[str, Callable[[Session, Any], object]]] = {
    "a method": ("half", lambda _, remote: remote.halff),
    "a module's": ("invoke", lambda _, remote: remote._module.invok),
    "a session's": ("load", lambda session, _: session.lod),  # type: ignore[attr-defined]
    "a buffer's": ("export_fd", lambda session, _: session.alloc(1).exprt_fd),  # type: ignore[attr-defined]
    "a mapping's": ("address", lambda session, _: session.map(session.alloc(1)).adress),  # type: ignore[attr-defined]
    "a queue's": ("read", lambda session, _: session.queue().reed),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_traceback_asks_what_a_misspelt_name_was_meant_to_be(
    name: str, session: Session, remote: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the interpreter's words, if not in ours: it finds the names in the object."""
    meant, ask = MISSPELT[name]
    with pytest.raises(AttributeError) as caught:
        ask(session, remote)
    sys.__excepthook__(caught.type, caught.value, caught.tb)
    last = capfd.readouterr().err.splitlines()[-1].lower()
    assert f"did you mean '{meant}'?" in last.replace("mean: ", "mean ")
