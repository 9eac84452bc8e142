"""The module manager's conversation: open a module by name and get a handle; close it.

The manager answers at handle 0 (`remotectl`) and, with method ids two higher, at handle 8
(`remotectl1`).  There are two error channels: the result of the call says whether the manager
worked, `error` in the answer whether the module could be opened.  Source: spec/fastrpc.md 6.4.

Both sides of it are here, without any way to send a call:

    asked = REMOTECTL1.ask_open(uri)        # handle, scalars, in-buffers, sizes of out-buffers
    ...                                     # the caller makes the call
    answer = asked.answer(outs)             # the handle, or the error and what was said to it

    Server(REMOTECTL1, open, close, refusal).serve(scalars, arguments)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from qda import limits
from qda.errors import UsageError, as_signed, as_unsigned
from qda.fastrpc.handles import Fixed
from qda.fastrpc.scalars import Scalars
from qda.layout import Record, s32, u32

__all__ = [
    "REMOTECTL",
    "REMOTECTL1",
    "Answer",
    "CloseAnswer",
    "CloseRequest",
    "Manager",
    "ManagerCall",
    "OpenAnswer",
    "OpenRequest",
    "Server",
    "ended",
    "text",
]


Memory = bytes | bytearray | memoryview

R = TypeVar("R", bound=Record)


class OpenRequest(Record):
    """In-buffer 0 of open; in-buffer 1 is the name with its NUL."""

    name_length: int = u32("Length of the name with its NUL", unit="bytes")
    text_capacity: int = u32("Room for an error text", unit="bytes")


class OpenAnswer(Record):
    """Out-buffer 0 of open; out-buffer 1 is the error text."""

    handle: int = u32("Handle of the module")
    error: int = s32("0, or why the module could not be opened")


class CloseRequest(Record):
    """In-buffer 0 of close."""

    handle: int = u32("Handle of the module")
    text_capacity: int = u32("Room for an error text", unit="bytes")


class CloseAnswer(Record):
    """Out-buffer 0 of close; out-buffer 1 is the error text."""

    error: int = s32("0, or why the module could not be closed")


# Who asks.


@dataclass(frozen=True, slots=True)
class Answer:
    """What the manager has said to a call whose own result is 0.

    `error` is 0 or why not, unsigned, with the manager's words for it in `text`; `handle` is that
    of the module that was opened.
    """

    error: int
    text: str
    handle: int = 0


@dataclass(frozen=True, slots=True)
class ManagerCall:
    """A call of the manager: what goes in, and how many bytes of text may come out."""

    handle: int
    scalars: Scalars
    ins: tuple[bytes, ...]
    record: type[OpenAnswer | CloseAnswer]
    room: int

    @property
    def sizes(self) -> tuple[int, int]:
        """How many bytes each out-buffer has."""
        return self.record.byte_size, self.room

    def answer(self, outs: Sequence[Memory]) -> Answer:
        """Read the out-buffers, which have those sizes."""
        said = self.record.unpack(outs[0])
        handle = said.handle if isinstance(said, OpenAnswer) else 0
        return Answer(as_unsigned(said.error), text(outs[1]), handle)


@dataclass(frozen=True, slots=True)
class Manager:
    """One of the two entrances to the module manager."""

    handle: int
    open: Scalars
    close: Scalars
    grow_heap: Scalars
    set_param: Scalars

    def ask_open(self, name: str, room: int = limits.C_ERROR_TEXT) -> ManagerCall:
        """The call that opens a module by URI or name; `room` is for an error text, in bytes."""
        data = ended(name)
        request = OpenRequest(name_length=len(data), text_capacity=room).pack()
        return ManagerCall(self.handle, self.open, (request, data), OpenAnswer, room)

    def ask_close(self, handle: int, room: int = limits.C_ERROR_TEXT) -> ManagerCall:
        """The call that closes the module at a handle."""
        request = CloseRequest(handle=handle, text_capacity=room).pack()
        return ManagerCall(self.handle, self.close, (request,), CloseAnswer, room)


def _manager(handle: int, first: int) -> Manager:
    return Manager(
        handle,
        open=Scalars(first, 2, 2),
        close=Scalars(first + 1, 1, 2),
        grow_heap=Scalars(first + 2, 1, 0),
        set_param=Scalars(first + 3, 2, 0),
    )


REMOTECTL: Final = _manager(Fixed.REMOTECTL, 0)
REMOTECTL1: Final = _manager(Fixed.REMOTECTL1, 2)


# Who answers.


@dataclass(frozen=True, slots=True)
class Server:
    """The manager at one of its entrances.

    `open` gives the handle of a module, `close` takes one.  What they raise becomes the error in
    the answer: `refusal` turns it, and the room for words in bytes, into a status and these words,
    or raises it again.
    """

    manager: Manager
    open: Callable[[str], int]
    close: Callable[[int], None]
    refusal: Callable[[BaseException, int], tuple[int, str]]

    def serve(self, scalars: Scalars, arguments: Sequence[memoryview]) -> bool:
        """Serve open and close, found by their complete scalars; False for any other call.

        ValueError for a request that makes no sense.
        """
        if scalars == self.manager.open:
            self._open(*arguments)
        elif scalars == self.manager.close:
            self._close(*arguments)
        else:
            return False
        return True

    def _open(
        self, request: memoryview, name: memoryview, answer: memoryview, words: memoryview
    ) -> None:
        size = _unpack(OpenRequest, request).name_length
        if not 0 < size <= len(name) or name[size - 1] != 0:
            raise ValueError("the name has no end mark")
        _check_room(answer, OpenAnswer)  # before a module is opened that nobody could close
        handle, error = 0, 0
        try:
            handle = self.open(text(name[:size]))
        except BaseException as failure:
            error = self._refuse(failure, words)
        answer[: OpenAnswer.byte_size] = OpenAnswer(handle=handle, error=error).pack()

    def _close(self, request: memoryview, answer: memoryview, words: memoryview) -> None:
        handle, error = _unpack(CloseRequest, request).handle, 0
        _check_room(answer, CloseAnswer)
        try:
            self.close(handle)
        except BaseException as failure:
            error = self._refuse(failure, words)
        answer[: CloseAnswer.byte_size] = CloseAnswer(error=error).pack()

    def _refuse(self, failure: BaseException, room: memoryview) -> int:
        status, words = self.refusal(failure, len(room))
        if len(room):
            data = words.encode("utf-8", "replace")[: len(room) - 1] + b"\0"
            room[: len(data)] = data
        return as_signed(status)


def _unpack(record: type[R], buffer: memoryview) -> R:
    if len(buffer) < record.byte_size:
        raise ValueError(f"{len(buffer)} bytes are no {record.spelling}")
    return record.unpack(buffer)


def _check_room(buffer: memoryview, record: type[Record]) -> None:
    if len(buffer) < record.byte_size:
        raise ValueError(f"{len(buffer)} bytes have no room for {record.spelling}")


def ended(text: str) -> bytes:
    """A text with its NUL, as `text` reads it.  UsageError for one that would not arrive whole."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{text!r:.80} has surrogates, which are no characters") from error
    if b"\0" in data:
        raise UsageError(f"{text!r:.80} has a NUL, where the text would end")
    return data + b"\0"


def text(buffer: Memory) -> str:
    """The characters before the first NUL."""
    return bytes(buffer).partition(b"\0")[0].decode("utf-8", "replace")
