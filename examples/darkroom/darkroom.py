"""Develop a photograph in three steps on the DSP, without a copy of it.

The pictures lie in buffer objects that program and DSP share: each step reads what the one before
has written.  The file shows photograph, softened, sharpened and finished picture side by side.

    python examples/darkroom/darkroom.py --output darkroom.png
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

import qda
from qda.cli.pictures import read_photograph

darkroom = qda.idl.load(Path(__file__).with_name("darkroom.idl"))


class Darkroom(darkroom.Skeleton):
    def soften(self, shape, radius, picture, result):
        width = 2 * radius + 1
        rows = np.pad(picture.reshape(shape.height, shape.width), radius, mode="edge")
        for axis in 0, 1:  # the sum of a window is the difference of two sums from the beginning
            sums = np.cumsum(np.insert(rows, 0, 0, axis), axis, np.float64)
            ends = np.arange(width, sums.shape[axis])
            rows = np.take(sums, ends, axis) - np.take(sums, ends - width, axis)
        result[:] = rows.ravel() / width**2

    def sharpen(self, amount, picture, soft, result):
        np.clip(picture + amount * (picture - soft), 0, 1, out=result)

    def finish(self, shape, contrast, picture, result):
        down, across = np.linspace(-1, 1, shape.height), np.linspace(-1, 1, shape.width)
        light = 1 - 0.35 * (down[:, None] ** 2 + across**2)
        dark = picture * light.ravel() - 0.5
        result[:] = 0.5 + np.tanh(contrast * dark) / (2 * np.tanh(contrast / 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("darkroom.png"))
    parser.add_argument("--device", help='a node, or "virtual"')
    options = parser.parse_args()

    photograph = read_photograph().mean(axis=2) / 255
    shape = darkroom.size(*photograph.shape)
    with (
        qda.open("cdsp", device=options.device) as session,
        session.load(Darkroom) as remote,
    ):
        picture, soft, sharp, finished = (
            session.empty(photograph.size, np.float32) for _ in range(4)
        )
        picture[:] = photograph.ravel()
        start = time.perf_counter()
        remote.soften(shape, 4, picture, soft)
        remote.sharpen(1.5, picture, soft, sharp)
        remote.finish(shape, 3.0, sharp, finished)
        seconds = time.perf_counter() - start
        print(f"{shape.width} x {shape.height} pixels in {seconds * 1e3:.1f} ms on {session.node}")

        steps = [step.reshape(photograph.shape) for step in (picture, soft, sharp, finished)]
        sheet = (np.hstack(steps) * 255).round().astype(np.uint8)
    Image.fromarray(sheet).save(options.output)
    print(f"The steps are in {options.output}")


if __name__ == "__main__":
    main()
