"""The commands of `qda`, a module for each.

A module has an `app`, which `qda.cli.app` loads when its command is called.  So a command imports
what it needs, and no other command pays for it.
"""

from __future__ import annotations

__all__: list[str] = []
