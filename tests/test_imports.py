"""What is loaded when: a program and a command load what they need, and no more."""

from __future__ import annotations

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import qda
from tests.cli.command import qda as qda_command

LIBRARY = Path(qda.__file__).parent / "shim" / "libqda_preload.so"

HEAVY = {
    "PIL",
    "asyncio",
    "cloudpickle",
    "importlib.resources",
    "lark",
    "logging",
    "numpy",
    "rich",
    "subprocess",
    "tempfile",
    "typer",
}
"""What takes time to load, and is not everybody's: of others, and of Python itself."""


def run_program(source: str) -> str:
    """What a program prints."""
    command = [sys.executable, "-c", source]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout


def loaded_by(source: str) -> set[str]:
    """The modules that are there after statements in a fresh interpreter."""
    printed = run_program(f"{source}\nimport json, sys\nprint(json.dumps(list(sys.modules)))")
    return set(json.loads(printed.splitlines()[-1]))


def test_importing_the_package_loads_nothing_of_it() -> None:
    """Whoever needs a part of it does not pay for the rest."""
    nothing = loaded_by("")
    loaded = loaded_by("import qda") - nothing
    assert {name for name in loaded if name.startswith("qda.")} == set()
    assert HEAVY & loaded == set()


LANGUAGE = {"importlib.resources", "logging", "numpy", "tempfile"}


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("QdaError", set[str]()),
        ("explain", set[str]()),
        ("method", {"logging"}),
        ("idl", LANGUAGE),
        ("open", {"logging", "subprocess"}),
    ],
)
def test_a_name_loads_what_it_needs(name: str, needed: set[str]) -> None:
    """The parser comes with the first text, asyncio is there if its user has it."""
    assert HEAVY & (loaded_by(f"import qda; qda.{name}") - loaded_by("")) <= needed


def test_a_session_needs_no_interface_language() -> None:
    """A program that calls modules by URI and numbers does without: also its buffers and errors."""
    loaded = loaded_by("import qda; qda.open, qda.Session, qda.Buffer, qda.start, qda.DspError")
    assert {"qda.idl", "qda.cli", "qda.shim"} & loaded == set()


ASK = """
import sys, qda
class Loaded(qda.Skeleton):
    @qda.method(2)
    def count(self, names, total):
        total[0] = sum(name in sys.modules for name in bytes(names).decode().split())
with qda.open("cdsp", device="virtual") as session, session.load(Loaded) as module:
    counts = [module.invoke(2, [name.encode()], [1])[0][0] for name in ("numpy", "qda.idl")]
    print(counts, [int(name in sys.modules) for name in ("numpy", "qda.idl")])
"""
"""How many of two modules are there, on the DSP and in the program."""


@pytest.mark.parametrize(
    ("program", "counts"), [("", [0, 0]), ("import numpy", [1, 0]), ("import qda.idl", [1, 1])]
)
def test_a_dsp_loads_arrays_and_the_language_if_its_program_has_them(
    program: str, counts: list[int]
) -> None:
    """A program without them makes sessions and calls, and neither side pays for them."""
    assert run_program(f"{program}\n{ASK}") == f"{counts} {counts}\n"


AT_THE_START = """
import subprocess, sys, qda
class Popen(subprocess.Popen):
    def __init__(self, *arguments, **more):
        print(*sorted({"qda.client", "qda.driver"} & sys.modules.keys()), "start")
        super().__init__(*arguments, **more)
subprocess.Popen = Popen
"""


def test_a_dsp_starts_before_its_client_is_loaded() -> None:
    """Both load at once.  At the second open there is nothing to load, and a DSP."""
    opens = 'qda.open("cdsp", device="virtual").close()\n'
    assert run_program(AT_THE_START + opens + opens) == "start\n"


def test_only_an_open_starts_a_dsp() -> None:
    """Not what is imported; and what was started for nothing has ended with the refusal."""
    program = f"""{AT_THE_START}
qda.open
try: qda.open("xdsp", device="virtual")
except qda.UsageError: print(open("/proc/thread-self/children").read() or "ended")
"""
    assert run_program(program) == "start\nended\n"
    assert run_program(AT_THE_START + "qda.open, qda.devices, qda.Session") == ""


@pytest.mark.parametrize("statement", ["from qda.idl import runtime", "import qda.idl"])
def test_the_interface_language_loads_what_calls_need(statement: str) -> None:
    """A typed module parses its text first of all; nothing of C or style comes with it."""
    loaded = loaded_by(statement)
    rooms = {name.removeprefix("qda.idl.").split(".")[0] for name in loaded if "qda.idl." in name}
    assert rooms >= {"python", "wire"}
    assert rooms.isdisjoint({"c", "style"})
    assert "qda.idl.text.parser" not in loaded


def test_all_names_are_what_type_checkers_see() -> None:
    """Said three times: for type checkers, for `from qda import *`, and where they come from."""
    tree = ast.parse(Path(qda.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (node.module if alias.name != "idl" else "qda.idl", alias.asname or alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes: dict[str, tuple[str, ...]] = vars(qda)["_HOMES"]
    assert seen == {(home, name) for home, names in homes.items() for name in names}
    assert sorted(qda.__all__) == sorted(name for _, name in seen)


def test_names_are_there_for_everyone() -> None:
    """`from qda import *`, `dir(qda)`, and twice the same object."""
    namespace: dict[str, object] = {}
    exec("from qda import *", namespace)
    assert set(qda.__all__) <= namespace.keys()
    assert set(qda.__all__) <= set(dir(qda))
    assert namespace["Session"] is qda.Session


def test_a_name_that_does_not_exist_is_refused() -> None:
    """As by any module."""
    with pytest.raises(AttributeError, match="module 'qda' has no attribute 'Sesion'"):
        getattr(qda, "Sesion")  # noqa: B009  # mypy would see it


def test_exceptions_and_classes_can_be_pickled() -> None:
    """They name the modules in which they are."""
    for value in (qda.Session, qda.Skeleton, qda.MapFlag.FD, qda.UsageError("so")):
        assert type(pickle.loads(pickle.dumps(value))) is type(value)


# --- commands ------------------------------------------------------------------------------------

SPY = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(list(sys.modules))))
"""


@pytest.mark.skipif(not LIBRARY.exists(), reason="the preload library has not been compiled")
def test_a_program_that_uses_no_node_runs_without_a_device_server() -> None:
    """What `qda run` has loaded when the program has ended, at which the nodes have been looked."""
    result = qda_command("run", "--", "sh", "-c", "test -e /dev/accel/accel0", before=SPY)
    assert result.returncode == 0
    loaded = set(json.loads(result.stdout))
    assert (HEAVY - {"subprocess", "tempfile"}) & loaded == set()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("qda.")}
    assert rooms == {"cli", "dsp", "errors", "fastrpc", "limits", "profiles", "shim"}
    assert {"qda.dsp.boot", "qda.shim.server", "qda.cli.app"} & loaded == set()


@pytest.mark.parametrize("words", [["explain", "39"], ["uapi", "header"], ["--version"]])
def test_a_command_that_prints_text_loads_no_tables_and_no_device(words: list[str]) -> None:
    """Each command is a module of its own, and loads what it needs."""
    loaded = loaded_by(
        "import sys\n"
        f"sys.argv[1:] = {words}\n"
        "from qda.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print()"
    )
    assert {
        "PIL",
        "cloudpickle",
        "lark",
        "numpy",
        "rich",
        "qda.client",
        "qda.driver",
    } & loaded == set()
