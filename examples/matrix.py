"""Multiply matrices on the DSP: shared pages, several threads, one session.

The three matrices lie in buffer objects, so nothing of them is copied.  Each call multiplies a band
of rows; the calls are made by threads, and run on as many threads of the DSP.

    python examples/matrix.py --size 1024 --threads 4
"""

import argparse
import itertools
import struct
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import qda

SHAPE = "<III"


class MatrixEngine(qda.Skeleton):
    @qda.method(2)
    def multiply(
        self, shape: memoryview, left: memoryview, right: memoryview, product: memoryview
    ) -> None:
        rows, inner, columns = struct.unpack(SHAPE, shape)
        np.matmul(
            np.frombuffer(left, np.float32).reshape(rows, inner),
            np.frombuffer(right, np.float32).reshape(inner, columns),
            out=np.frombuffer(product, np.float32).reshape(rows, columns),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--device", help='a node, or "virtual"')
    options = parser.parse_args()
    size = options.size

    with qda.open("cdsp", device=options.device) as session, session.load(MatrixEngine) as engine:
        left, right, product = (session.empty((size, size), np.float32) for _ in range(3))
        numbers = np.random.default_rng(1)
        left[:], right[:] = (numbers.standard_normal((size, size), np.float32) for _ in range(2))

        def multiply(rows: slice) -> None:
            # Whole rows are contiguous, so each band is a part of its matrix's buffer object.
            band = left[rows]
            shape = struct.pack(SHAPE, len(band), size, size)
            engine.invoke(2, [shape, band, right], [product[rows]])

        edges = np.linspace(0, size, options.threads + 1).astype(int)
        bands = [slice(low, high) for low, high in itertools.pairwise(edges)]
        start = time.perf_counter()
        with ThreadPoolExecutor(options.threads) as pool:
            list(pool.map(multiply, bands))
        seconds = time.perf_counter() - start

        error = float(np.max(np.abs(product - left @ right)))
        print(
            f"{size} x {size} on {session.node}, {options.threads} threads: {seconds * 1e3:.1f} ms"
        )
        print(f"largest difference from the host: {error:.2e}")
        if error > 1e-3 * size**0.5:
            raise SystemExit("the product is wrong")


if __name__ == "__main__":
    main()
