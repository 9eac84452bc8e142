"""What is served to programs, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Served"]


@dataclass(frozen=True)
class Served:
    """The options of `qda run` and `qda serve`; `qda.cli.program_options` says what each means."""

    profile: str = "generic"
    dialect: str = "rfc"
    skeletons: list[Path] = field(default_factory=list)
    mixed: bool = False
    lanes: bool = True
    trace: str | None = None
    trace_file: Path | None = None
    timeline: Path | None = None

    @property
    def is_traced(self) -> bool:
        """Whether all that programs ask for has to be seen."""
        return self.trace is not None or self.timeline is not None
