"""What can be chosen about the C that is written: the options of `qda idl` that change it."""

from __future__ import annotations

from dataclasses import dataclass

from qda.errors import UsageError

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options by what they do; idl.md 5.3 has their spelling on the command line.

    `standard_types` (-st): the types of `stdint.h` and `stdbool.h` instead of `AEEStdDef.h`'s.
    `indent` (-i): blanks for each level.  `header_only` (-ho): no stubs and skeletons.
    `no_header` (-ro): nothing else.  UsageError for both at once, and for a negative indent.
    """

    standard_types: bool = False
    indent: int = 3
    header_only: bool = False
    no_header: bool = False

    def __post_init__(self) -> None:
        if self.header_only and self.no_header:
            raise UsageError("header_only and no_header leave nothing to write: choose one")
        if self.indent < 0:
            raise UsageError(f"an indent of {self.indent} blanks")
