"""Events as lines of JSON, an object each, for programs."""

from __future__ import annotations

import json
from typing import TextIO

from qda.tracing.events import Event, as_json

__all__ = ["JsonPrinter"]


class JsonPrinter:
    """Writes all events to `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._out.write(json.dumps(as_json(event), separators=(",", ":")) + "\n")
        self._out.flush()
