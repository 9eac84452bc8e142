"""What is wrong with a text, where, and what would have been right.

    calculator.idl:3:36: error: unexpected "rout": expected "," or ")"
        long sum(in sequence<long> vec rout long long res);
                                       ^

Lines and columns count from 1.  An `IdlError` has all errors of a text, in order.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from qda import limits
from qda.errors import UsageError

__all__ = ["NOWHERE", "Diagnostic", "IdlError", "Location", "Severity"]


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in a source file; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE: Final = Location("", 0, 0)

_SHOWN: Final = 200
"""Letters of a line that are shown: some texts have no line ends at all."""


class Severity(enum.Enum):
    """Whether a text can be used in spite of what was found."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a sentence, its place, and the source line there ("" if there is none)."""

    location: Location
    message: str
    source: str = ""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Show the finding as compilers do, with a caret below the column."""
        shown = f"{self.location}: {self.severity.value}: {self.message}"
        source, column = self.source, self.location.column - 1
        if len(source) > _SHOWN:
            start = max(0, min(column, len(source)) - _SHOWN // 2)
            source, column = source[start : start + _SHOWN], column - start
        if not source.strip():
            return shown
        # Tabs stay tabs, so that the caret stands below its column at any tab width.
        before = source[:column].ljust(column)
        blank = "".join("\t" if letter == "\t" else " " for letter in before)
        return f"{shown}\n    {source}\n    {blank}^"


class IdlError(UsageError):
    """The text is no valid IDL.  `diagnostics` are its errors, the first limits.IDL_ERRORS of them,
    in the order in which they were found."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(islice(diagnostics, limits.IDL_ERRORS))
        super().__init__("\n".join(map(str, self.diagnostics)))
