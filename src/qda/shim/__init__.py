"""The way in for other processes: the device server, and what goes with the preload library.

A program that is started with the preload library finds the nodes of a virtual system under their
usual paths; what it asks of them is answered by a `DeviceServer`.

Whoever starts a program needs `entrance` and `launch`; neither loads the server, which takes longer
than many a program runs.
"""

from __future__ import annotations

__all__: list[str] = []
