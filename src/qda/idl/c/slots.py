"""Which entries of the argument array the parameters of a plain method take (idl.md 6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from qda import limits
from qda.idl.c.extents import is_handle, is_variable
from qda.idl.c.layouts import MethodLayout
from qda.idl.c.names import fail
from qda.idl.model import Method

__all__ = ["Slots"]


@dataclass
class Slots:
    """Places in the argument array: by parameter name, the way in and the way out.

    `counts` are in-buffers, out-buffers, in-handles and out-handles.
    """

    method: Method
    layout: MethodLayout
    ins: dict[str, int] = field(default_factory=dict)
    outs: dict[str, int] = field(default_factory=dict)
    counts: tuple[int, int, int, int] = (0, 0, 0, 0)
    out_record: int = 0
    """Place of primROut, if there is one."""

    def __post_init__(self) -> None:
        parameters = self.method.parameters
        buffers = [one for one in parameters if is_variable(one.type)]
        handles = [one for one in parameters if is_handle(one.type)]
        place = int(self.layout.in_end > 0)
        counts = []
        for kind in (buffers, handles):
            for slots, goes in ((self.ins, "goes_in"), (self.outs, "comes_out")):
                start = 0 if kind is handles or slots is self.outs else place
                if kind is buffers and slots is self.outs and self.layout.out_end:
                    self.out_record = place
                    start, place = 1, place + 1
                found = [one.name for one in kind if getattr(one.direction, goes)]
                slots.update({name: place + number for number, name in enumerate(found)})
                place += len(found)
                counts.append(start + len(found))
        self.counts = (counts[0], counts[1], counts[2], counts[3])
        for number, limit, what in (
            (max(self.counts[:2]), limits.BUFFERS, "buffers"),
            (max(self.counts[2:]), limits.HANDLES, "handles"),
        ):
            if number > limit:
                message = f'method "{self.method.name}" takes {number} {what} in one direction'
                fail(self.method.location, f"{message}: a call has at most {limit}")
