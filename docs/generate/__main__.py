"""Writes the pages that have changed, and says which: `make docs`."""

from __future__ import annotations

import sys

from docs.generate import PAGES, ROOT

for path, make in PAGES.items():
    page = ROOT / path
    text = make()
    if not page.exists() or page.read_text() != text:
        page.write_text(text)
        sys.stdout.write(f"{path}\n")
