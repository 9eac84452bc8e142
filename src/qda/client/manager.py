"""Opening and closing modules, through the DSP's module manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from weakref import ref

from qda import limits
from qda.client.calls import Call
from qda.client.late import made_or_undone
from qda.errors import UNABLE_TO_LOAD, DspError, is_missing
from qda.fastrpc.remotectl import REMOTECTL, REMOTECTL1, Answer, Manager, ManagerCall

__all__ = ["ModuleManager", "modules_opened"]


_managers: list[ref[ModuleManager]] = []
"""Not a WeakSet, which runs when a manager goes: Ctrl-C would be lost in it."""


def modules_opened() -> Iterator[tuple[str, int, str]]:
    """The modules that sessions of this process have opened: DSP, handle, URI."""
    for manager in filter(None, [one() for one in _managers]):
        for handle, uri in list(manager.opened.items()):
            yield manager.domain, handle, uri


class ModuleManager:
    """The module manager of a DSP, as a client calls it.

    It is at handle 8, or at handle 0 where the DSP has none there (6.4).  A refusal that says
    anything else is final: a second attempt could do the work twice, and would hide what the first
    one has met.  `log` takes what the DSP has logged, for the error of what could not be opened or
    closed.
    """

    def __init__(
        self, call: Call, domain: str, log: Callable[[], Sequence[str]] | None = None
    ) -> None:
        self._call, self.domain, self._log = call, domain, log
        self._entrance: Manager = REMOTECTL1
        self.opened: dict[int, str] = {}  # by handle, the last ones
        _managers.append(ref(self))
        for one in [one for one in _managers if one() is None]:
            with suppress(ValueError):  # another thread has removed it
                _managers.remove(one)

    def open(self, uri: str) -> int:
        """Open a module by URI or name; returns its handle.  DspError, DeviceError.

        If a handler of signals raises while the DSP does not answer, what it opens when it answers
        after all is closed again.
        """
        try:
            handle = made_or_undone(
                lambda: self._open(uri), lambda late: self.close(late, uri), f"open {uri}"
            )
        except DspError as error:
            if error.status == UNABLE_TO_LOAD:
                from qda.client.unloaded import explain_load  # for those who need it

                explain_load(error)
            raise
        self.opened[handle] = uri
        if len(self.opened) > limits.NAMED_MODULES:
            self.opened.pop(next(iter(self.opened)), None)
        return handle

    def _open(self, uri: str) -> int:
        return self._ask(
            f"open {uri}", lambda entrance: entrance.ask_open(uri, limits.ERROR_TEXT)
        ).handle

    def close(self, handle: int, uri: str) -> None:
        """Close the module at a handle, which was opened as `uri`.  DspError, DeviceError."""
        self._ask(f"close {uri}", lambda entrance: entrance.ask_close(handle, limits.ERROR_TEXT))

    def _ask(self, operation: str, ask: Callable[[Manager], ManagerCall]) -> Answer:
        entrance = self._entrance
        asked = ask(entrance)
        outs = [bytearray(size) for size in asked.sizes]
        try:
            self._call(operation, asked.handle, asked.scalars.method, asked.ins, outs)
        except DspError as error:
            if entrance is REMOTECTL or not is_missing(error.status):
                raise
            self._entrance = REMOTECTL
            return self._ask(operation, ask)
        answer = asked.answer(outs)
        if answer.error:
            # The call has succeeded, so nobody has taken what was logged in it.
            log = self._log() if self._log is not None else ()
            raise DspError(operation, self.domain, answer.error, answer.text, log)
        return answer
