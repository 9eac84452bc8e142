"""Virtual systems for tests: what their DSPs print and log comes to the test, and how they die."""

from __future__ import annotations

import codecs
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import TextIO

from qda.client import ProcessAttribute, start_session
from qda.driver import LocalNode
from qda.fastrpc.obituary import Obituary
from qda.testing.census import census
from qda.uapi import DIALECTS
from qda.virtual import Machine, Profile

__all__ = ["WatchedMachine", "WatchedNode"]


class WatchedNode(LocalNode):
    """A node that tells when a call has been made, and how its session's process has died."""

    call = 0
    """The code of calls."""

    over: Callable[[], None] | None = None
    follow: Callable[[], None] | None = None
    died: Callable[[Obituary], None] | None = None

    def ioctl(self, code: int, data: bytearray) -> int:
        """See `LocalNode.ioctl`."""
        try:
            return super().ioctl(code, data)
        finally:
            if code == self.call:
                self._tell()

    def _tell(self) -> None:
        """Deliver what the DSP has printed, then what it has logged, which takes another call."""
        if _following.now:
            return
        _following.now = True
        try:
            if self.over is not None:
                self.over()
            if self.follow is not None:
                self.follow()
        finally:
            _following.now = False

    def mourn(self) -> None:
        """Tell how the process has died, if it has; once."""
        words = self.obituary
        if words is not None and self.died is not None:
            died, self.died = self.died, None
            died(words)

    def close(self) -> None:
        """See `LocalNode.close`."""
        self.follow = None  # the session ends, and calls no more
        self._tell()
        self.mourn()
        super().close()
        self.over = self.died = None


class _Following(threading.local):
    """Whether this thread's call is one of ours, for a log."""

    now = False


_following = _Following()


class WatchedMachine(Machine):
    """A virtual system whose sessions tell a test what becomes of them.

    `dialect` is what its nodes speak with who asks for none, `deaths` how processes of its DSPs
    have died, `booted` what there is because its DSPs have come up.
    """

    node_type = WatchedNode

    def __init__(self, profile: Profile, threads: bool = False) -> None:
        self._files = ExitStack()
        self._printed = [
            _Printed(self._files, stream) for stream in ("stdout", "stderr") if not threads
        ]
        files = (self._printed[0].descriptor, self._printed[1].descriptor) if not threads else None
        super().__init__(profile, threads, files)
        self.deaths: list[Obituary] = []
        self.booted: Counter[str] = Counter()
        self._domains: set[str] = set()
        self._nodes: list[WatchedNode] = []
        self._telling = threading.Lock()

    def open(self, domain: str, dialect: str | None = None) -> LocalNode:
        """See `Machine.open`; by default in the dialect that the test is for."""
        spoken = dialect or self.dialect
        self._boot(domain, spoken)
        node = super().open(domain, spoken)
        if isinstance(node, WatchedNode):
            node.call = DIALECTS[spoken].by_key["INVOKE"].code
            node.over, node.died = self.deliver, self.deaths.append
            self._nodes.append(node)
        return node

    def _boot(self, domain: str, dialect: str) -> None:
        """Have a DSP come up with a session of nobody, so that what stays of that is no test's."""
        if domain in self.devices and domain not in self._domains:
            before = census(self)
            node = super().open(domain, dialect)
            start_session(node, domain, dialect, "user", ProcessAttribute.UNSIGNED, None).close()
            self.booted += census(self) - before
            self._domains.add(domain)

    def began(self, node: LocalNode, follow: Callable[[], None]) -> None:
        """See `Machine.began`."""
        if isinstance(node, WatchedNode):
            node.follow = follow

    def deliver(self) -> None:
        """Print what its DSPs have printed, where the test prints."""
        with self._telling:
            for printed in self._printed:
                printed.deliver()

    def mourn(self) -> list[Obituary]:
        """How processes have died, that nobody has asked for yet."""
        for node in self._nodes:
            node.mourn()
        found, self.deaths[:] = list(self.deaths), []
        return found

    def forget(self) -> None:
        """A test is over: its nodes are of no interest any more."""
        self._nodes.clear()
        self.deaths.clear()

    def close(self) -> None:
        """See `Machine.close`."""
        super().close()
        self.deliver()
        with self._telling:
            self._printed.clear()
            self._files.close()


class _Printed:
    """A file that DSPs have as an output, and the stream of this process it is delivered to."""

    def __init__(self, files: ExitStack, stream: str) -> None:
        self.descriptor = os.memfd_create("printed", os.MFD_CLOEXEC)
        files.callback(os.close, self.descriptor)
        self._stream, self._end = stream, 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def deliver(self) -> None:
        """Write what has come since the last time."""
        size = os.fstat(self.descriptor).st_size
        if size > self._end:
            data = os.pread(self.descriptor, size - self._end, self._end)
            self._end += len(data)
            stream: TextIO = getattr(sys, self._stream)
            stream.write(self._decode(data))
            stream.flush()
