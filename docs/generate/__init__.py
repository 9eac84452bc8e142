"""The pages and C headers that are made from code and data: `python -m docs.generate`.

What the code also says is not written by hand.  `PAGES` has a function for each; a test compares
what stands in the checkout with what they return.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from docs.generate import architecture, dialects, events, limits, profiles, rules, states, version
from qda.driver.call import CALL
from qda.uapi import DIALECTS
from qda.uapi.reference import reference

__all__ = ["PAGES", "ROOT"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

PAGES: dict[str, Callable[[], str]] = {
    "docs/dialects.md": partial(dialects.page, ROOT),
    "docs/events.md": events.page,
    "docs/recording-format.md": events.page_of_recordings,
    "docs/limits.md": limits.page,
    architecture.PAGE: partial(architecture.page, ROOT),
    "docs/profiles.md": profiles.page,
    "docs/rules.md": partial(rules.page, ROOT),
    "docs/states.md": states.page,
    "native/core/states.h": partial(CALL.c_header, "QDA_CALL"),
    "native/core/version.h": version.in_c,
    "src/qda/core/version.py": version.in_python,
    **{f"docs/uapi-{name}.md": partial(reference, DIALECTS[name]) for name in DIALECTS},
}
"""What is generated: the path of each file below the checkout, and what makes its text."""
