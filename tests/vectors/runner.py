"""Runs a file of golden vectors, whatever its format; see README.md beside this file."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.vectors import core, idl_calls, idl_grammar, idl_native, idl_prototypes
from tests.vectors.hazards import check_hazard, check_refused_control
from tests.vectors.packing import Failures, check_control, check_invoke
from tests.vectors.uapi import interface_cases

Check = Callable[[], Failures]
PackingCheck = Callable[[dict[str, Any], dict[str, Any]], Failures]

IDL_CHECKS: Final[dict[str, Callable[[dict[str, Any]], Failures]]] = {
    "constant": idl_grammar.check_constant,
    "grammar": idl_grammar.check_grammar,
}
"""What checks a vector of the interface language that needs nothing but itself, by its kind.

Calls and requests need their file's interface: `idl_calls` and `idl_native` have them.  Prototypes
need declarations that their file has: `idl_prototypes`.
"""


@dataclass
class Report:
    """What a file's cases came to: failures by case id."""

    cases: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)


def cases_of(path: Path) -> dict[str, Check]:
    """The checks of a file by case id.  ValueError for a format that nobody knows."""
    data = json.loads(path.read_text())
    if data.get("format") != 1:
        raise ValueError(f"{path}: format {data.get('format')!r}, not 1")
    if "rfc_v1" in data:
        return interface_cases(data)
    if "vectors" in data:
        checks = _idl_cases(data["vectors"]) | idl_prototypes.checks_of(data)
        return checks | _call_checks(data)
    constants = data["constants"]
    return {case["id"]: _check(case, constants) for case in data["cases"]}


def _check(case: dict[str, Any], constants: dict[str, Any]) -> Check:
    if "hazard" in case:
        in_core = None if "ioctl" in case["in"] else core.check_hazard
        return partial(_in_both, check_hazard, in_core, case, constants)
    if "method" not in case:
        return partial(_in_both, check_invoke, core.check_invoke, case, constants)
    if case["out"]["errno"]:
        return lambda: check_refused_control(case, constants)
    return lambda: check_control(case, constants)


def _in_both(
    check: PackingCheck,
    in_core: PackingCheck | None,
    case: dict[str, Any],
    constants: dict[str, Any],
) -> Failures:
    """A call through the driver in Python, and through the core's if there is a compiler."""
    yield from check(case, constants)
    for line in in_core(case, constants) if in_core and core.is_there() else ():
        yield f"in the core: {line}"


def _idl_cases(vectors: list[dict[str, Any]]) -> dict[str, Check]:
    return {
        case["id"]: partial(IDL_CHECKS[case["kind"]], case)
        for case in vectors
        if case["kind"] in IDL_CHECKS
    }


def prepare(paths: Iterable[Path], progress: Callable[[int, int], object] | None = None) -> None:
    """Compile what the files need before they run, on all processors.

    `progress` gets the number of files that are done, and of all that need it.
    """
    benches = []
    for path in paths:
        with suppress(OSError, ValueError, AttributeError):  # its run says what is wrong
            benches.append(idl_native.Bench.of(json.loads(path.read_text())))
    idl_native.prepare([bench for bench in benches if bench], progress)


def _call_checks(data: dict[str, Any]) -> dict[str, Check]:
    """Calls and requests through Python, and through C if there is a compiler."""
    checks, bench = idl_calls.checks_of(data), idl_native.Bench.of(data)
    in_c = idl_native.checks_of(bench) if bench else {}
    return {name: partial(_both, check, in_c.get(name)) for name, check in checks.items()}


def _both(check: Check, check_in_c: Check | None) -> Failures:
    yield from check()
    for line in check_in_c() if check_in_c else ():
        yield f"in C: {line}"


def run(path: Path) -> Report:
    """Run every case of a file; whatever a check raises is a failure of its case."""
    report = Report()
    try:
        checks = cases_of(path)
    except (OSError, ValueError, KeyError) as error:
        report.failures[path.name] = [f"{type(error).__name__}: {error}"]
        return report
    for name, check in checks.items():
        report.cases += 1
        try:
            failures = list(check())
        except Exception:
            failures = [traceback.format_exc()]
        if failures:
            report.failures[name] = failures
    return report
