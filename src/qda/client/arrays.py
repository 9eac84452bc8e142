"""NumPy is loaded when a program makes its first array: it takes longer to load than all that a
program needs which passes bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

from qda.errors import UsageTypeError, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray

__all__ = ["dtype_of", "is_array"]


def is_array(item: object) -> TypeGuard[NDArray[np.generic]]:
    """Whether it is an array of NumPy: where NumPy has not been loaded, there is none."""
    return isinstance(item, getattr(sys.modules.get("numpy"), "ndarray", ()))


def dtype_of(given: DTypeLike) -> np.dtype[np.generic]:
    """The type of the elements of an array that both sides see.  UsageTypeError."""
    import numpy as np

    try:
        kind = np.dtype(given)
    except TypeError as error:
        raise UsageTypeError(f"dtype {quoted(given)}: {error}") from error
    if kind.hasobject:
        raise UsageTypeError(f"dtype {kind}: the DSP cannot see Python objects")
    return kind
