"""By which names programs find the server and its nodes."""

from __future__ import annotations

__all__ = ["LIBRARY", "LIBRARY_MARK", "MIRROR_SUFFIX", "SOCKET_VARIABLE"]

LIBRARY = "libqda_preload.so"
"""The library that is preloaded into programs."""

SOCKET_VARIABLE = "QDA_SOCKET"
"""The environment variable by which programs find the server's socket."""

MIRROR_SUFFIX = ".dev"
"""The folder beside the socket in which every virtual node has a placeholder."""

LIBRARY_MARK = "qda preload library"
"""In the preload library, before the version that it was compiled from."""
