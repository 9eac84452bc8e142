"""The table of open nodes: what is released, once, and before the table ends."""

from __future__ import annotations

import os
import threading

from qda import limits
from qda.profiles.nodes import NodeKind, NodePath
from qda.shim.nodes import OpenNode, OpenNodes
from tests.system import System


class Asked(threading.Event):
    """Somebody has begun to wait for a release; that lets it go on."""

    def __init__(self, go_on: threading.Event) -> None:
        super().__init__()
        self._go_on = go_on

    def wait(self, timeout: float | None = None) -> bool:
        self._go_on.set()
        return super().wait(timeout)


def test_the_table_ends_after_a_release_that_is_under_way(machine: System) -> None:
    """Who is told of the release, a trace for example, ends after the table, and is told once."""
    begun, go_on = threading.Event(), threading.Event()
    told: list[str] = []

    def released(path: NodePath, opener: int) -> None:
        begun.set()
        go_on.wait(limits.PATIENCE)
        told.append(path.path)

    def recall(node: OpenNode) -> bool:
        node.released = Asked(go_on)
        return False

    path = next(node for node in machine.nodes if node.kind is NodeKind.HEAP)
    nodes = OpenNodes(released)
    nodes.recall = recall
    os.close(nodes.add(path, machine.open_node(path.path), os.getpid(), os.O_RDWR))
    nodes.reap()
    assert begun.wait(limits.SERVER_PATIENCE)
    nodes.close()
    assert told == [path.path]
