"""The page of profiles: what their files may say, from the keys by which they are checked."""

from __future__ import annotations

from collections.abc import Iterator

from qda.profiles.keys import DSP_KEYS, SYSTEM_KEYS, Key
from qda.profiles.profile import load, names

__all__ = ["page"]

_HEAD = """\
# Profiles

A profile says which DSPs a virtual system has, what each allows, and what it refuses. \
`qda profiles` lists those that come with the package, `qda profiles show NAME` shows one. A file \
of your own works wherever a name does, `--profile system.toml` and \
`qda.open(profile="system.toml")`:

```toml
title = "A system that refuses"

[[dsp]]
name = "cdsp"
stream_ids = [1, 2, 3, 4]
policy = "privileges"
refuses = { plain = "EACCES" }
[dsp.switches]
removed = "EPIPE"
[dsp.capabilities]
6 = 0x73
```

A file is checked as it is read: a key that there is not is refused with its neighbour, a value \
with those that there can be. Made by `make docs` from the keys in `qda.profiles`.
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "## Keys of a system\n"
    yield from _table(SYSTEM_KEYS)
    yield "## Keys of a DSP\n"
    yield from _table(DSP_KEYS)
    yield "## Those that come with the package\n"
    yield "| name | system | DSPs |"
    yield "|---|---|---|"
    for name in names():
        profile = load(name)
        yield f"| `{name}` | {profile.title} | {', '.join(dsp.name for dsp in profile.dsps)} |"


def _table(keys: tuple[Key, ...]) -> Iterator[str]:
    yield "| key | values | what it says | if it is missing |"
    yield "|---|---|---|---|"
    for key in keys:
        yield f"| `{key.name}` | {key.values} | {key.text} | {_missing(key)} |"
    yield ""


def _missing(key: Key) -> str:
    if key.default is None:
        return "an error"
    if isinstance(key.default, bool):
        return "true" if key.default else "false"
    if isinstance(key.default, dict) or key.default == 0:
        return "none"
    return f"`{key.default}`"
