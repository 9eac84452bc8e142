"""Interfaces of edge_filter.idl.  Made by `qda idl --python`: do not edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qda.idl import runtime

__all__ = [
    "IDL",
    "edge_filter",
    "edge_filter_Skeleton",
    "edge_filter_size",
]

IDL = runtime.parse(
    """\
#line 3 "remote.idl"

/** An interface whose callers hold a handle: derive from it, and `open` and `close` come first. */
interface remote_handle64 {
    /**
     * Open the implementation that a URI names.
     * @param uri where it is: file, entry point, versions
     * @param h the handle for all other calls
     */
    long open(in string uri, rout remote_handle64 h);

    /**
     * Close a handle.
     * @param h the handle that `open` returned
     */
    long close(in remote_handle64 h);
};

#line 2 "edge_filter.idl"

/** Draws the edges of pictures, dark on white. */
interface edge_filter : remote_handle64 {
    /** Height and width of a picture, in pixels. */
    struct size {
        unsigned long height;
        unsigned long width;
    };

    /**
     * Draw the edges of a picture that is passed.
     * @param shape  its height and width
     * @param picture  height x width x 3 bytes: red, green, blue
     * @param drawing  height x width bytes
     */
    long draw(in size shape, in sequence<octet> picture, rout sequence<octet> drawing);

    /**
     * Draw the edges of a picture that is mapped.
     * @param shape  its height and width
     * @param picture  its address on the DSP
     * @param drawing  the address of the drawing
     */
    long draw_at(in size shape, in unsigned long long picture, in unsigned long long drawing);
};
""",
    name="edge_filter.idl",
)


@dataclass
class edge_filter_size(runtime.Structure):
    """Height and width of a picture, in pixels."""

    height: int
    width: int


_edge_filter_classes: Final[dict[str, Any]] = {
    "edge_filter_size": edge_filter_size,
}


class edge_filter_Skeleton(runtime.Skeleton["edge_filter"]):
    """Base of implementations of edge_filter."""

    interface = IDL.interface("edge_filter")
    classes = _edge_filter_classes

    def draw(
        self,
        shape: edge_filter_size,
        picture: NDArray[np.uint8],
        drawing: NDArray[np.uint8],
    ) -> runtime.Numbers | None:
        """Draw the edges of a picture that is passed.
        @param shape  its height and width
        @param picture  height x width x 3 bytes: red, green, blue
        @param drawing  height x width bytes

        long draw(in size shape, in sequence<octet> picture, rout sequence<octet> drawing);
        """
        raise runtime.unimplemented(self, "draw")

    def draw_at(self, shape: edge_filter_size, picture: int, drawing: int) -> None:
        """Draw the edges of a picture that is mapped.
        @param shape  its height and width
        @param picture  its address on the DSP
        @param drawing  the address of the drawing

        long draw_at(
            in size shape,
            in unsigned long long picture,
            in unsigned long long drawing);
        """
        raise runtime.unimplemented(self, "draw_at")


class edge_filter(runtime.Remote):
    """Draws the edges of pictures, dark on white."""

    Skeleton: TypeAlias = edge_filter_Skeleton
    interface = IDL.interface("edge_filter")
    classes = _edge_filter_classes

    def draw(
        self,
        shape: edge_filter_size,
        picture: runtime.Numbers,
        drawing: int | runtime.Writable,
        *,
        timeout: float | None = None,
    ) -> NDArray[np.uint8]:
        """Draw the edges of a picture that is passed.
        @param shape  its height and width
        @param picture  height x width x 3 bytes: red, green, blue
        @param drawing  height x width bytes

        long draw(in size shape, in sequence<octet> picture, rout sequence<octet> drawing);
        """
        try:
            result: NDArray[np.uint8] = self._call(2, timeout, shape, picture, drawing)
        except Exception as error:
            self._leave(error)
            raise
        return result

    def draw_at(
        self,
        shape: edge_filter_size,
        picture: int,
        drawing: int,
        *,
        timeout: float | None = None,
    ) -> None:
        """Draw the edges of a picture that is mapped.
        @param shape  its height and width
        @param picture  its address on the DSP
        @param drawing  the address of the drawing

        long draw_at(
            in size shape,
            in unsigned long long picture,
            in unsigned long long drawing);
        """
        try:
            self._call(3, timeout, shape, picture, drawing)
        except Exception as error:
            self._leave(error)
            raise
