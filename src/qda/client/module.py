"""Modules that are open on the DSP, as a program holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

from qda.client.pending import Pending, start
from qda.client.plan import Bytes, HandleLike

if TYPE_CHECKING:
    from qda.client.session import Session

__all__ = ["RemoteModule"]

T = TypeVar("T")


class RemoteModule:
    """A module that is open on the DSP, at `handle`.  `close`, or the end of a `with` block, closes
    it; the end of the session does too."""

    def __init__(self, session: Session, handle: int, uri: str) -> None:
        self.session, self.handle, self.uri = session, handle, uri
        self._closed = False

    def invoke(
        self,
        method: int,
        ins: Sequence[Bytes] = (),
        outs: Sequence[Bytes | int] = (),
        in_handles: Sequence[HandleLike] = (),
        out_handles: Sequence[HandleLike] = (),
        *,
        timeout: float | None = None,
        label: str | None = None,
    ) -> list[Any]:
        """Call a method; as `Session.invoke`."""
        return self.session.invoke(
            self.handle, method, ins, outs, in_handles, out_handles, timeout=timeout, label=label
        )

    def start(self, call: Callable[[], T]) -> Pending[T]:
        """Run a call in a thread of its own; see `qda.start`."""
        return start(call)

    def close(self) -> None:
        """Close the module on the DSP; idempotent.  DspError if its close method fails."""
        if not self._closed:
            self._closed = True
            self.session.close_module(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteModule {self.uri} at {self.handle:#x}>"
