"""The architecture's rules: who may import whom, and what every module and file looks like."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "src" / "qda"

EVERYTHING: Final = frozenset({"*"})

TESTS_THAT_ARE_SHIPPED: Final = "conformance"
"""A room of tests: what it imports is the table's concern, what its files look like is not."""

# A room is a module or a package directly below `qda`; it may always import itself.
# CONTRIBUTING.md shows this table and says why; a test below compares the two.
MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "errors": frozenset(),
    "limits": frozenset(),
    "interrupts": frozenset({"limits"}),
    "linux": frozenset(),
    "memory": frozenset(),
    "layout": frozenset({"memory"}),
    "core": frozenset({"fastrpc", "layout", "limits", "interrupts", "linux", "memory", "errors"}),
    "rpmsg": frozenset({"core", "limits", "interrupts", "linux", "memory"}),
    "states": frozenset(),
    "pending": frozenset({"limits", "errors"}),
    "glink": frozenset({"states", "layout", "memory"}),
    "uapi": frozenset({"layout"}),
    "fastrpc": frozenset({"layout", "limits", "memory", "errors"}),
    "idl": frozenset({"fastrpc", "layout", "limits", "memory", "errors"}),
    "driver": frozenset(
        {
            "uapi",
            "fastrpc",
            "core",
            "rpmsg",
            "states",
            "layout",
            "limits",
            "interrupts",
            "linux",
            "memory",
            "errors",
        }
    ),
    "dsp": frozenset(
        {
            "fastrpc",
            "idl",
            "core",
            "rpmsg",
            "states",
            "pending",
            "layout",
            "limits",
            "interrupts",
            "linux",
            "memory",
            "errors",
        }
    ),
    "client": frozenset(
        {
            "uapi",
            "fastrpc",
            "idl",
            "core",
            "states",
            "pending",
            "layout",
            "limits",
            "interrupts",
            "linux",
            "memory",
            "errors",
        }
    ),
    "profiles": frozenset({"uapi", "fastrpc", "limits", "errors"}),
    "virtual": frozenset(
        {"profiles", "driver", "dsp", "uapi", "fastrpc", "limits", "interrupts", "errors"}
    ),
    "kernel": frozenset(
        {
            "glink",
            "profiles",
            "dsp",
            "fastrpc",
            "core",
            "rpmsg",
            "states",
            "limits",
            "linux",
            "memory",
            "errors",
        }
    ),
    "agent": frozenset({"uapi", "fastrpc", "layout", "linux", "memory", "errors"}),
    "tracing": frozenset(
        {"driver", "client", "idl", "uapi", "fastrpc", "core", "layout", "limits", "errors"}
    ),
    "shim": frozenset(
        {
            "virtual",
            "tracing",
            "profiles",
            "driver",
            "uapi",
            "fastrpc",
            "core",
            "rpmsg",
            "layout",
            "limits",
            "interrupts",
            "linux",
            "memory",
            "errors",
        }
    ),
    "opening": frozenset({"client", "virtual", "dsp", "fastrpc", "limits", "errors", "interrupts"}),
    "pool": frozenset({"opening", "client", "idl", "fastrpc", "limits", "interrupts", "errors"}),
    "recording": frozenset(
        {
            "client",
            "virtual",
            "profiles",
            "driver",
            "dsp",
            "idl",
            "fastrpc",
            "core",
            "rpmsg",
            "layout",
            "limits",
            "interrupts",
            "memory",
            "errors",
        }
    ),
    "farm": frozenset({"pool", "opening", "client", "idl", "fastrpc", "limits", "errors"}),
    "testing": frozenset(
        {"opening", "client", "driver", "virtual", "profiles", "uapi", "fastrpc", "errors"}
    ),
    "conformance": frozenset(
        {"client", "virtual", "dsp", "uapi", "fastrpc", "layout", "memory", "errors"}
    ),
    "cli": EVERYTHING,
}

# `qda/__init__.py` defines nothing, it gives out, when asked, the user's API, and `idl` as a whole.
PACKAGE_ITSELF: Final = "__init__"

COMPILED: Final = frozenset({"qda.core._core"})
"""Modules that are no Python files."""
REEXPORTED: Final = frozenset(
    {"opening", "client", "dsp", "errors", "idl", "pool", "recording", "tracing"}
)

# The rooms of `idl` stand on what all of them share.  A program that only makes calls needs
# neither C nor style, and what writes C needs no text: a model is enough.
OF_MODEL: Final = frozenset({"diagnostics", "names", "primitives", "types", "model"})
IDL_MAY_IMPORT: Final[dict[str, frozenset[str]]] = {
    "diagnostics": frozenset(),
    "names": frozenset(),
    "primitives": frozenset(),
    "types": frozenset({"diagnostics", "primitives"}),
    "model": frozenset({"diagnostics", "types"}),
    "text": OF_MODEL,
    "wire": OF_MODEL,
    "python": OF_MODEL | {"text", "wire"},
    "c": OF_MODEL,
    "style": OF_MODEL | {"text", "wire", "python", "c"},
    PACKAGE_ITSELF: OF_MODEL | {"text", "python"},
}

# Places that exist on one machine only.  Spelled so that this file does not contain one.
MACHINE_PATH: Final = re.compile(r"(?<![\w.~$)}>-])/(?:work|root|home|Users)/")
PROJECT_FILES: Final = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "pyproject.toml",
    ".ci",
    "docs",
    "src",
    "native",
    "tests",
    "benchmarks",
    "examples",
)


def modules(package: Path) -> list[Path]:
    """Return all Python files of the package, sorted."""
    return sorted(package.rglob("*.py"))


def room_of(file: Path, package: Path) -> str:
    """Return the room that a file of the package belongs to."""
    return file.relative_to(package).parts[0].removesuffix(".py")


def imported_names(file: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute dotted name) of everything of ours that a file imports, wherever.

    A module that is taken from its package has its own name; of other names the origin is said.
    """
    # The package that relative imports start from: one dot is the directory of the file.
    directory = (package.name, *file.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(file.read_text(), str(file))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = directory[: len(directory) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *(node.module or "").split("."))).strip(".")
            names = [
                f"{origin}.{alias.name}" if _is_module(origin, alias.name, package) else origin
                for alias in node.names
            ]
        else:
            continue
        for name in dict.fromkeys(names):
            if name == package.name or name.startswith(package.name + "."):
                yield node.lineno, name


def _is_module(origin: str, name: str, package: Path) -> bool:
    """Whether what is taken from a package is a module of it; of the whole package all names are
    rooms."""
    folder = package.parent.joinpath(*origin.split("."))
    return origin == package.name or (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def forbidden_imports(
    package: Path,
    within: str = "",
    table: Mapping[str, frozenset[str]] = MAY_IMPORT,
    reexported: frozenset[str] = REEXPORTED,
) -> list[str]:
    """Return a sentence for each import that a table does not allow, and each unknown room.

    `within` is the folder of the package whose rooms the table has; imports from elsewhere are
    not its concern.  `reexported` is what `__init__.py` there may import.
    """
    complaints = []
    place = package / within
    inside = ".".join((package.name, *Path(within).parts))
    for file in modules(place):
        room = room_of(file, place)
        shown = file.relative_to(package)
        allowed = reexported if room == PACKAGE_ITSELF else table.get(room)
        if allowed is None:
            complaints.append(f"{shown} belongs to no room: is {room} to become one?")
            continue
        for line, name in imported_names(file, package):
            if name != inside and not name.startswith(inside + "."):
                continue
            target = (*name.removeprefix(inside).split("."), PACKAGE_ITSELF)[1]
            if target != room and allowed is not EVERYTHING and target not in allowed:
                complaints.append(f"{shown}:{line} imports {name}")
    return complaints


def circles(package: Path) -> list[list[str]]:
    """Return the groups of files that import each other, directly or through others.

    An import is one wherever it stands, also in a function or for types only.  That a module's
    package is imported before it does not count: nobody wrote that down.
    """
    names = {}
    for file in modules(package):
        parts = (package.name, *file.relative_to(package).with_suffix("").parts)
        names[".".join(part for part in parts if part != PACKAGE_ITSELF)] = file
    needs: dict[str, set[str]] = {}
    for name, file in names.items():
        found = {one for _, one in imported_names(file, package)} - COMPILED
        # Of a name that the whole package gives out only the package is known.
        needs[name] = {one if one in names else package.name for one in found} - {name}
    needs.setdefault(package.name, set())
    reached = {name: _reached(name, needs) for name in needs}
    groups = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in needs
        if name in reached[name]
    }
    return sorted(
        sorted(names[name].relative_to(package).as_posix() for name in group) for group in groups
    )


def _reached(start: str, needs: Mapping[str, set[str]]) -> set[str]:
    """All that a file imports, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = needs[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def test_rooms_import_only_what_the_table_allows() -> None:
    """The two walls (driver and dsp, client and driver) let each part be replaced by hardware."""
    assert forbidden_imports(PACKAGE) == []


def test_rooms_of_the_interface_language_import_only_what_their_table_allows() -> None:
    """A program that makes calls does not carry what writes C or pages."""
    assert forbidden_imports(PACKAGE, "idl", IDL_MAY_IMPORT, IDL_MAY_IMPORT[PACKAGE_ITSELF]) == []


def test_no_circle_of_files() -> None:
    """Files can be read in an order in which each needs only those before it."""
    assert circles(PACKAGE) == []


@pytest.mark.parametrize("table", [MAY_IMPORT, IDL_MAY_IMPORT], ids=["qda", "idl"])
def test_table_itself_has_no_cycle(table: Mapping[str, frozenset[str]]) -> None:
    """Rooms can be put into an order in which each imports only earlier ones."""
    remaining = dict(table)
    while remaining:
        free = [room for room, needs in remaining.items() if not needs & remaining.keys()]
        assert free, f"these rooms import each other: {sorted(remaining)}"
        for room in free:
            del remaining[room]


def test_contributing_shows_the_same_table() -> None:
    """What a contributor reads is what is enforced."""
    shown: dict[str, frozenset[str]] = {}
    for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            needs = frozenset(re.findall(r"`(\w+)`", cells[2]))
            for room in re.findall(r"`(\w+)`", cells[0]):
                shown[room] = EVERYTHING if cells[2] == "everything" else needs
    assert shown == MAY_IMPORT


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("driver/file.py", "\nimport qda.dsp\n", "driver/file.py:2 imports qda.dsp"),
        (
            "driver/file.py",
            "from qda.dsp.memory import x",
            "driver/file.py:1 imports qda.dsp.memory",
        ),
        ("driver/file.py", "from qda import dsp", "driver/file.py:1 imports qda.dsp"),
        ("driver/file.py", "from ..dsp import x", "driver/file.py:1 imports qda.dsp"),
        ("driver/file.py", "from .. import dsp", "driver/file.py:1 imports qda.dsp"),
        ("driver/a/b.py", "from ...client import x", "driver/a/b.py:1 imports qda.client"),
        ("driver/__init__.py", "from ..dsp import x", "driver/__init__.py:1 imports qda.dsp"),
        ("layout.py", "from .uapi import x", "layout.py:1 imports qda.uapi"),
        (
            "errors/base.py",
            "def f():\n    import qda.opening",
            "errors/base.py:2 imports qda.opening",
        ),
        (
            "uapi/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from qda.fastrpc import x",
            "uapi/a.py:3 imports qda.fastrpc",
        ),
        ("client/a.py", "import qda", "client/a.py:1 imports qda"),
        ("__init__.py", "from qda.driver import x", "__init__.py:1 imports qda.driver"),
        ("attic/a.py", "", "attic/a.py belongs to no room: is attic to become one?"),
    ],
)
def test_checker_sees_a_forbidden_import(
    tmp_path: Path, file: str, source: str, complaint: str
) -> None:
    """Absolute, relative, inside a function, for types only: an import is an import."""
    (tmp_path / "qda" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "qda" / file).write_text(source)
    assert forbidden_imports(tmp_path / "qda") == [complaint]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("driver/file.py", "from qda.driver.memory import x\nfrom . import memory\nimport os"),
        ("driver/a/b.py", "from ..memory import x"),
        ("driver/file.py", "from qda.uapi import accel\nimport qda_tools, dsp"),
        ("cli/main.py", "import qda\nfrom qda import dsp, driver"),
        ("__init__.py", "from .opening import open\nfrom qda.dsp import Skeleton"),
    ],
)
def test_checker_lets_legal_imports_pass(tmp_path: Path, file: str, source: str) -> None:
    """A room imports itself, its allowed rooms, and whatever is not ours."""
    (tmp_path / "qda" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "qda" / file).write_text(source)
    assert forbidden_imports(tmp_path / "qda") == []


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"a.py": "from qda.b import x", "b.py": "import qda.a"}, ["a.py", "b.py"]),
        (
            {"a/__init__.py": "from qda.a.b import x", "a/b.py": "from qda.a import y"},
            ["a/__init__.py", "a/b.py"],
        ),
        (
            {
                "a.py": "def f():\n    import qda.b",
                "b.py": "import qda.c",
                "c.py": "import qda.a",
            },
            ["a.py", "b.py", "c.py"],
        ),
        (
            {"a.py": "if TYPE_CHECKING:\n    from qda import b", "b.py": "from qda.a import x"},
            ["a.py", "b.py"],
        ),
    ],
    ids=["two", "package", "three", "types"],
)
def test_checker_sees_a_circle(tmp_path: Path, files: dict[str, str], circle: list[str]) -> None:
    """Through packages and other files, inside a function, for types only."""
    _write(tmp_path / "qda", files)
    assert circles(tmp_path / "qda") == [circle]


def test_checker_sees_no_circle_in_a_package_and_its_modules(tmp_path: Path) -> None:
    """A package gives out names of its modules, and these import each other directly."""
    files = {
        "a/__init__.py": "from qda.a.b import x\nfrom qda.a import c",
        "a/b.py": "from qda.a import c\nfrom . import d",
        "a/c.py": "from qda.a.d import y",
        "a/d.py": "",
    }
    _write(tmp_path / "qda", files)
    assert circles(tmp_path / "qda") == []


def _write(package: Path, files: Mapping[str, str]) -> None:
    for name, source in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)


def test_one_place_calls_libc() -> None:
    """What the C library is asked for is typed once; other rooms use ctypes for skeletons in C."""
    loads = re.compile(r"\b(?:CDLL|PyDLL)\(None|\bpythonapi\b")
    rooms = [file for file in modules(PACKAGE) if not _is_test(file)]
    callers = [str(_shown(file)) for file in rooms if loads.search(file.read_text())]
    assert callers == ["linux.py"]


def test_no_star_imports() -> None:
    """A name in a module can be traced to where it comes from."""
    stars = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in modules(PACKAGE)
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert stars == []


def test_public_modules_list_their_public_names() -> None:
    """Every module whose path has no underscore in front says `__all__`."""
    rooms = [file for file in modules(PACKAGE) if not _is_test(file)]
    silent = [str(shown) for shown in map(_shown, rooms) if not _lists_names(shown)]
    assert silent == []


def _shown(file: Path) -> Path:
    return file.relative_to(PACKAGE)


def _is_test(file: Path) -> bool:
    return room_of(file, PACKAGE) == TESTS_THAT_ARE_SHIPPED


def _lists_names(shown: Path) -> bool:
    names = [part for part in shown.parts if part != "__init__.py"]
    if any(name.startswith("_") for name in names):
        return True
    for node in ast.parse((PACKAGE / shown).read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return True
    return False


def test_no_file_names_a_place_on_one_machine() -> None:
    """What the project says holds on every machine."""
    found = []
    for name in PROJECT_FILES:
        start = ROOT / name
        for file in sorted(start.rglob("*")) if start.is_dir() else [start]:
            if not file.is_file() or {"__pycache__", "cmake"} & set(file.parts):
                continue  # what tools have made here
            try:
                text = file.read_text()
            except UnicodeDecodeError:  # a picture, for example
                continue
            found += [
                f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
                for number, line in enumerate(text.splitlines(), 1)
                if MACHINE_PATH.search(line)
            ]
    assert found == []
