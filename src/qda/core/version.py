"""What the compiled core and Python must agree about, as a digest; `make docs` prints it."""

from __future__ import annotations

__all__ = ["VERSION"]

VERSION = 0x63D7C46F
