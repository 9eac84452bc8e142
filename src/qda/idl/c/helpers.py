"""Helpers in C that files share: what prints a call of one asks for it here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from qda.idl.c.text import code

__all__ = ["Helper", "Helpers"]


@dataclass(frozen=True)
class Helper:
    """C that stands together: the functions or types `names`, which use `needs`."""

    names: tuple[str, ...]
    text: str
    needs: tuple[str, ...] = ()


class Helpers:
    """The helpers that a file needs, of a table in which each needs only earlier ones."""

    def __init__(self, table: Iterable[Helper]) -> None:
        self._table = tuple(table)
        self._by_name = {name: one for one in self._table for name in one.names}
        self._needed: set[str] = set()

    def need(self, name: str) -> str:
        """Ask for a helper, and all that it needs; returns its name."""
        helper = self._by_name[name]
        if not self._needed.issuperset(helper.names):
            self._needed.update(helper.names)
            for other in helper.needs:
                self.need(other)
        return name

    def call(self, name: str, *arguments: str) -> str:
        """The expression that calls a helper."""
        return f"{self.need(name)}({', '.join(arguments)})"

    def is_needed(self, name: str) -> bool:
        """Whether a helper was asked for until now."""
        return name in self._needed

    @property
    def lines(self) -> list[str]:
        """All that was asked for, in the table's order."""
        found = [one for one in self._table if self._needed.intersection(one.names)]
        return [line for one in found for line in [*code(one.text), ""]]
