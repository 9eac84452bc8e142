"""Both sides of one queue in this process, each compiled or in Python, and their memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from qda.core import queues, twin
from qda.fastrpc.queue import COUNTERS, HeaderFlag, QueueHeader, lay_out_queue, places_of
from qda.linux import address_of
from tests.core.ends import compiled

__all__ = ["CORES", "PAIRS", "Both", "both"]

if TYPE_CHECKING:
    CORES = [queues]
else:
    CORES = [queues] + [core for core in (compiled,) if core]

PAIRS = [
    pytest.param(host, dsp, id=f"{host.__name__.split('.')[-1]}-{dsp.__name__.split('.')[-1]}")
    for host in CORES
    for dsp in CORES
]


@dataclass
class Both:
    """A queue, with the memory that its sides share."""

    host: queues.Queue
    dsp: queues.Queue
    host_hub: queues.QueueHub
    dsp_hub: queues.QueueHub
    memory: bytearray
    counters: bytearray


def both(host: Any, dsp: Any, requests: int = 1024, responses: int = 1024, flags: int = 1) -> Both:
    """A queue between a side of core `host` and one of core `dsp`."""
    header, size = lay_out_queue(requests, responses, serial=5)
    header.flags = HeaderFlag(flags)
    memory, counters = bytearray(size), bytearray(COUNTERS)
    header.pack_into(memory)
    assert QueueHeader.unpack(memory) == header
    sides = places_of(memory)
    space = (compiled if dsp is compiled else twin).Space()
    hubs = host.QueueHub(), dsp.QueueHub(space, 7)
    for hub in hubs:
        hub.share(address_of(counters), counters)
    made = [
        core.Queue(hub, 3, address_of(memory), ins, outs, sides.wait_counts, memory)
        for core, hub, ins, outs in (
            (host, hubs[0], sides.responses, sides.requests),
            (dsp, hubs[1], sides.requests, sides.responses),
        )
    ]
    return Both(made[0], made[1], *hubs, memory, counters)
