"""QDA's own calls: the skeletons that are called, and a call for each case."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import numpy as np

import qda
from benchmarks.cases import Case, Form
from benchmarks.clocks import Batch, Call, timed
from benchmarks.contenders import Contender, Maker, Sort
from benchmarks.native import SKELETON, built

__all__ = ["OURS", "QDA", "Touch", "calls_of", "opened", "parked_call"]

QDA = "QDA"

INTERFACE = """
#include "remote.idl"
interface typed : remote_handle64 {
    long nothing();
    long length(in sequence<long> numbers, rout long count);
};
"""

Typed: Any = qda.idl.load(INTERFACE, name="typed.idl")


class Counting(Typed.Skeleton):  # type: ignore[misc]
    """The interface, implemented with as little work as there can be."""

    def nothing(self) -> None:
        """Do nothing."""

    def length(self, numbers: Any) -> int:
        """Count numbers."""
        return len(numbers)


class Touch(qda.Skeleton):
    """The methods that are given plain memory."""

    def __init__(self) -> None:
        self._gate = threading.Event()
        self._is_parked = False

    @qda.method(2)
    def empty(self) -> None:
        """Do nothing."""

    @qda.method(3)
    def touch(self, given: memoryview, result: memoryview) -> None:
        """Touch the first and the last byte of both."""
        result[0] = given[0]
        result[-1] = given[-1]

    @qda.method(4)
    def park(self) -> None:
        """Wait until `release`."""
        self._is_parked = True
        self._gate.wait()

    @qda.method(5)
    def release(self) -> None:
        """Let parked calls go."""
        self._gate.set()

    @qda.method(6)
    def parked(self, answer: memoryview) -> None:
        """Say whether `park` has begun."""
        answer[0] = self._is_parked

    @qda.method(7)
    def every(self, given: memoryview, result: memoryview) -> None:
        """Read every byte of one, write every byte of the other."""
        np.add(np.frombuffer(given, np.uint8), 1, out=np.frombuffer(result, np.uint8))

    @qda.method(8)
    def take(self, *given: memoryview) -> None:
        """Look at none of the arguments."""


@contextmanager
def opened() -> Iterator[Maker]:
    """A session of its own on a virtual DSP."""
    with qda.open("cdsp", device="virtual") as session, calls_of(session) as maker:
        yield maker


@contextmanager
def calls_of(session: qda.Session) -> Iterator[Maker]:
    """The calls of a session."""
    with ExitStack() as stack:
        touch = stack.enter_context(session.load(Touch))
        counting: Any = stack.enter_context(session.load(Counting))

        @cache
        def in_c() -> qda.RemoteModule:
            # A session of its own: for a module in a file a host listens, which others do not need.
            apart = stack.enter_context(qda.open("cdsp", device="virtual"))
            uri = f"file:///{SKELETON}?arguments_skel_handle_invoke&_modver=1.0"
            return stack.enter_context(apart.load(uri))

        def make(case: Case) -> Batch | None:
            if case.form is Form.ARGUMENTS_C and built(SKELETON) is None:
                return None
            module = in_c() if case.form is Form.ARGUMENTS_C else touch
            return timed(_call(session, module, counting, case), case.work)

        yield make


def _call(session: qda.Session, module: qda.RemoteModule, counting: Any, case: Case) -> Call:
    match case.form:
        case Form.EMPTY:
            return lambda: module.invoke(2)
        case Form.INLINE:
            ins, outs = [bytes(case.size)], [bytearray(case.size)]
            return lambda: module.invoke(3, ins, outs)
        case Form.ENDS | Form.EVERY:
            given, result = (session.empty(case.size, np.uint8) for _ in range(2))
            given[:], result[:] = 1, 1
            method = 3 if case.form is Form.ENDS else 7
            return lambda: module.invoke(method, [given], [result])
        case Form.TYPED:
            return lambda: counting.nothing()
        case Form.ARRAY:
            numbers = np.zeros(case.size, np.int32)
            return lambda: counting.length(numbers)
        case Form.ARGUMENTS_PYTHON | Form.ARGUMENTS_C:
            words = [bytes(8) for _ in range(case.size)]
            return lambda: module.invoke(8, words)


@contextmanager
def parked_call(session: qda.Session, uri: str) -> Iterator[None]:
    """While the block runs, a call on the session is parked on the DSP."""
    # The gate stays open once it was opened: every time needs a module of its own.
    with session.load(uri) as module, ThreadPoolExecutor(1) as pool:
        try:
            call = pool.submit(module.invoke, 4)
            while not call.done() and not module.invoke(6, outs=[1])[0][0]:
                time.sleep(0.001)
            yield
        finally:
            module.invoke(5)
        call.result()


OURS = Contender(QDA, Sort.OURS, opened)
