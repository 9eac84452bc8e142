"""What commands mean, where dialects differ in that and not in their structures.

Each difference is a switch with a name.  A dialect says how they stand (`Interface.semantics`), and
a system may have single ones otherwise (`qda.profiles`): so an interface that is still being argued
about is a table, and one of its rules can be tried without the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from errno import EBADF, EBUSY, EINVAL, ENODEV, ENOMEM, EPIPE

__all__ = ["AS_KERNEL", "ERRNOS", "Semantics"]

ERRNOS: Mapping[str, tuple[int, ...]] = {
    "without_bank": (ENOMEM, EBUSY),
    "import_without_bank": (ENODEV, ENOMEM, EBUSY),
    "removed": (ENODEV, EPIPE),
    "unknown_file": (EINVAL, EBADF),
    "senseless_size": (EINVAL, ENOMEM),
}
"""The switches that say an errno, and which ones there are of it."""

AS_KERNEL: Mapping[str, int] = {
    "unknown_file": EBADF,
    "senseless_size": ENOMEM,
    "looks_at_offsets": False,
}
"""The settings with which the older driver's nodes answer as those of Linux 6.12 and 7.2 do, where
they otherwise keep a rule that those do not (docs/kernel.md)."""


@dataclass(frozen=True, slots=True)
class Semantics:
    """How the switches stand.

    `without_bank` is the errno of a command that needs a context bank when none is free, and
    `import_without_bank` that of an import; with `bank_at_open` an open file takes its bank at
    once.  `removed` is the errno of commands when the DSP is gone.  `attaches` says whether a
    session with the DSP's own system can be begun, `maps_imports` whether mmap() of the node also
    maps an import.  With `privileged`, a signed process and a session with the DSP's own system
    are for callers with CAP_SYS_ADMIN.  With `caches_capabilities` the driver asks a DSP for its
    capabilities once, until it starts again.

    Of the older driver alone: `unknown_file` is the errno of an image or a mapping whose descriptor
    is none, `senseless_size` that of new memory of 0 bytes or of more than addresses can say, and
    `looks_at_offsets` says whether a mapping begins where the request says, or with its buffer.
    """

    without_bank: int = ENOMEM
    import_without_bank: int = ENODEV
    bank_at_open: bool = False
    removed: int = ENODEV
    attaches: bool = True
    maps_imports: bool = True
    privileged: bool = False
    caches_capabilities: bool = False
    unknown_file: int = EINVAL
    senseless_size: int = EINVAL
    looks_at_offsets: bool = True

    def changed(self, switches: Mapping[str, int]) -> Semantics:
        """The same with other settings of some switches, by their names.

        ValueError for a switch that there is not, or a setting that it has not.
        """
        known = {field.name for field in fields(self)}
        for name, setting in switches.items():
            if name not in known:
                raise ValueError(f"switch {name!r}: there are {', '.join(sorted(known))}")
            if name in ERRNOS:
                if isinstance(setting, bool) or setting not in ERRNOS[name]:
                    raise ValueError(f"switch {name} = {setting!r}: errno {ERRNOS[name]}")
            elif not isinstance(setting, bool):
                raise ValueError(f"switch {name} = {setting!r}: true or false")
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        return Semantics(**{**settings, **switches}) if switches else self
