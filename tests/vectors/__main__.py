"""Run vector files: `python -m tests.vectors PATH...` (files or folders).

Prints the number of cases of each file and every failure; exit status 1 if there is one.  Calls of
interfaces go through Python, and through generated C if there is a C compiler.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.idl.native import find_compiler
from tests.vectors.runner import prepare, run


def main(arguments: list[str]) -> int:
    """Run all files; 0 if every case passes, 1 if not, 2 for wrong usage."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    paths: list[Path] = []
    for argument in map(Path, arguments):
        paths += sorted(argument.rglob("*.json")) if argument.is_dir() else [argument]
    if find_compiler() is None:
        print("There is no C compiler: calls go through Python only.")
    _compile(paths)
    cases, failures = 0, 0
    for path in paths:
        report = run(path)
        cases += report.cases
        failures += len(report.failures)
        print(f"{path}: {report.cases} cases, {len(report.failures)} failed")
        for case, words in report.failures.items():
            for line in words:
                print(f"  {case}: {line}")
    print(f"{cases - failures} passed, {failures} failed")
    return 1 if failures or not cases else 0


def _compile(paths: list[Path]) -> None:
    """Compile stubs and skeletons, with a progress bar where somebody may be watching."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("Compiling C")
        prepare(paths, lambda done, total: shown.update(task, completed=done, total=total))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
