"""What is named wrongly is refused with what was meant."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest

import qda


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("CDSP", "'CDSP' is no DSP: did you mean 'cdsp'?"),
        ("csdp", "'csdp' is no DSP: did you mean 'sdsp' or 'cdsp'"),
        ("gpu", "'gpu' is no DSP: there are adsp, mdsp, "),
        ("/dev/accel/accel0", "`device='/dev/accel/accel0'` names a node"),
        (["cdsp"], "['cdsp'] is no DSP"),
        (None, "None is no DSP"),
    ],
)
def test_a_dsp_that_there_is_not_has_a_neighbour(domain: Any, words: str) -> None:
    """By its letters; what has a slash is a path."""
    with pytest.raises(qda.UsageError, match=re.escape(words)):
        qda.open(domain)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dialect": "legcy"}, "'legcy' is no dialect: did you mean 'legacy'"),
        ({"dialect": "RFC"}, "'RFC' is no dialect: did you mean 'rfc'?"),
        (
            {"dialect": "v2"},
            "'v2' is no dialect: there are rfc, v1, handle, legacy, legacy-7.3, leg",
        ),
        ({"profile": "genric"}, "profile 'genric': did you mean 'generic'?"),
        ({"profile": "mine"}, "profile 'mine': there are generic, "),
        ({"profile": 8650}, "profile 8650: a name, or the path of a .toml file"),
    ],
)
def test_a_system_that_there_is_not_has_a_neighbour(wrong: dict[str, Any], words: str) -> None:
    """Its profile, and the dialect of its nodes."""
    with pytest.raises(qda.QdaError, match=re.escape(words)):
        qda.open("cdsp", device="virtual", **wrong)


def test_a_path_that_cannot_be_opened_is_no_buffer(tmp_path: Path) -> None:
    """The numbers mean other things of a path than of a buffer of an open node."""
    (tmp_path / "file").touch()
    for path, number, words in (
        (tmp_path / "none", "ENOENT", "there is no such file"),
        (tmp_path, "EISDIR", "something else than a node"),
        (tmp_path / "file" / "none", "ENOTDIR", "something else than a node"),
    ):
        with pytest.raises(qda.DeviceError) as caught:
            qda.open("cdsp", device=str(path))
        error = caught.value
        assert error.symbol == number and words in error.cause
        for said in (str(error), str(pickle.loads(pickle.dumps(error)))):
            assert str(path) in said and "qda info" in said
            assert not re.search("GEM|buffer|handle", said)


@pytest.mark.parametrize("wrong", [b"interface a { long f(); };", None, 5, ["a.idl"]])
def test_what_is_no_interface_is_refused(wrong: Any) -> None:
    """Neither a text nor a path."""
    with pytest.raises(qda.UsageTypeError, match="is no interface: give its text or the path"):
        qda.idl.load(wrong)


def test_a_file_that_there_is_not_has_a_neighbour(tmp_path: Path) -> None:
    """In its folder."""
    (tmp_path / "audio.idl").touch()
    for name, words in (
        ("adio.idl", "did you mean 'audio.idl'?"),
        ("xyz.idl", "none of that name"),
    ):
        for given in (tmp_path / name, str(tmp_path / name)):
            with pytest.raises(qda.idl.IdlError, match=re.escape(words)):
                qda.idl.load(given)


@pytest.mark.parametrize("text", ["", "struct a { long b; };", "// interface x { };"])
def test_a_file_without_an_interface_says_so(text: str) -> None:
    """And how one looks."""
    with pytest.raises(qda.UsageError, match="has no interface: declare `interface NAME"):
        qda.idl.load(text)


def test_an_enumerator_by_name_is_told_the_numbers() -> None:
    """UsageTypeError with the parameter; other arrays say how to convert them."""
    made: Any = qda.idl.load(
        "interface made { enum window { rect, hann };"
        " long f(in window win, in sequence<octet> s); };"
    )

    class Made(made.Skeleton):  # type: ignore[misc]
        def f(self, win: Any, s: Any) -> None: ...

    with qda.open("cdsp", device="virtual") as session, session.load(Made) as remote:
        with pytest.raises(qda.UsageTypeError, match=r"win: 'hann' is no window: rect \(0\), hann"):
            remote.f("hann", b"")
        with pytest.raises(
            qda.UsageTypeError, match=r"s: .*float64.* convert it, `\.astype\('uint8'"
        ):
            remote.f(0, [0.5])


def test_a_module_that_there_is_not_has_a_neighbour() -> None:
    """Among those that are installed."""
    made: Any = qda.idl.load("interface spectrum { long f(); };")

    class Made(made.Skeleton):  # type: ignore[misc]
        def f(self) -> None: ...

    with qda.open("cdsp", device="virtual", skeletons=[Made]) as session:
        with pytest.raises(qda.DspError, match=r"not found: did you mean 'spectrum'\?"):
            session.load("specturm")
        with pytest.raises(qda.DspError) as caught:
            session.load("nothing_alike")
    assert "did you mean" not in str(caught.value)
