"""How a class gets to the DSP: by reference if it can be imported there, else by value."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable

import cloudpickle

__all__ = ["by_reference_then_by_value"]

_registering = threading.Lock()


def by_reference_then_by_value(skeleton: type) -> list[Callable[[], bytes]]:
    """The two ways to pickle a class, in the order in which they are to be tried.  TypeError,
    PicklingError."""

    def by_value() -> bytes:
        module = sys.modules[skeleton.__module__]
        with _registering:
            known = module.__name__ in cloudpickle.list_registry_pickle_by_value()
            if not known:
                cloudpickle.register_pickle_by_value(module)
            try:
                return bytes(cloudpickle.dumps(skeleton))
            finally:
                if not known:
                    cloudpickle.unregister_pickle_by_value(module)

    return [lambda: bytes(cloudpickle.dumps(skeleton)), by_value]
