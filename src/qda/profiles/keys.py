"""What a profile may say: the keys of its file, each with its values and a sentence.

The page docs/profiles.md is printed from these, and files are checked by them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from qda import limits
from qda.errors import suggestion
from qda.fastrpc.domains import DOMAINS

__all__ = ["DSP_KEYS", "NODE_MODES", "POLICIES", "SYSTEM_KEYS", "Key", "Toml", "take"]

POLICIES = ("nodes", "privileges", "applications")
"""Who may do what, by name; `qda.driver.policy` has them."""

NODE_MODES = ("accel", "plain", "secure")
"""The nodes of a DSP: the accelerator's, and the older driver's two."""

Toml: TypeAlias = "str | int | float | bool | list[Toml] | dict[str, Toml] | None"
"""What a file says; None for a key that it has not."""

_WORD = 0xFFFFFFFF


class Key(NamedTuple):
    """A key of a table: its values in words, what they mean, the value if the key is missing (None
    for one that must be there), and what makes a value of what the file says, or raises
    ValueError."""

    name: str
    values: str
    text: str
    default: Any
    read: Callable[[Any], Any]


def take(what: str, table: Mapping[str, Toml], keys: tuple[Key, ...]) -> dict[str, Any]:
    """The values of a table by its keys.  ValueError that names table, key and value."""
    known = [key.name for key in keys]
    for name in table:
        if name not in known:
            raise ValueError(f"{what}: {name!r} is no key: {suggestion(name, known)}")
    taken = {}
    for key in keys:
        if key.name not in table and key.default is not None:
            taken[key.name] = key.default
            continue
        value = table.get(key.name)
        try:
            taken[key.name] = key.read(value)
        except (ValueError, TypeError) as error:
            words = str(error) or key.values
            raise ValueError(f"{what}: {key.name} {value!r}: {words}") from None
    return taken


def _text(value: Toml) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text")
    return value


def _flag(value: Toml) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _is_number(value: Toml, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _stream_ids(value: Toml) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError("is not a list")
    numbers = [one for one in value if _is_number(one, 1, (1 << 31) - 1)]
    if len(numbers) < len(value) or len(set(numbers)) != len(value):
        raise ValueError("stream ids are distinct numbers above 0")
    return tuple(numbers)


def _message_limit(value: Toml) -> int:
    if not _is_number(value, 1, 1 << 31):
        raise ValueError("bytes, 1 to 2147483648")
    return value


def _capabilities(value: Toml) -> dict[int, int]:
    if not isinstance(value, dict):
        raise ValueError("is not a table")
    words = {}
    for key, word in value.items():
        known = key.isdecimal() and 1 <= int(key) <= limits.CAPABILITIES
        if not (known and _is_number(word, 0, _WORD)):
            raise ValueError(
                f"capability {key} = {word!r}: "
                f"attributes are 1 to {limits.CAPABILITIES}, values 32 bits"
            )
        words[int(key)] = word
    return words


def _status(value: Toml) -> int:
    if not _is_number(value, -(1 << 31), _WORD) or value == 0:
        raise ValueError("a status of the DSP that is not 0, such as -1 or 0x80000414")
    return value & _WORD


def _one_of(choices: tuple[str, ...]) -> Callable[[Toml], str]:
    def read(value: Toml) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return str(value)

    return read


def _errno(value: Toml) -> int:
    number = getattr(errno, value, None) if isinstance(value, str) else None
    if number is None:
        raise ValueError(f"{value!r} is no errno: its name is needed, such as EACCES")
    return int(number)


def _refuses(value: Toml) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("is not a table")
    for node in value:
        if node not in NODE_MODES:
            raise ValueError(f"{node!r} is no node: one of {', '.join(NODE_MODES)}")
    return {node: _errno(name) for node, name in value.items()}


def _switches(value: Toml) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError("is not a table")
    from qda.uapi import RFC  # most profiles say nothing, and this takes long to load

    switches = {name: it if isinstance(it, bool) else _errno(it) for name, it in value.items()}
    RFC.semantics.changed(switches)
    return switches


def _dialect(value: Toml) -> str:
    from qda.uapi import DIALECTS, Family  # as above

    known = [spoken.name for spoken in DIALECTS.values() if spoken.family is Family.LEGACY]
    if value not in known:
        raise ValueError(f"the older driver's nodes speak {' or '.join(known)}")
    return str(value)


def _domain(value: Toml) -> str:
    name = _text(value)
    if name not in DOMAINS:
        raise ValueError(f"is no DSP: {suggestion(name, DOMAINS)}")
    return name


def _tables(value: Toml) -> list[dict[str, Toml]]:
    tables = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or len(tables) < len(value):
        raise ValueError("is not a list of tables, [[dsp]]")
    return tables


SYSTEM_KEYS: tuple[Key, ...] = (
    Key("title", "text", "what people call the system", None, _text),
    Key(
        "fastrpc",
        '"legacy", "legacy-7.3" or "legacy-signals"',
        "which age of the older driver the nodes `/dev/fastrpc-*` are of",
        "legacy",
        lambda value: value if value == "legacy" else _dialect(value),
    ),
    Key("dsp", "tables", "its DSPs, `accel0` first", None, _tables),
)

DSP_KEYS: tuple[Key, ...] = (
    Key("name", ", ".join(DOMAINS), "which DSP it is", None, _domain),
    Key("stream_ids", "numbers above 0", "a context bank for each", None, _stream_ids),
    Key(
        "message_limit",
        "bytes",
        "how long a call's message may be: beyond it ENOMEM",
        limits.MESSAGE,
        _message_limit,
    ),
    Key(
        "non_secure_domain",
        "true or false",
        "the property `qcom,non-secure-domain` of a device tree: the plain node takes every "
        "process, and a DSP that is no compute DSP has the plain node in place of `-secure`",
        False,
        _flag,
    ),
    Key("poll_mode", "true or false", "whether calls may wait awake", True, _flag),
    Key(
        "remote_heap",
        "true or false",
        "whether memory is reserved for the remote heap of static processes: without it ENOMEM",
        True,
        _flag,
    ),
    Key(
        "policy",
        ", ".join(POLICIES),
        "who may begin which session: what the nodes say; CAP_SYS_ADMIN for all but unsigned "
        "processes (EPERM); and nobody may attach (EACCES)",
        "nodes",
        _one_of(POLICIES),
    ),
    Key(
        "capability_status",
        "a status of the DSP",
        "the question for capabilities fails with it: -1 is an EPERM to programs, 0x80000414 an "
        "EOPNOTSUPP",
        0,
        _status,
    ),
    Key(
        "refuses",
        "a table of errnos by node: " + ", ".join(NODE_MODES),
        'nodes that cannot be opened, and why: `{ secure = "EACCES" }`',
        {},
        _refuses,
    ),
    Key(
        "switches",
        "a table",
        "what commands mean otherwise than in their dialect, see [Dialects](dialects.md): "
        '`{ removed = "EPIPE", attaches = true }`',
        {},
        _switches,
    ),
    Key(
        "capabilities",
        "a table of words by attribute, 1 to 255",
        "what the DSP tells of itself, see `qda info`",
        {},
        _capabilities,
    ),
)
