"""An interface whose calls work, fail, wait and die, for pools of a machine."""

from __future__ import annotations

import signal
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import qda
from tests.system import System, open_session

working = qda.idl.load("""
    interface working {
        long square(in long x, rout long long y);
        long lines(in sequence<octet> picture, rout sequence<octet> drawn);
        long fail(in long x);
        long wait();
        long die(in boolean really, rout long process);
    };
""")


class Working(working.Skeleton):  # type: ignore[misc, name-defined]
    """The DSP's side."""

    def square(self, x: int) -> int:
        return x * x

    def lines(self, picture: NDArray[np.uint8], drawn: int) -> NDArray[np.uint8]:
        return 255 - picture

    def fail(self, x: int) -> None:
        raise ValueError(f"not {x}")

    def wait(self) -> None:
        signal.pause()

    def die(self, really: bool) -> int:
        import os

        if really:
            os.kill(os.getpid(), signal.SIGKILL)
        return os.getpid()


@pytest.fixture
def opener(machine: System) -> Callable[[], qda.Session]:
    """Opens sessions of the machine."""
    return lambda: open_session(machine)
