"""The picture of a run: what a call costs by the size of what it brings, and where it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.calls import EVERYONE
from benchmarks.cases import CASES, Form
from benchmarks.contenders import Sort
from benchmarks.placement import Column
from benchmarks.results import Result

__all__ = ["draw"]

STYLES = {Sort.OURS: "-", Sort.PEER: "--", Sort.FLOOR: ":"}


def draw(result: Result, path: Path) -> None:
    """Write the picture as SVG.  ImportError without matplotlib, which the extra `bench` brings."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": "qda", "font.size": 9}):
        figure, (sizes, places) = pyplot.subplots(1, 2, figsize=(11, 4.5))
        _by_size(result, sizes)
        _by_placement(result, places)
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def _by_size(result: Result, axes: Any) -> None:
    """Bytes there and back on one CPU: copied below 4 KiB, in a buffer object from there on."""
    short = [one for one in CASES if one.form is Form.INLINE and one.size < 4096]
    cases = [*short, *(one for one in CASES if one.form is Form.ENDS)]
    for one in EVERYONE:
        values = [result.value(case.row, Column.ONE, one.name) for case in cases]
        points = [(case.size, v) for case, v in zip(cases, values, strict=True) if v is not None]
        if points:
            axes.plot(*zip(*points, strict=True), STYLES[one.sort], marker=".", label=one.name)
    axes.set(xscale="log", yscale="log", xlabel="bytes there and back", ylabel="µs")
    axes.minorticks_off()
    axes.set_title("One CPU: copied below 4 KiB, shared from there on")
    axes.legend(fontsize=8)


def _by_placement(result: Result, axes: Any) -> None:
    """An empty call in each placement."""
    names = [one.name for one in EVERYONE if result.value("empty", Column.ONE, one.name)]
    for number, column in enumerate(Column):
        times = [result.value("empty", column, name) or 0 for name in names]
        heights = [place + (number - 1) * 0.27 for place in range(len(names))]
        axes.barh(heights, times, 0.25, label=column)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="µs")
    axes.minorticks_off()
    axes.set_title("An empty call, by placement")
    axes.legend(fontsize=8)
