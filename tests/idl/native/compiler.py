"""From a document to two libraries: its stubs, and its skeletons, each with its glue.

A document takes two runs of the compiler, however many interfaces it has.  Libraries are kept for
as long as the tests run, by the hash of all that went into them.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import qda.idl
from qda.idl import Document
from qda.idl.model import Declaration, Interface, Module
from qda.idl.types import REMOTE_HANDLE64, Native, Struct, Type, Union
from tests.idl.native.glue import implementation_glue, layout_checks, runtime_glue, stub_glue

__all__ = ["BuildError", "Libraries", "build", "build_all", "find_compiler"]

FLAGS = ("-O0", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-Bsymbolic", "-Wl,-z,defs")
"""Everything is said and nothing is left open: an undefined symbol is an error of the link.  To
make it faster takes as long as all the rest; `test_c.py` has what a compiler says only then."""

INCLUDE = Path(qda.idl.__file__).parent / "c" / "include"


class BuildError(Exception):
    """The compiler refuses what was generated; the text is what it says."""


@dataclass(frozen=True)
class Libraries:
    """The files of a document: stubs, and skeletons."""

    stub: Path
    skel: Path


@cache
def find_compiler() -> str | None:
    """The path of a C compiler, if there is one."""
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


@cache
def _folder() -> Path:
    """Where everything goes until this process ends; its children leave it alone."""
    folder, owner = Path(tempfile.mkdtemp(prefix="idl-native-")), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder


_writing = threading.Lock()


def build(
    document: Document,
    *,
    implementation: str | None = None,
    defines: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = FLAGS,
) -> Libraries:
    """Generate, write and compile.  BuildError, with what the compiler says.

    `implementation` is C that has the implementations, instead of pointers for Python; `defines`
    are macros for the compiler.
    """
    sources = _sources(document, implementation)
    options = [*flags, *(f"-D{name}={value}" for name, value in (defines or {}).items())]
    digest = hashlib.sha256(repr((find_compiler(), options)).encode())
    for name, text in sources.items():
        digest.update(f"\0{name}\0{text}".encode())
    folder = _folder() / digest.hexdigest()[:20]
    libraries = Libraries(
        folder / f"lib{document.library}_stub.so", folder / f"lib{document.library}_skel.so"
    )
    with _writing:
        if not folder.exists():
            folder.mkdir()
            for name, text in sources.items():
                (folder / name).write_text(text, "utf-8", "surrogateescape")
    for library, kind in ((libraries.stub, "_stub.c"), (libraries.skel, "_skel.c")):
        if not library.exists():
            _compile(library, [name for name in sources if name.endswith(kind)], options)
    return libraries


def _sources(document: Document, implementation: str | None) -> dict[str, str]:
    """All files by name.  Those of the glue end like those that they are compiled with."""
    from qda.idl.c import Options, header, skeleton, stub

    options = Options()
    found = {f"{name}.h": header(one, options) for name, one in _with_included(document)}
    # A file may declare the root interface itself; its functions are the client library's.
    usable = [
        one for one in document.interfaces if not one.is_local and one.c_name != REMOTE_HANDLE64
    ]
    for interface in usable:
        found[f"{interface.c_name}_stub.c"] = stub(document, interface, options)
        found[f"{interface.c_name}_skel.c"] = skeleton(document, interface, options)
    checks = layout_checks(f"{document.library}.h", _structures(document.own_declarations))
    found["glue_stub.c"] = stub_glue()
    found["glue_skel.c"] = runtime_glue()
    found["implementation_skel.c"] = implementation or implementation_glue(usable)
    found["layout_stub.c"] = checks
    return found


def _with_included(document: Document) -> Iterator[tuple[str, Document]]:
    """The document, and for each other file that its declarations come from what that one holds.

    What has a header for the compiler, as `remote.idl` has, is not made again.
    """
    yield document.library, document
    files = dict.fromkeys(one.location.file for one in document.declarations)
    for file in files:
        other = replace(document, file=file)
        if file != document.file and not (INCLUDE / f"{other.library}.h").exists():
            yield other.library, other


def _structures(declarations: Iterable[Declaration]) -> Iterator[Struct]:
    for one in declarations:
        if isinstance(one, Struct) and not _unusable(one):
            yield one
        elif isinstance(one, (Interface, Module)):
            yield from _structures(one.declarations)


def _unusable(kind: Type) -> bool:
    """Whether a structure has members that have no form (idl.md 4.3), and so perhaps no C."""
    if isinstance(kind, Struct):
        return any(_unusable(member.type.resolved) for member in kind.members)
    return isinstance(kind, (Union, Native))


def _compile(library: Path, sources: list[str], options: list[str]) -> None:
    compiler = find_compiler()
    if compiler is None:
        raise BuildError("there is no C compiler")
    temporary = library.with_suffix(f".{threading.get_ident()}.tmp")
    paths = [f"-I{library.parent}", f"-I{INCLUDE}"]
    command = [compiler, *options, *paths, "-o", str(temporary), *sources]
    result = subprocess.run(
        command, cwd=library.parent, capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise BuildError(f"{library.name}: {result.stderr[:4000]}")
    temporary.rename(library)


def build_all(
    builds: Sequence[Callable[[], object]], progress: Callable[[int, int], object] | None = None
) -> None:
    """Run many builds at once, as many as there are processors; later ones find the libraries.

    What cannot be built is left to that later one, which says why.  `progress` is called after
    each, with the number done and of all.
    """

    def attempt(run: Callable[[], object]) -> None:
        with suppress(Exception):
            run()

    _folder()  # one, and not one for each thread
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(attempt, builds), 1):
            if progress:
                progress(done, len(builds))
