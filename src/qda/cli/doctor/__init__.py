"""What `qda doctor` looks at: the package, the system, search paths, tools, and hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qda.cli.doctor.finding import Finding, Place, Verdict
from qda.cli.doctor.hardware import examine_hardware
from qda.cli.doctor.package import examine_package
from qda.cli.doctor.search_paths import examine_search_paths
from qda.cli.doctor.system import examine_system
from qda.cli.doctor.tools import examine_tools

__all__ = ["Finding", "Place", "Verdict", "examine"]

_EXAMINERS: tuple[Callable[[Place], Iterator[Finding]], ...] = (
    examine_package,
    examine_system,
    examine_search_paths,
    examine_tools,
    examine_hardware,
)


def examine(place: Place) -> Iterator[Finding]:
    """Look at everything, in the order in which it is shown."""
    for examiner in _EXAMINERS:
        yield from examiner(place)
