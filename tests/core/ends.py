"""Both ends of one lane in this process, each compiled or in Python, with a pool between them."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from qda.core import POOL_SIZE, Woken, lane_address, twin
from qda.fastrpc.message import InvokeMessage, Response
from qda.linux import address_of

if TYPE_CHECKING:
    compiled = twin
else:
    try:
        from qda.core import _core as compiled
    except ImportError:
        compiled = None

__all__ = ["CLIENT", "CORES", "DEVICE", "PAIRS", "Ends", "compiled", "connect", "needs_compiled"]

DEVICE = 3 << 32 | 0x1000_0000
"""Where the pool lies on the bus."""

CLIENT = 7
"""The client id that the lane is bound to."""

CORES = [core for core in (twin, compiled) if core]

PAIRS = [
    pytest.param(driver, dsp, id=f"{driver.__name__.split('.')[-1]}-{dsp.__name__.split('.')[-1]}")
    for driver in CORES
    for dsp in CORES
]
"""A driver's end with a DSP's: the compiled and the twin must work with each other."""

needs_compiled = pytest.mark.skipif(compiled is None, reason="the core has not been compiled")

Method = Callable[[int, int, int, Any], int]


@dataclass
class Ends:
    """A lane, number 1, with its ends; `memory` is the pool."""

    pool: twin.Pool
    server: twin.Server
    space: twin.Space
    memory: mmap.mmap
    address: int
    sleep: int
    wake: int

    def call(
        self,
        handle: int,
        scalars: int = 0,
        size: int = 4096,
        context: int = 1 << 4,
        address: int = DEVICE + 65536,
    ) -> int:
        """Send a message by hand and return the result of the call."""
        message = InvokeMessage(
            client_id=CLIENT,
            tid=os.getpid(),
            context=context,
            handle=handle,
            scalars=scalars,
            address=address,
            size=size,
        )
        self.pool.send(1, message.pack())
        assert self.pool.wait(1) == Woken.RUNG
        answer = Response.unpack(self.pool.answer(1))
        assert answer.context == context
        return answer.result


@contextmanager
def connect(
    driver: Any,
    dsp: Any,
    method: Method,
    patience: int = 20,
    *,
    space: Any = None,
    over: Callable[[int, int], None] = lambda tid, result: None,
    ended: Callable[[], None] = lambda: None,
    polled: bool = False,
) -> Iterator[Ends]:
    """A lane between a pool of core `driver` and a server of core `dsp`, which runs `method`.

    `space` is a new one by default; the pool is added to it.
    """
    memory = mmap.mmap(-1, POOL_SIZE)
    address = address_of(memory)
    asked, told = os.pipe(), os.pipe()
    for descriptor in (asked[1], told[1]):
        os.set_blocking(descriptor, False)
    wakes = os.open(f"/proc/self/fd/{told[0]}", os.O_RDWR)  # `kill` writes to it
    space = space or dsp.Space()
    space.add(DEVICE, POOL_SIZE, address, memory)
    words = lane_address(address, 1)
    server = dsp.Server(space, words, asked[0], told[1], CLIENT, True, patience, polled)
    pool = driver.Pool(address, DEVICE, CLIENT, 0)
    pool.open(1, wakes, asked[1], patience)
    thread = threading.Thread(target=server.serve, args=(method, over, ended), daemon=True)
    thread.start()
    try:
        yield Ends(pool, server, space, memory, address, wakes, asked[1])
    finally:
        os.close(asked[1])
        thread.join()
        space.remove(memory)
        for descriptor in (asked[0], *told, wakes):
            os.close(descriptor)
