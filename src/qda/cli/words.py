"""Numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ranges", "size"]


def ranges(numbers: Sequence[int]) -> str:
    """Stream ids in short: "1-8, 12 (9 banks)"."""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    words = ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
    return f"{words} ({len(numbers)} {'bank' if len(numbers) == 1 else 'banks'})"


def size(count: int) -> str:
    """Bytes, in MiB."""
    return f"{count / (1 << 20):g} MiB"
