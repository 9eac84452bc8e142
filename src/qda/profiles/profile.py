"""SoC profiles: which DSPs a system has, their context banks, limits and capabilities (U10)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from qda import limits
from qda.errors import UsageError, UsageTypeError, did_you_mean, suggestion
from qda.fastrpc.domains import COMPUTE, DOMAINS

__all__ = ["DEFAULT", "DspProfile", "Profile", "load", "names"]

DEFAULT = "generic"

OLDER_DIALECT = "legacy"
"""What the older driver's nodes speak if a profile does not say."""

_FOLDER = Path(__file__).parent

T = TypeVar("T")

_KINDS: dict[type, str] = {dict: "table", list: "list", str: "text"}


@dataclass(frozen=True, slots=True)
class DspProfile:
    """One DSP: what its driver may use, and what it says of itself.

    `stream_ids` are those of its context banks, `message_limit` is in bytes; `secure` says that the
    older driver's plain node, if there is one, is for unsigned processes only.  `capabilities` are
    by attribute number (spec/fastrpc.md 3.5).
    """

    name: str
    stream_ids: tuple[int, ...]
    message_limit: int
    secure: bool
    poll_mode: bool
    capabilities: dict[int, int]

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
    fastrpc: str = OLDER_DIALECT


def names() -> list[str]:
    """The profiles that come with the package."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def load(profile: str) -> Profile:
    """A profile by name, or from a file if `profile` ends in `.toml`.

    UsageError for a name that does not exist and for a file that makes no sense.
    """
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


def _parse(name: str, table: dict[str, Any]) -> Profile:
    what = "the profile"
    _refuse_unknown(what, table, {"title", "fastrpc", "dsp"})
    fastrpc = table.get("fastrpc", OLDER_DIALECT)
    if fastrpc != OLDER_DIALECT:
        _refuse_other_dialect(fastrpc)
    dsps = tuple(_dsp(entry) for entry in _take(what, table, "dsp", list))
    if not dsps or len({dsp.name for dsp in dsps}) != len(dsps):
        raise ValueError("a system has one or more DSPs, each once")
    return Profile(name, _take(what, table, "title", str), dsps, fastrpc)


def _dsp(entry: object) -> DspProfile:
    if not isinstance(entry, dict):
        raise ValueError(f"dsp {entry!r}: a table, [[dsp]]")
    name = _take("a dsp", entry, "name", str)
    if name not in DOMAINS:
        raise UsageError(f"{name!r} is no DSP: {suggestion(name, DOMAINS)}")
    _refuse_unknown(
        name,
        entry,
        {"name", "stream_ids", "message_limit", "non_secure_domain", "poll_mode", "capabilities"},
    )
    stream_ids = tuple(_take(name, entry, "stream_ids", list))
    if not all(_is_number(stream_id, 1, (1 << 31) - 1) for stream_id in stream_ids) or len(
        set(stream_ids)
    ) != len(stream_ids):
        raise ValueError(f"{name}: stream ids are distinct numbers above 0: {list(stream_ids)}")
    message_limit = entry.get("message_limit", limits.MESSAGE)
    if not _is_number(message_limit, 1, 1 << 31):
        raise ValueError(f"{name}: message_limit {message_limit!r}: bytes, 1 to 2147483648")
    capabilities = _take(name, {"capabilities": {}, **entry}, "capabilities", dict)
    for key, value in capabilities.items():
        known = key.isdecimal() and 1 <= int(key) <= limits.CAPABILITIES
        if not (known and _is_number(value, 0, 0xFFFFFFFF)):
            raise ValueError(
                f"{name}: capability {key} = {value!r}: "
                f"attributes are 1 to {limits.CAPABILITIES}, values 32 bits"
            )
    flags = {"non_secure_domain": False, "poll_mode": True}
    flags |= {key: entry[key] for key in flags if key in entry}
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise ValueError(f"{name}: {key} {value!r}: true or false")
    return DspProfile(
        name,
        stream_ids,
        message_limit,
        secure=not flags["non_secure_domain"],
        poll_mode=flags["poll_mode"],
        capabilities={int(key): value for key, value in capabilities.items()},
    )


def _refuse_other_dialect(fastrpc: object) -> None:
    from qda.uapi import DIALECTS, Family  # most profiles say nothing, and this takes long to load

    known = [spoken.name for spoken in DIALECTS.values() if spoken.family is Family.LEGACY]
    if fastrpc not in known:
        raise ValueError(
            f"fastrpc {fastrpc!r}: the older driver's nodes speak {' or '.join(known)}"
        )


def _take(what: str, table: Mapping[str, object], key: str, kind: type[T]) -> T:
    value = table.get(key)
    if not isinstance(value, kind):
        raise ValueError(f"{what}: {key} {value!r} is not a {_KINDS[kind]}")
    return value


def _refuse_unknown(what: str, table: Mapping[str, object], known: set[str]) -> None:
    for key in table.keys() - known:
        raise ValueError(f"{what}: {key!r} is none of {', '.join(sorted(known))}")


def _is_number(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
