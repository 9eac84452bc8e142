"""A class on the DSP is the program's own: its file, lines, errors, and what it was made of."""

from __future__ import annotations

import linecache
import os
import pdb
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import qda

divider: Any = qda.idl.load(
    "interface divider { long divide(in long a, in long b, rout long c); };", name="divider.idl"
)
lock = threading.Lock()


@pytest.fixture
def session() -> Iterator[qda.Session]:
    """A session with a DSP that is another process."""
    with qda.open("cdsp", device="virtual") as session:
        yield session


def error_of(session: qda.Session, kind: Any, a: Any = 1, b: Any = 0) -> qda.DspError:
    """What a call of a skeleton ends with."""
    with session.load(kind) as remote, pytest.raises(qda.DspError) as caught:
        remote.divide(a, b)
    return caught.value


class Divides(divider.Skeleton):  # type: ignore[misc]
    """Of a module that can be imported."""

    def divide(self, a: int, b: int) -> Any:
        return self.quotient(a, b)

    def quotient(self, a: int, b: int) -> int:
        return a // b


def test_a_traceback_has_the_frames_of_the_skeleton_alone(session: qda.Session) -> None:
    """And its last line is in the first of the message."""
    error = error_of(session, Divides)
    assert str(error).splitlines()[0] == (
        "divider.divide on cdsp: 0x80000401 AEE_EFAILED: "
        "ZeroDivisionError: integer division or modulo by zero"
    )
    frames = [line.strip() for line in error.log if line.strip().startswith("File ")]
    assert [re.sub(r"line \d+", "line N", frame) for frame in frames] == [
        f'File "{__file__}", line N, in divide',
        f'File "{__file__}", line N, in quotient',
    ]


def test_a_cause_keeps_its_frames(session: qda.Session) -> None:
    """What the skeleton has chained belongs to it."""

    class Chains(Divides):
        def divide(self, a: int, b: int) -> Any:
            try:
                return self.quotient(a, b)
            except ZeroDivisionError as error:
                raise RuntimeError("no quotient") from error

    log = "\n".join(error_of(session, Chains).log)
    assert log.count(f'File "{__file__}"') == 3 and "direct cause" in log
    assert os.sep + "qda" + os.sep + "dsp" not in log


def test_what_is_refused_below_a_method_shows_where_it_was_asked_for(session: qda.Session) -> None:
    """The frame of the skeleton, not those below it."""

    class Asks(Divides):
        def divide(self, a: int, b: int) -> Any:
            raise qda.StatusError(0, "none")

    log = error_of(session, Asks).log
    assert sum("File " in line for line in log) == 1
    assert log[-1].endswith("status 0 is no failure: a word of 32 bits that is not 0")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("a", "divide: result c: 'a' does not fit long"),
        (2.7, "divide: result c: 2.7 does not fit long"),
        (1 << 40, "divide: result c: 1099511627776 does not fit long"),
        ((1, 2), r"divide: result c: \(1, 2\) does not fit long"),
        (None, "divide: result c: nothing was returned for it"),
    ],
)
def test_a_wrong_result_is_one_sentence(session: qda.Session, returned: Any, words: str) -> None:
    """With method, parameter and value, and no traceback: no line of anybody's raised it."""

    class Wrong(divider.Skeleton):  # type: ignore[misc]
        def divide(self, a: int, b: int) -> Any:
            return returned

    error = error_of(session, Wrong)
    assert re.search(f"AEE_EFAILED: Usage(Type)?Error: {words}", str(error).splitlines()[0])
    assert len(error.log) == 1


def test_a_class_of_a_script_keeps_its_file_and_lines(tmp_path: Path) -> None:
    """It goes by value; its code does not forget where it comes from."""
    script = tmp_path / "script.py"
    script.write_text(
        "import qda\n"
        'divider = qda.idl.load("interface divider { long divide(in long a, rout long c); };")\n'
        "class Divides(divider.Skeleton):\n"
        "    def divide(self, a):\n"
        "        return a // 0  # here\n"
        'with qda.open("cdsp", device="virtual") as session, session.load(Divides) as remote:\n'
        "    try:\n"
        "        remote.divide(1)\n"
        "    except qda.DspError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert f'File "{script}", line 5, in divide\n        return a // 0  # here' in done.stdout


def test_a_class_of_a_cell_keeps_its_lines(session: qda.Session) -> None:
    """As notebooks and shells have them: in no file."""
    text = """class Cell(divider.Skeleton):
    def divide(self, a, b):
        return a // b  # there
"""
    linecache.cache["<cell 7>"] = len(text), None, text.splitlines(keepends=True), "<cell 7>"
    names: dict[str, Any] = {"divider": divider, "__name__": "__main__"}
    exec(compile(text, "<cell 7>", "exec"), names)
    log = error_of(session, names["Cell"]).log
    assert any('File "<cell 7>", line 3, in divide' in line for line in log)
    assert any("return a // b  # there" in line for line in log)


def test_a_debugger_that_nobody_sits_at_says_what_to_do(session: qda.Session) -> None:
    """`breakpoint()`, and what it stands for."""

    class Stops(divider.Skeleton):  # type: ignore[misc]
        def divide(self, a: int, b: int) -> int:
            breakpoint() if b else pdb.set_trace()
            return a

    for way in (0, 1):
        first = str(error_of(session, Stops, 1, way)).splitlines()[0]
        assert "debug=True" in first


def test_an_init_that_raises_is_in_the_first_line(session: qda.Session) -> None:
    """As any other exception of the skeleton's."""

    class Fails(Divides):
        def __init__(self) -> None:
            raise RuntimeError("no model file")

    with pytest.raises(qda.DspError) as caught:
        session.load(Fails)
    assert str(caught.value).splitlines()[0] == (
        "open divider on cdsp: 0x80000401 AEE_EFAILED: RuntimeError: no model file"
    )
    log = "\n".join([*caught.value.log, *session.read_log()])
    assert "in __init__" in log and "modules.py" not in log


@pytest.mark.parametrize("where", ["attribute", "global", "closure"])
def test_what_keeps_a_class_from_being_sent_is_named(session: qda.Session, where: str) -> None:
    """Which part of the class it is, and what to do."""
    inner = threading.Lock()

    class Attribute(Divides):
        held = lock

    class Global(Divides):
        def divide(self, a: int, b: int) -> Any:
            return lock.locked()

    Global.divide.__globals__["lock"] = lock

    class Closure(Divides):
        def divide(self, a: int, b: int) -> Any:
            return inner.locked()

    kinds = {"attribute": Attribute, "global": Global, "closure": Closure}
    words = {
        "attribute": "Attribute cannot be sent to the DSP: its held, <unlocked _thread.lock",
        "global": "Global cannot be sent to the DSP: its divide uses lock, <unlocked",
        "closure": "Closure cannot be sent to the DSP: its divide uses inner, <unlocked",
    }
    with pytest.raises(qda.UsageTypeError, match=f"{words[where]}.*made in `__init__`"):
        session.load(kinds[where])


def test_what_only_says_that_it_cannot_be_pickled_is_named_too(session: qda.Session) -> None:
    """Whatever it raises."""

    class Stubborn:
        def __reduce__(self) -> str:
            raise RuntimeError("not me")

    class Holds(Divides):
        held = Stubborn()

    with pytest.raises(qda.UsageTypeError, match=r"Holds cannot be sent .*: its held, .*not me"):
        session.load(Holds)


@pytest.mark.parametrize("which", ["skeletons.py", "helper.py"])
def test_a_module_that_has_changed_since_is_told(which: str, tmp_path: Path) -> None:
    """The DSP goes on with the code that it has imported; `load` and `install` say so, at the line
    that calls them.  A new session has the new code."""
    (tmp_path / "helper.py").write_text("value = 1\n")
    (tmp_path / "skeletons.py").write_text(
        "import qda, helper\n"
        'teller = qda.idl.load("interface teller { long tell(rout long value); };")\n'
        "class Teller(teller.Skeleton):\n"
        "    def tell(self):\n"
        "        return helper.value\n"
    )
    (tmp_path / "program.py").write_text(
        "import qda, sys, warnings\n"
        "from skeletons import Teller\n"
        "def told(use):\n"
        "    with warnings.catch_warnings(record=True) as found:\n"
        "        use(Teller)\n"
        "    return [(str(one.message).split()[0], one.filename, one.lineno) for one in found]\n"
        'with qda.open("cdsp", device="virtual") as session:\n'
        "    print(told(session.load), told(session.load))\n"
        '    with open(sys.argv[1], "a") as file:\n'
        '        file.write("changed = True")\n'
        "    print(told(session.load))\n"
        "    print(told(session.install))\n"
        'with qda.open("cdsp", device="virtual") as session:\n'
        "    print(told(session.load))\n"
    )
    changed, program = tmp_path / which, tmp_path / "program.py"
    done = subprocess.run([sys.executable, program, changed], capture_output=True, text=True)
    said = repr([(str(changed), str(program), 5)])
    assert done.stdout.splitlines() == ["[] []", said, said, "[]"], done.stderr


def test_code_of_another_python_is_refused_when_it_is_loaded(
    session: qda.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail in the middle of a call.  A class that is not sent by value has none."""

    class Local(divider.Skeleton):  # type: ignore[misc]
        def divide(self, a: int, b: int) -> Any:
            return a // b

    monkeypatch.setattr("qda.client.pickling.PYTHON", (3, 1))
    here = ".".join(map(str, sys.version_info[:2]))
    with pytest.raises(qda.DspError, match=rf"code of Python 3\.1, and the DSP is Python {here}"):
        session.load(Local)
