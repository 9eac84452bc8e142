"""How a class gets to the DSP: by reference if it can be imported there, else by value.  A DSP that
runs in this process, for debugging, gets the class itself."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import cloudpickle

__all__ = ["by_reference_then_by_value", "handed_over"]

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


@contextmanager
def handed_over(table: dict[str, type], skeleton: type) -> Iterator[bytes]:
    """Leave a class for a DSP of this process in the table that both have; its key, with a NUL.

    A pickle would not do, even for a copy: of a class that it knows, cloudpickle makes no new one
    but writes all attributes anew, into the program's own.
    """
    key = uuid4().hex
    table[key] = skeleton
    try:
        yield key.encode() + b"\0"
    finally:
        del table[key]
