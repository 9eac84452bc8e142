"""What is served to programs, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from qda import limits
from qda.profiles.profile import Profile, load

__all__ = ["Served"]


@dataclass(frozen=True)
class Served:
    """The options of `qda run` and `qda serve`; `qda.cli.program_options` says what each means."""

    profile: str = "generic"
    dialect: str = "rfc"
    skeletons: list[Path] = field(default_factory=list)
    mixed: bool = False
    lanes: bool = True
    as_kernel: bool = False
    banks: int | None = None
    wait: float = limits.BANK_WAIT
    trace: str | None = None
    trace_file: Path | None = None
    timeline: Path | None = None
    idl: list[Path] = field(default_factory=list)
    record: Path | None = None
    replay: Path | None = None

    def system(self) -> Profile:
        """The system that is served.  UsageError for a profile that makes no sense."""
        profile = load(self.profile)
        if self.as_kernel:
            profile = profile.as_kernel()
        return profile if self.banks is None else profile.with_banks(self.banks)

    @property
    def patience(self) -> float:
        """How long a program waits for a context bank: a kernel lets none wait."""
        return 0 if self.as_kernel else self.wait

    @property
    def is_traced(self) -> bool:
        """Whether all that programs ask for has to be seen."""
        return self.trace is not None or self.timeline is not None

    @property
    def is_watched(self) -> bool:
        """Whether it has to be known what all calls are: they are traced, recorded or played."""
        return self.is_traced or self.record is not None or self.replay is not None
