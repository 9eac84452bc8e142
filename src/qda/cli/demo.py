"""The demo: an image filter on the DSP, with its data passed in three ways.

The filter draws the edges of a picture.  It is one NumPy function, `edges`; the skeleton
`EdgeFilter` runs it on the DSP, and the demo runs it on the host to compare every pixel.
"""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qda

__all__ = ["EdgeFilter", "Outcome", "edges", "filter_on_dsp", "filter_on_host"]

Pixels = NDArray[np.uint8]

WARM_UP, CALLS = 3, 15
"""Calls of each way that are not timed, and calls that are."""

BY_ARGUMENT, BY_ADDRESS = 2, 3
"""Methods of `EdgeFilter`."""

_SIZE = struct.Struct("<II")
_REQUEST = struct.Struct("<QQII")


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


class EdgeFilter(qda.Skeleton):
    """The filter as a module on the DSP."""

    @qda.method(BY_ARGUMENT)
    def by_argument(self, size: memoryview, picture: memoryview, drawing: memoryview) -> None:
        """Filter the pixels that the arguments hold, wherever they came from."""
        height, width = _SIZE.unpack(size)
        edges(_as_picture(picture, height, width), _as_drawing(drawing, height, width))

    @qda.method(BY_ADDRESS)
    def by_address(self, request: memoryview) -> None:
        """Filter pixels at two addresses of the DSP that stand in the request as numbers."""
        picture, drawing, height, width = _REQUEST.unpack(request)
        edges(
            _as_picture(self.dsp.memory(picture, height * width * 3), height, width),
            _as_drawing(self.dsp.memory(drawing, height * width), height, width),
        )


def _as_picture(memory: memoryview, height: int, width: int) -> Pixels:
    return np.frombuffer(memory, np.uint8).reshape(height, width, 3)


def _as_drawing(memory: memoryview, height: int, width: int) -> Pixels:
    return np.frombuffer(memory, np.uint8).reshape(height, width)


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
    size = _SIZE.pack(*expected.shape)
    with session.load(EdgeFilter) as module:

        def measure(way: str, drawing: Pixels, copied: list[Any], *call: Any) -> Outcome:
            drawing[:] = 0
            milliseconds = _time(lambda: module.invoke(*call))
            return Outcome(
                way,
                picture.nbytes + drawing.nbytes,
                sum(memoryview(argument).nbytes for argument in copied),
                milliseconds,
                bool(np.array_equal(drawing, expected)),
            )

        drawing = np.empty_like(expected)
        inline = [size, picture, drawing]
        yield measure("inline", drawing, inline, BY_ARGUMENT, [size, picture], [drawing]), drawing

        shared = session.empty(picture.shape, np.uint8)
        shared[:] = picture
        drawing = session.empty(expected.shape, np.uint8)
        call = BY_ARGUMENT, [size, shared], [drawing]
        yield measure("buffer object", drawing, [size], *call), drawing

        with session.map(shared) as source, session.map(drawing) as target:
            request = _REQUEST.pack(source.address, target.address, *expected.shape)
            yield measure("mapped address", drawing, [request], BY_ADDRESS, [request]), drawing


def _time(run: Callable[[], object]) -> float:
    for _ in range(WARM_UP):
        run()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000
