"""On which DSPs a test runs: what its mark says, else the command line, else the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from qda.profiles.profile import DEFAULT
from qda.profiles.profile import names as profile_names
from qda.uapi import DIALECTS

__all__ = ["Choice", "choices_for"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A DSP of a system, and the dialect in which a test speaks to it; or that of a device node,
    whose system and dialect are what they are."""

    domain: str
    profile: str = DEFAULT
    dialect: str = "rfc"
    device: str | None = None

    def __str__(self) -> str:
        return f"{self.profile}-{self.dialect}"


def choices_for(item: pytest.Item) -> list[Choice]:
    """The choices for a test, at least one.  UsageError for a system or dialect there is not."""
    mark = item.get_closest_marker("dsp")
    said = {} if mark is None else mark.kwargs
    domain = said.get("domain", mark.args[0] if mark is not None and mark.args else "cdsp")
    device: str | None = item.config.getoption("dsp_device")
    if device is not None:
        return [Choice(domain, device=device)]
    profiles = _wanted(item.config, "profile", said.get("profiles"), profile_names())
    dialects = _wanted(item.config, "dialect", said.get("dialects"), list(DIALECTS))
    return [Choice(domain, profile, dialect) for profile in profiles for dialect in dialects]


def _wanted(
    config: pytest.Config, what: str, marked: str | Sequence[str] | None, known: Sequence[str]
) -> Sequence[str]:
    """The names that are asked for; without any, the first that is known."""
    given = [marked] if isinstance(marked, str) else marked
    wanted = given or config.getoption(f"dsp_{what}") or config.getini(f"dsp_{what}s")
    default = DEFAULT if DEFAULT in known else known[0]
    if "all" in wanted:
        return known
    for name in wanted:
        if name not in known and not name.endswith(".toml"):
            raise pytest.UsageError(f"dsp_{what}: {name!r}: there are {', '.join(known)}")
    return wanted or [default]
