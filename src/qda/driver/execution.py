"""A request of the driver's own: sent to the DSP, and waited for.

A wait may be broken off, by a signal or because its time is over.  The DSP answers all the same,
some time, and then has made or undone something of which nobody knows.  So a request says what is
done with an answer that comes too late, and what the DSP may use till then: `Late`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from qda.driver.call import Call
from qda.driver.memory import KERNEL, Client
from qda.driver.packing import Contents, pack
from qda.driver.peer import Died
from qda.driver.session import Session
from qda.driver.sharing import Uses
from qda.fastrpc.control import ControlCall
from qda.fastrpc.message import CallForm, InvokeMessage
from qda.fastrpc.payload import Argument
from qda.interrupts import deadline
from qda.memory import PAGE

__all__ = ["Answer", "Late", "execute", "post"]

_OWN_BYTES = 0xFFFF_8000_0000_0000
"""Where the driver's own records lie as far as a message can tell: made-up addresses, a page
apart, so that equal requests give equal messages (H19, H33)."""

Answer: TypeAlias = tuple[int, list[bytes]]
"""The DSP's result, and the out-buffers."""


class Late(NamedTuple):
    """What is kept until a request is answered, and what is done then if nobody waits for it."""

    uses: Uses
    done: Callable[[Uses, Answer], None]


def execute(
    session: Session,
    client: Client | None,
    call: ControlCall,
    image: Argument | None = None,
    late: Late | None = None,
) -> Answer:
    """Send a control call over a session, and wait for its answer.

    `image` is the argument for the in-buffer that the call leaves open.  OSError ETIMEDOUT, EFAULT
    for an image that cannot be read, and what `Session` raises.
    """
    session.refuse_if_dead()
    try:
        with session.call() as pending:
            answer = _send(session, client or KERNEL, call, pending, image, late)
            return answer(session.wait(pending, KERNEL, deadline()))
    except TimeoutError as error:
        raise OSError(errno.ETIMEDOUT, f"{call.method.name}: the DSP does not answer") from error


def post(session: Session, call: ControlCall, uses: Uses) -> None:
    """Send a control call for whose answer nobody waits; what is held is kept until it comes."""
    with suppress(OSError, Died), session.call() as pending:
        _send(session, KERNEL, call, pending, late=Late(uses, _nothing))


def _hold_all(uses: Uses, by: Uses) -> None:
    for held in uses.held:
        by.hold(held)


def _undoing(late: Late, uses: Uses, answer: Answer) -> Callable[[], None]:
    """What is done with a late answer once its call has given back what it holds."""
    kept = Uses()
    _hold_all(uses, kept)

    def undo() -> None:
        with kept:
            late.done(kept, answer)

    return undo


def _nothing(uses: Uses, answer: Answer) -> None:
    """All is as it should be."""


def _send(
    session: Session,
    caller: Client,
    call: ControlCall,
    pending: Call,
    image: Argument | None = None,
    late: Late | None = None,
) -> Callable[[int], Answer]:
    """Make the message of a call and send it; returns what reads the answer, given its result."""
    contents: Contents = {}
    arguments: list[Argument] = []
    for index, data in enumerate([*call.inputs, *(bytes(length) for length in call.outputs)]):
        if data is None:
            assert image is not None
            arguments.append(image)
        else:
            arguments.append(Argument(_OWN_BYTES + index * PAGE, len(data)))
            contents[index] = data
    layout, message = pack(
        call.scalars,
        arguments,
        caller,
        lambda size: session.message(pending, size),
        lambda argument, is_buffer: argument,
        contents,
        polled=CallForm.NUMBERED in session.form,
    )
    if pending.crossing is not None:
        pending.crossing.process = caller.pid
    pending.context = session.context_of(pending, call.domain)
    record = InvokeMessage(
        client_id=0,
        tid=caller.tid,
        context=pending.context,
        handle=call.handle,
        scalars=call.scalars.word,
        address=message.device_address,
        size=layout.allocation,
    )

    def answer(result: int) -> Answer:
        copies = layout.copies_out(arguments)
        ranges = [(copy.position, copy.position + copy.length) for copy in copies]
        return result, [bytes(message.view[start:end]) for start, end in ranges]

    if late is not None:
        _hold_all(late.uses, pending.uses)
        pending.late = lambda result: _undoing(late, pending.uses, answer(result))
    session.send(pending, record.pack())
    return answer
