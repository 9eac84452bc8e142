"""A module that is quick to load on a DSP: it needs nothing but the package."""

from __future__ import annotations

import qda

__all__ = ["Echo"]


class Echo(qda.Skeleton):
    """A module that counts how often it has been opened and not closed."""

    opened = 0

    def open(self, uri: str) -> None:
        Echo.opened += 1

    def close(self) -> None:
        Echo.opened -= 1

    @qda.method(2)
    def echo(self, given: memoryview, result: memoryview) -> None:
        result[:] = given

    @qda.method(3)
    def count(self, result: memoryview) -> None:
        result[0] = Echo.opened
