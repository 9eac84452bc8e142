"""The first lines of a function in a module that is written, as formatters of Python break them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Result", "definition"]


class Result(NamedTuple):
    """The annotation of what a method returns: a type, or a tuple of more than one."""

    types: list[str]
    or_none: bool = False

    def __str__(self) -> str:
        inner = ", ".join(self.types)
        return (inner if len(self.types) == 1 else f"tuple[{inner}]") + self._behind

    @property
    def _behind(self) -> str:
        return " | None" if self.or_none else ""

    def lines(self) -> list[str]:
        """The annotation, with each type of a tuple on a line of its own."""
        if len(self.types) == 1:
            return [str(self)]
        return ["tuple[", *(f"    {one}," for one in self.types), f"]{self._behind}"]


def definition(name: str, arguments: list[str], result: Result, indent: str) -> list[str]:
    """The lines of a definition up to its colon."""
    line = f"{indent}def {name}({', '.join(arguments)}) -> {result}:"
    if len(line) <= 100:
        return [line]
    end = [f"{indent}) -> {result}:"]
    if len(end[0]) > 100:
        first, *rest = result.lines()
        end = [f"{indent}{line}" for line in (f") -> {first}", *rest)]
        end[-1] += ":"
    return [
        f"{indent}def {name}(",
        *(f"{indent}    {argument}," for argument in arguments),
        *end,
    ]
