"""NumPy is loaded when a program makes its first array: it takes longer to load than all that a
program needs which passes bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["is_array"]


def is_array(item: object) -> TypeGuard[NDArray[np.generic]]:
    """Whether it is an array of NumPy: where NumPy has not been loaded, there is none."""
    return isinstance(item, getattr(sys.modules.get("numpy"), "ndarray", ()))
