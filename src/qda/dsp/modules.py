"""Modules of a protection domain: those with fixed handles, and those that clients open.

Opening goes by URI.  A loader turns a URI into a module; the first loader that knows the name has
it.  Each client closes what it opened, at the latest when it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from qda.core import Space
from qda.dsp.native import Entry, NativeModule, NativeSkeleton
from qda.dsp.queues import QueueModule
from qda.dsp.skeleton import DspServices
from qda.errors import BAD_HANDLE, BAD_PARAMETER, UNABLE_TO_LOAD, StatusError, did_you_mean
from qda.fastrpc.handles import FIRST_OPENED
from qda.fastrpc.skeleton import AnySkeleton, Module
from qda.fastrpc.uri import ModuleUri

__all__ = [
    "Loader",
    "Modules",
    "SkeletonLoader",
    "create_skeleton",
    "nothing_to_close",
    "open_skeleton",
]


class Loader(Protocol):
    """Finds modules by URI."""

    def load(
        self, uri: ModuleUri, text: str, searched: list[str]
    ) -> tuple[Module, Callable[[], None]] | None:
        """The opened module and what closes it, or None if this loader does not have it; then it
        adds the places where it has looked to `searched`, in order (U9).  StatusError."""
        ...


class SkeletonLoader:
    """Loads skeleton classes that have been installed in the process, by interface name."""

    def __init__(self, services: DspServices) -> None:
        self._services = services
        self._classes: dict[str, type[AnySkeleton]] = {}
        self._plain: dict[str, AnySkeleton] = {}

    def install(self, skeleton: type[AnySkeleton], name: str) -> None:
        """Make a class available under a name; a later one replaces it for later opens."""
        self._classes[name] = skeleton
        self._plain.pop(name, None)

    def load(
        self, uri: ModuleUri, text: str, searched: list[str]
    ) -> tuple[Module, Callable[[], None]] | None:
        """A skeleton object: a new one for a handle64 URI, the process's own for a plain one."""
        skeleton_class = self._classes.get(uri.name)
        if skeleton_class is None:
            names = ", ".join(sorted(self._classes)) or "none"
            searched.append(f"installed skeletons ({names})")
            return None
        if uri.handle64:
            return open_skeleton(skeleton_class, self._services, text)
        if uri.name not in self._plain:
            self._plain[uri.name] = create_skeleton(skeleton_class, self._services)
        return self._plain[uri.name], nothing_to_close

    def names(self) -> Iterable[str]:
        """What is installed."""
        return list(self._classes)


def create_skeleton(skeleton_class: type[AnySkeleton], services: DspServices) -> AnySkeleton:
    """An object of a skeleton class, in a protection domain."""
    skeleton = skeleton_class()
    skeleton.dsp = services
    return skeleton


def open_skeleton(
    skeleton_class: type[AnySkeleton], services: DspServices, uri: str
) -> tuple[Module, Callable[[], None]]:
    """An opened object of a skeleton class, and what closes it.  What `open` raises."""
    skeleton_class.check_open(uri)
    skeleton = create_skeleton(skeleton_class, services)
    skeleton.open(uri)
    return skeleton, skeleton.close


def nothing_to_close() -> None:
    """A plain module has no close."""


@dataclass(frozen=True, slots=True)
class _Opened:
    client_id: int
    module: Module
    close: Callable[[], None]


class Modules:
    """The table of modules, by handle.  Handles of opened modules are never used again, so a stale
    one is told from a live one.  Thread-safe.

    `space` is told of those in C, which lanes then call without coming here.
    """

    def __init__(self, space: Space, skeletons: SkeletonLoader, others: list[Loader]) -> None:
        self._space, self._skeletons = space, skeletons
        self._loaders: list[Loader] = [skeletons, *others]
        self._fixed: dict[int, Module] = {}
        self._opened: dict[int, _Opened] = {}
        self._next = FIRST_OPENED
        self._lock = threading.Lock()

    def fix(self, handle: int, module: Module) -> None:
        """Put a module at a well-known handle."""
        self._fixed[handle] = module

    def find(self, handle: int, client_id: int) -> Module:
        """The module at a handle, as that client may use it.  StatusError."""
        opened = self._opened.get(handle)
        if opened is not None and opened.client_id == client_id:
            return opened.module
        module = self._fixed.get(handle)
        if module is None:
            raise StatusError(BAD_HANDLE, f"no module has handle {handle:#x}")
        return module

    def open(self, client_id: int, text: str) -> int:
        """Open a module by URI for a client; returns its handle.  StatusError."""
        try:
            uri = ModuleUri.parse(text)
        except ValueError as error:
            raise StatusError(BAD_PARAMETER, str(error)) from error
        searched: list[str] = []
        for loader in self._loaders:
            loaded = loader.load(uri, text, searched)
            if loaded is not None:
                break
        else:
            meant = did_you_mean(uri.name, self._skeletons.names())
            said = f"{uri.file} not found{': ' * bool(meant)}{meant or ';'}"
            raise StatusError(UNABLE_TO_LOAD, f"{said} searched {'; '.join(searched)}")
        entry = _entry_of(loaded[0])
        with self._lock:
            handle, self._next = self._next, self._next + 1
            self._opened[handle] = _Opened(client_id, *loaded)
            if entry is not None:
                self._space.open(
                    handle, client_id, entry.address, entry.own, entry.library, entry.first
                )
        return handle

    def close(self, client_id: int, handle: int) -> None:
        """Close a module that the client has opened.  StatusError."""
        with self._lock:
            opened = self._opened.get(handle)
            if opened is None or opened.client_id != client_id:
                raise StatusError(BAD_HANDLE, f"handle {handle:#x} is not open")
            del self._opened[handle]
        self._space.close(handle)
        opened.close()

    def close_all(self, client_id: int) -> list[BaseException]:
        """Close everything of a client; returns what went wrong."""
        failures: list[BaseException] = []
        with self._lock:
            handles = [h for h, opened in self._opened.items() if opened.client_id == client_id]
        for handle in handles:
            try:
                self.close(client_id, handle)
            except BaseException as error:  # a skeleton's close may raise anything
                failures.append(error)
        return failures


def _entry_of(module: Module) -> Entry | None:
    """What lanes can call, of a module that is C and nothing else."""
    return module.direct() if isinstance(module, _IN_C) else None


_IN_C = NativeModule | NativeSkeleton | QueueModule
