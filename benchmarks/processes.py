"""Processes that are measured: started, ready when they say so, and ended with their block.

Each has its standard input from us, which ends when we do, however we end; it then ends itself.
What the terminal sends on Ctrl-C does not reach it: whoever started it ends it.

It finds bytecode, as a program does that was installed, also where Python is told to write none.
What would compile its sources at each start is a third slower at that, and a fifth larger.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

__all__ = ["answer", "end_with_parent", "python", "receive", "say_ready", "send"]

READY = "ready"
PATIENCE = 5
"""Seconds."""


@contextmanager
def python(
    *arguments: str,
    descriptors: tuple[int, ...] = (),
    variables: Mapping[str, str] | None = None,
    command: tuple[str, ...] = (sys.executable, "-m"),
) -> Iterator[subprocess.Popen[str]]:
    """A process of the interpreter, by default one of our modules with its arguments, that has said
    it is ready.  RuntimeError if it ends before."""
    process = subprocess.Popen(
        [*command, *arguments],
        pass_fds=descriptors,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**_environment(), **(variables or {})},
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise RuntimeError(f"{' '.join(arguments)} did not start")
        yield process
    finally:
        _end_it(process)


@cache
def _bytecode() -> tempfile.TemporaryDirectory[str]:
    """Where processes find their bytecode once one has been started."""
    return tempfile.TemporaryDirectory(prefix="qda-bench-")


def _environment() -> dict[str, str]:
    found = {**os.environ, "PYTHONPYCACHEPREFIX": _bytecode().name}
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found


def say_ready() -> None:
    """Tell whoever started us."""
    print(READY, flush=True)


def _end_it(process: subprocess.Popen[str]) -> None:
    """Let it end by itself, so that it takes its own processes and files along."""
    assert process.stdin is not None and process.stdout is not None
    try:
        with suppress(BrokenPipeError):
            process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def answer(process: subprocess.Popen[str], request: object) -> Any:
    """Send a request and wait for the answer, a line of JSON each."""
    send(process, request)
    return receive(process)


def send(process: subprocess.Popen[str], request: object) -> None:
    """Send a request, a line of JSON."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()


def receive(process: subprocess.Popen[str]) -> Any:
    """Wait for an answer, a line of JSON.  RuntimeError if the process has ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a process that is measured has ended")
    return json.loads(line)


def end_with_parent() -> None:
    """From now on, end when standard input does."""
    threading.Thread(target=_end, daemon=True).start()


def _end() -> None:
    os.read(sys.stdin.fileno(), 1)
    os._exit(0)
