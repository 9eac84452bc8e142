"""The parts of the page of the architecture that are made from the code.

The page is written by hand between its marked parts: `<!-- made: NAME -->` to `<!-- end -->`.
Inside of them stands what the code says: which room may import which, what each file is for, and
through which functions a call goes, each of which must exist.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docs.generate import states

__all__ = ["PAGE", "page"]

PAGE: Final = "docs/architecture.md"

_PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def page(root: Path) -> str:
    """The page with its marked parts made anew.  KeyError for a mark that nothing makes."""
    text = (root / PAGE).read_text()
    return _PART.sub(lambda part: f"{part[1]}{_PARTS[part[2]](root)}{part[3]}", text)


# --- the house -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """A row of the table in CONTRIBUTING.md, which a test compares with what is enforced."""

    name: str
    holds: str
    may_import: frozenset[str]


def rooms(root: Path) -> dict[str, Room]:
    """The rooms of the table; one that may import everything imports all others."""
    found: dict[str, Room] = {}
    for line in (root / "CONTRIBUTING.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            name = cells[0].strip("`")
            others = found if cells[2] == "everything" else re.findall(r"`(\w+)`", cells[2])
            found[name] = Room(name, cells[1], frozenset(others))
    return found


def _house(root: Path) -> str:
    """A picture; an arrow is left out where others lead the same way."""
    house = rooms(root)
    lines = ["```mermaid", "flowchart TD"]
    for room in reversed(house.values()):
        reached = {far for near in room.may_import for far in _below(near, house)}
        for other in house:
            if other in room.may_import - reached:
                lines.append(f"    {room.name} --> {other}")
    return "\n".join([*lines, "```", ""])


def _below(name: str, house: dict[str, Room]) -> set[str]:
    """All rooms that a room imports, and those that they import."""
    found = set(house[name].may_import)
    for other in house[name].may_import:
        found |= _below(other, house)
    return found


def _files(root: Path) -> str:
    """Each room with its files, and the sentence with which each begins."""
    lines = []
    for room in rooms(root).values():
        lines += [f"### {room.name}", "", f"{room.holds[0].upper()}{room.holds[1:]}.", ""]
        files = _files_of(root, room.name)
        if files:
            lines += ["| file | what it is about |", "|---|---|"]
            lines += [f"| {_link(root, file)} | {_idea(file)} |" for file in files]
            lines.append("")
    return "\n".join(lines)


def _files_of(root: Path, room: str) -> list[Path]:
    module = root / f"src/qda/{room}.py"
    if module.exists():
        return [module]
    return [file for file in sorted((root / f"src/qda/{room}").rglob("*.py")) if _idea(file)]


def _idea(file: Path) -> str:
    """The first sentence of a module."""
    words = " ".join(
        (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split()
    )
    sentence = re.split(r"(?<=\.) |: (?=\S+$)", words)[0].rstrip(".:")
    return sentence.replace("|", r"\|")


def _link(root: Path, file: Path) -> str:
    path = file.relative_to(root).as_posix()
    shown = path.removeprefix("src/qda/").replace("__", r"\_\_")  # else it is bold
    return f"[{shown}](../{path})"


# --- a call --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What one of the parties does, or tells another, and the function in which that stands.

    `function` is a name of the module `file`, or Class.method.
    """

    who: str
    whom: str
    does: str
    file: str
    function: str


PROGRAM, CLIENT, DRIVER, DSP = "program", "client", "driver", "dsp"

CALL: Final = (
    Step(PROGRAM, CLIENT, "calls a method of a remote object", "idl/python/runtime.py", "Remote"),
    Step(CLIENT, CLIENT, "makes buffers of its arguments", "idl/wire/calls.py", "MethodCodec.pack"),
    Step(CLIENT, CLIENT, "begins the call", "client/calls.py", "Calls.invoke"),
    Step(CLIENT, CLIENT, "finds out where each buffer lies", "client/plan.py", "make_plan"),
    Step(CLIENT, DRIVER, "INVOKE, on its node", "client/device.py", "DeviceFile.invoke"),
    Step(
        DRIVER, DRIVER, "finds the command and its handler", "driver/accel.py", "AccelFront.ioctl"
    ),
    Step(DRIVER, DRIVER, "copies the structure in", "driver/front.py", "copied_by_size"),
    Step(DRIVER, DRIVER, "lets the core do it, or goes on here", "driver/invoke.py", "invoke"),
    Step(DRIVER, DRIVER, "takes a lane", "driver/calls.py", "Calls.begin"),
    Step(DRIVER, DRIVER, "decides what stands where", "fastrpc/payload.py", "lay_out"),
    Step(DRIVER, DRIVER, "copies inline inputs", "driver/packing.py", "pack"),
    Step(DRIVER, DSP, "40 bytes, on the lane", "driver/session.py", "Session.send"),
    Step(DSP, DSP, "the lane's thread finds the arguments", "core/twin_dsp.py", "Server.serve"),
    Step(DSP, DSP, "finds the module", "dsp/process.py", "Process.run"),
    Step(DSP, DSP, "makes values of them", "idl/wire/calls.py", "MethodCodec.serve"),
    Step(DSP, DSP, "runs the method", "idl/python/runtime.py", "Skeleton.invoke"),
    Step(DSP, DRIVER, "16 bytes, with the result", "fastrpc/message.py", "Response"),
    Step(DRIVER, DRIVER, "takes the answer that is its own", "driver/session.py", "Session.wait"),
    Step(DRIVER, DRIVER, "copies inline outputs back", "driver/packing.py", "copy_back"),
    Step(DRIVER, CLIENT, "the result of the ioctl", "driver/node.py", "LocalNode.ioctl"),
    Step(CLIENT, CLIENT, "makes values of the outputs", "idl/wire/calls.py", "MethodCodec.collect"),
    Step(CLIENT, PROGRAM, "values, or an error with its cause", "errors/refusal.py", "DspError"),
)
"""A call from end to end."""


def _call(root: Path) -> str:
    """The sequence as a picture, then each step with its function."""
    lines = ["```mermaid", "sequenceDiagram"]
    lines += [f"    participant {name}" for name in (PROGRAM, CLIENT, DRIVER, DSP)]
    lines += [f"    {step.who}->>{step.whom}: {step.does}" for step in CALL]
    lines += ["```", "", "| step | who | does | in |", "|---|---|---|---|"]
    for number, step in enumerate(CALL, 1):
        file = root / "src/qda" / step.file
        _check_exists(file, step.function)
        where = f"{_link(root, file)} `{step.function}`"
        lines.append(f"| {number} | {step.who} | {step.does} | {where} |")
    return "\n".join([*lines, ""])


def _check_exists(file: Path, name: str) -> None:
    """LookupError if a module has no function or class of that name."""
    body: list[ast.stmt] = ast.parse(file.read_text()).body
    for part in name.split("."):
        named = [node for node in body if getattr(node, "name", None) == part]
        if not named:
            raise LookupError(f"{file}: there is no {name}")
        body = getattr(named[0], "body", [])


# --- states --------------------------------------------------------------------------------------


def _states(_: Path) -> str:
    return "".join(_machines())


def _machines() -> Iterator[str]:
    for machines in states.MACHINES.values():
        for machine in machines:
            title = f"{machine.name[:1].upper()}{machine.name[1:]}"
            anchor = title.lower().replace(" ", "-")
            yield f"- [{title}](states.md#{anchor}): {', '.join(_names(machine.states))}.\n"


def _names(members: object) -> Iterator[str]:
    for member in members if isinstance(members, list) else []:
        yield member.name.lower().replace("_", " ")


_PARTS: Final[dict[str, Callable[[Path], str]]] = {
    "house": _house,
    "files": _files,
    "call": _call,
    "states": _states,
}
