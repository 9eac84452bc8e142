"""Run vector files: `python -m tests.vectors PATH...` (files or folders).

Prints the number of cases of each file and every failure; exit status 1 if there is one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.vectors.runner import run


def main(arguments: list[str]) -> int:
    """Run all files; 0 if every case passes, 1 if not, 2 for wrong usage."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    paths: list[Path] = []
    for argument in map(Path, arguments):
        paths += sorted(argument.rglob("*.json")) if argument.is_dir() else [argument]
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
