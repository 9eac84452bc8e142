"""`qda run` as it is mostly typed, understood without Typer, which takes longer to load than many a
program to run.

Only what is plainly right is understood here.  Everything else (help, a mistake, another command)
is Typer's, which knows the same options from `qda.cli.program_options`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qda import limits
from qda.cli.served import Served

__all__ = ["understand"]

_LISTS = "--skeletons", "--idl"
_FILES = "--trace-file", "--timeline", "--record", "--replay"
_WITH_VALUE = "--profile", "--dialect", "--trace", *_LISTS, *_FILES
_NUMBERS = "--banks", "--wait"
_DIALECTS = "rfc", "v1", "handle", "legacy", "legacy-7.3", "legacy-signals"
_TRACES = "calls", "json", "summary", "wire"


def understand(words: Sequence[str]) -> tuple[list[str], Served] | None:
    """The program, and what it is served, from what stands after `qda run`; None if it is not plain
    what is meant."""
    left = list(words)
    given: dict[str, str] = {}
    lists: dict[str, list[Path]] = {name: [] for name in _LISTS}
    mixed, lanes, as_kernel = False, True, False
    while left and left[0].startswith("-"):
        word = left.pop(0)
        if word == "--":
            break
        name, equals, value = word.partition("=")
        if name == "--mixed" and not equals:
            mixed = True
            continue
        if word == "--as-kernel":
            as_kernel = True
            continue
        if word in ("--lanes", "--no-lanes"):
            lanes = word == "--lanes"
            continue
        if name not in _WITH_VALUE + _NUMBERS:
            return None
        if not equals:
            if name == "--trace":
                value = "calls"
            elif not left:
                return None
            else:
                value = left.pop(0)
        if name in _LISTS:
            lists[name].append(Path(value))
        else:
            given[name] = value
    dialect, trace = given.get("--dialect", "rfc"), given.get("--trace")
    if not left or dialect not in _DIALECTS or (trace is not None and trace not in _TRACES):
        return None
    banks, wait = given.get("--banks"), given.get("--wait")
    if not all(number is None or number.isdecimal() for number in (banks, wait)):
        return None
    if banks is not None and not 1 <= int(banks) <= limits.BANKS:
        return None
    files = {name: Path(given[name]) for name in _FILES if name in given}
    return left, Served(
        given.get("--profile", "generic"),
        dialect,
        lists["--skeletons"],
        mixed,
        lanes,
        as_kernel,
        None if banks is None else int(banks),
        Served.wait if wait is None else float(wait),
        trace,
        trace_file=files.get("--trace-file"),
        timeline=files.get("--timeline"),
        idl=lists["--idl"],
        record=files.get("--record"),
        replay=files.get("--replay"),
    )
