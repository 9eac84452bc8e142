"""What the remote processor does: processes, their memory, modules, skeletons, services.

The driver is on the other side of `qda.rpmsg`: only bytes and descriptors pass.  Whoever starts a
DSP needs `boot`, whoever writes a skeleton `skeleton`; neither loads the processor itself.
"""

from __future__ import annotations

__all__: list[str] = []
