"""Give a melody an echo: sound goes to the DSP in blocks, and the DSP remembers what it has heard.

The blocks lie in two buffer objects, so no sample is copied.  The program compares all of it with
the echo of the whole sound, and writes both as WAV files.

    python examples/echo/echo.py --output echo.wav
"""

import argparse
import time
import wave
from pathlib import Path

import numpy as np

import qda

RATE, BLOCK = 48_000, 480  # samples in a second, and in a block of 10 ms
DELAY, LOUDNESS = 15_000, 0.5

echo = qda.idl.load(Path(__file__).with_name("echo.idl"))


class Echo(echo.Skeleton):
    """What is heard later waits in a ring as long as the delay."""

    def begin(self, delay, loudness):
        self.ring, self.at, self.loudness = np.zeros(delay, np.float32), 0, loudness

    def process(self, block, result):
        if len(block) > len(self.ring):
            raise ValueError(f"{len(block)} samples are more than the delay of {len(self.ring)}")
        places = (self.at + np.arange(len(block))) % len(self.ring)
        result[:] = block + self.loudness * self.ring[places]
        self.ring[places] = result
        self.at += len(block)


def pluck(frequency, seconds):
    """A string: noise that goes round, and loses its high parts on the way."""
    numbers = np.random.default_rng(int(frequency))
    string = numbers.uniform(-0.5, 0.5, round(RATE / frequency)).astype(np.float32)
    rounds = []
    for _ in range(round(seconds * frequency)):
        rounds.append(string)
        string = 0.498 * (string + np.roll(string, 1))
    return np.concatenate(rounds)


def melody():
    """Five notes and a rest, in whole blocks."""
    notes = [pluck(frequency, 0.4) for frequency in (220, 262, 330, 392, 440)]
    sound = np.concatenate([*notes, np.zeros(2 * RATE, np.float32)])
    return sound[: len(sound) // BLOCK * BLOCK]


def write(path, sound):
    """Write a WAV file of 16 bits."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("echo.wav"))
    parser.add_argument("--device", help='a node, or "virtual"')
    options = parser.parse_args()

    sound = melody()
    heard = np.empty_like(sound)
    with qda.open("cdsp", device=options.device) as session, session.load(Echo) as remote:
        remote.begin(DELAY, LOUDNESS)
        block, result = (session.empty(BLOCK, np.float32) for _ in range(2))
        slowest = 0.0
        for first in range(0, len(sound), BLOCK):
            part = slice(first, first + BLOCK)
            start = time.perf_counter()
            block[:] = sound[part]
            remote.process(block, result)
            heard[part] = result
            slowest = max(slowest, time.perf_counter() - start)

    expected = sound.copy()
    for first in range(DELAY, len(sound), DELAY):
        later = expected[first : first + DELAY]
        later += np.float32(LOUDNESS) * expected[first - DELAY : first - DELAY + len(later)]
    if not np.array_equal(heard, expected):
        raise SystemExit("the blocks together are not the echo of the whole")
    write(options.output, heard)
    print(f"{len(sound) / RATE:.1f} s of sound in blocks of {BLOCK / RATE * 1e3:.0f} ms")
    print(f"the slowest block took {slowest * 1e3:.2f} ms; it is in {options.output}")


if __name__ == "__main__":
    main()
