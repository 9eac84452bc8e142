"""SoC profiles: which DSPs a system has, their context banks, limits and capabilities (U10)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from qda.driver import DEFAULT_MESSAGE_LIMIT, Limits
from qda.dsp import Boot
from qda.errors import UsageError

__all__ = ["DEFAULT", "DspProfile", "Profile", "load", "names"]

DEFAULT = "generic"


@dataclass(frozen=True, slots=True)
class DspProfile:
    """One DSP: what its driver may use, and what it says of itself."""

    limits: Limits
    boot: Boot

    @property
    def name(self) -> str:
        return self.boot.domain


@dataclass(frozen=True, slots=True)
class Profile:
    """A system: its DSPs in the order of their nodes, `accel0` first."""

    name: str
    title: str
    dsps: tuple[DspProfile, ...]


def names() -> list[str]:
    """The profiles that come with the package."""
    folder = resources.files("qda.virtual") / "profiles"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir())


def load(profile: str) -> Profile:
    """A profile by name, or from a file if `profile` ends in `.toml`.

    UsageError for a name that does not exist and for a file that makes no sense.
    """
    if profile.endswith(".toml"):
        try:
            text = Path(profile).read_text()
        except OSError as error:
            raise UsageError(f"profile {profile!r}: {error.strerror}") from error
    elif profile in names():
        text = (resources.files("qda.virtual") / "profiles" / f"{profile}.toml").read_text()
    else:
        raise UsageError(f"profile {profile!r}: there are {', '.join(names())}, or a .toml file")
    try:
        return _parse(Path(profile).stem, tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"profile {profile!r}: {error}") from error


def _parse(name: str, table: Mapping[str, Any]) -> Profile:
    return Profile(name, table["title"], tuple(_dsp(entry) for entry in table["dsp"]))


def _dsp(entry: Mapping[str, Any]) -> DspProfile:
    name = entry["name"]
    stream_ids = tuple(entry["stream_ids"])
    if len(set(stream_ids)) != len(stream_ids) or not all(0 < sid < 1 << 31 for sid in stream_ids):
        raise ValueError(f"{name}: stream ids are distinct numbers above 0: {stream_ids}")
    limits = Limits(stream_ids, entry.get("message_limit", DEFAULT_MESSAGE_LIMIT))
    capabilities = {int(key): int(value) for key, value in entry.get("capabilities", {}).items()}
    return DspProfile(limits, Boot(name, capabilities))
