"""SoC profiles: which DSPs a system has, their context banks, limits and capabilities (U10)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from qda.errors import UsageError, UsageTypeError, did_you_mean
from qda.fastrpc.domains import COMPUTE
from qda.profiles.keys import DSP_KEYS, SYSTEM_KEYS, Toml, take

__all__ = ["DEFAULT", "DspProfile", "Profile", "load", "names"]

DEFAULT = "generic"

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DspProfile:
    """One DSP: what its driver may use, and what it says of itself.

    `stream_ids` are those of its context banks, `message_limit` is in bytes; `secure` says that the
    older driver's plain node, if there is one, is for unsigned processes only.  `capabilities` are
    by attribute number (spec/fastrpc.md 3.5); with a `capability_status` the question fails.
    `remote_heap`, `policy`, `refused_nodes` and `switches` are as `qda.driver.Limits` has them.
    """

    name: str
    stream_ids: tuple[int, ...]
    message_limit: int
    secure: bool
    poll_mode: bool
    capabilities: dict[int, int]
    remote_heap: bool = True
    policy: str = "nodes"
    capability_status: int = 0
    refused_nodes: Mapping[str, int] = field(default_factory=dict)
    switches: Mapping[str, int] = field(default_factory=dict)

    @property
    def secure_nodes(self) -> tuple[bool, ...]:
        """The nodes of the older driver, plain (False) or secure (True); compute DSPs have both,
        any other DSP the one that its `non_secure_domain` says (spec/fastrpc.md 5.1)."""
        return (False, True) if self.name in COMPUTE else (self.secure,)


@dataclass(frozen=True, slots=True)
class Profile:
    """A system: its DSPs in the order of their nodes, `accel0` first, and the dialect that the
    older driver's nodes speak to programs."""

    name: str
    title: str
    dsps: tuple[DspProfile, ...]
    fastrpc: str = "legacy"

    def with_banks(self, count: int) -> Profile:
        """The same system with so many context banks for each DSP: its first ones, and where it has
        not as many, others of the lowest numbers.  UsageTypeError, UsageError."""
        if not isinstance(count, int):
            raise UsageTypeError(f"banks {count!r:.80}: a number")
        if count < 1:
            raise UsageError(f"banks {count}: at least 1")
        return replace(self, dsps=tuple(_with_banks(dsp, count) for dsp in self.dsps))

    def as_kernel(self) -> Profile:
        """The same system with the switches of `qda.uapi.AS_KERNEL`, but for those that it sets
        itself."""
        from qda.uapi.semantics import AS_KERNEL  # takes long to load, and is seldom wanted

        switched = (replace(dsp, switches={**AS_KERNEL, **dsp.switches}) for dsp in self.dsps)
        return replace(self, dsps=tuple(switched))


def _with_banks(dsp: DspProfile, count: int) -> DspProfile:
    others = (number for number in range(1, count + 1) if number not in dsp.stream_ids)
    return replace(dsp, stream_ids=tuple(islice(chain(dsp.stream_ids, others), count)))


def names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def load(profile: str | Path) -> Profile:
    """A profile by name, or from a file if `profile` ends in `.toml`.

    UsageError for a name that does not exist and for a file that makes no sense.
    """
    if isinstance(profile, Path):
        profile = str(profile)
    if not isinstance(profile, str):
        raise UsageTypeError(f"profile {profile!r:.80}: a name, or the path of a .toml file")
    try:
        if profile.endswith(".toml"):
            text = Path(profile).read_text("utf-8")
        elif profile in names():
            text = (_FOLDER / f"{profile}.toml").read_text("utf-8")
        else:
            meant = did_you_mean(profile, names())
            raise ValueError(meant or f"there are {', '.join(names())}, or a .toml file")
        return _parse(Path(profile).stem, tomllib.loads(text))
    except OSError as error:
        raise UsageError(f"profile {profile!r}: {error.strerror}") from error
    except ValueError as error:  # also what tomllib and decoding raise
        raise UsageError(f"profile {profile!r}: {error}") from error


def _parse(name: str, table: Mapping[str, Toml]) -> Profile:
    said = take("the profile", table, SYSTEM_KEYS)
    dsps = tuple(_dsp(entry) for entry in said["dsp"])
    if not dsps or len({dsp.name for dsp in dsps}) != len(dsps):
        raise ValueError("a system has one or more DSPs, each once")
    return Profile(name, said["title"], dsps, said["fastrpc"])


def _dsp(entry: Mapping[str, Toml]) -> DspProfile:
    name = entry.get("name")
    said = take(name if isinstance(name, str) else "a dsp", entry, DSP_KEYS)
    return DspProfile(
        said["name"],
        said["stream_ids"],
        said["message_limit"],
        secure=not said["non_secure_domain"],
        poll_mode=said["poll_mode"],
        capabilities=said["capabilities"],
        remote_heap=said["remote_heap"],
        policy=said["policy"],
        capability_status=said["capability_status"],
        refused_nodes=said["refuses"],
        switches=said["switches"],
    )
