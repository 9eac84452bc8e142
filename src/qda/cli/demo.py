"""The demo: an image filter on the DSP, with its data passed in three ways.

The filter draws the edges of a picture.  It is one NumPy function, `edges`; the skeleton
`EdgeFilter` runs it on the DSP, and the demo runs it on the host to compare every pixel.  The
interface between them is `edge_filter.idl`; `qda idl --python` has written the module beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import qda
from qda.cli.edge_filter_idl import edge_filter, edge_filter_size
from qda.idl import runtime

__all__ = ["EdgeFilter", "Outcome", "edges", "filter_on_dsp", "filter_on_host"]

Pixels = NDArray[np.uint8]

WARM_UP, CALLS = 3, 15
"""Calls of each way that are not timed, and calls that are."""

SIZE, ADDRESSES = 2 * 4, 2 * 8
"""Bytes that a call copies in any case: height and width; what it copies to name mapped memory."""


def edges(picture: Pixels, drawing: Pixels) -> None:
    """Draw the edges of a picture, dark on white.

    `picture` is height x width x 3 (red, green, blue), `drawing` height x width; the outermost
    pixels stay white.  All arithmetic is in integers or in exactly rounded square roots, so equal
    pictures give equal drawings on every machine.
    """
    red, green, blue = (picture[:, :, colour].astype(np.uint16) for colour in range(3))
    grey = ((77 * red + 150 * green + 29 * blue) >> 8).astype(np.int16)
    # Sobel's operator, across and down: -1020 to 1020.
    rows = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    columns = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    across = (rows[:, 2:] - rows[:, :-2]).astype(np.float32)
    down = (columns[2:] - columns[:-2]).astype(np.float32)
    slope = np.sqrt(across * across + down * down)
    drawing[:] = 255
    drawing[1:-1, 1:-1] = 255 - np.minimum(slope, 255).astype(np.uint8)


class EdgeFilter(edge_filter.Skeleton):
    """The filter as a module on the DSP."""

    def draw(
        self, shape: edge_filter_size, picture: Pixels, drawing: Pixels
    ) -> runtime.Numbers | None:
        """Filter the pixels that the arguments hold, wherever they came from."""
        size = shape.height, shape.width
        edges(picture.reshape(*size, 3), drawing.reshape(size))
        return None

    def draw_at(self, shape: edge_filter_size, picture: int, drawing: int) -> None:
        """Filter pixels at two addresses of the DSP."""
        pixels = shape.height * shape.width
        source, target = self.dsp.memory(picture, 3 * pixels), self.dsp.memory(drawing, pixels)
        self.draw(shape, np.frombuffer(source, np.uint8), np.frombuffer(target, np.uint8))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one way of passing the data has given.

    `bytes` is how many bytes the method works on, picture and drawing; `copied` how many bytes of
    the arguments are copied, there and back; `milliseconds` the median time of a call; `equal`
    whether every pixel is that of the host.
    """

    way: str
    bytes: int
    copied: int
    milliseconds: float
    equal: bool


def filter_on_host(picture: Pixels) -> tuple[Pixels, float]:
    """Run the filter here; returns the drawing, and the median time of a run in milliseconds."""
    drawing = np.zeros(picture.shape[:2], np.uint8)
    return drawing, _time(lambda: edges(picture, drawing))


def filter_on_dsp(
    session: qda.Session, picture: Pixels, expected: Pixels
) -> Iterator[tuple[Outcome, Pixels]]:
    """Run the filter on the DSP: inline, on buffer objects, at mapped addresses.

    Yields for each way what it has given, and the drawing; that it differs from `expected` is no
    exception.  DspError, DeviceError.
    """
    shape = edge_filter_size(*expected.shape)
    counts = 2 * 4  # how many pixels there are in both, which the call says
    with session.load(EdgeFilter) as remote:

        def measure(
            way: str, drawing: Pixels, copied: int, run: Callable[[], object]
        ) -> tuple[Outcome, Pixels]:
            drawing[:] = 0
            milliseconds = _time(run)
            equal = bool(np.array_equal(drawing, expected))
            size = picture.nbytes + drawing.nbytes
            return Outcome(way, size, copied, milliseconds, equal), drawing

        drawing = np.empty_like(expected)
        inline = SIZE + counts + picture.nbytes + drawing.nbytes
        yield measure("inline", drawing, inline, lambda: remote.draw(shape, picture, drawing))

        shared = session.empty(picture.shape, np.uint8)
        shared[:] = picture
        result = session.empty(expected.shape, np.uint8)
        yield measure(
            "buffer object", result, SIZE + counts, lambda: remote.draw(shape, shared, result)
        )

        with session.map(shared) as source, session.map(result) as target:
            yield measure(
                "mapped address",
                result,
                SIZE + ADDRESSES,
                lambda: remote.draw_at(shape, source.address, target.address),
            )


def _time(run: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
