"""One end of a GLINK edge as a machine of states, without I/O: commands in, commands out.

Both ends run the same machine, so it can be tried against itself.  `outgoing` are the commands to
be sent, in their order; `receive` takes one that has come and says what that means.  A message
travels in chunks, and if the edge is not intentless only where its receiver has said that there is
room for it: an intent, which is asked for where none is known, and given back with RX_DONE_REUSE.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from qda.glink.channels import Channel, Half, Step
from qda.glink.command import (
    CHUNK,
    LARGEST_INTENTS,
    LARGEST_MESSAGE,
    LARGEST_NAME,
    VERSION,
    Code,
    Command,
    GlinkFault,
    IntentEntry,
    TransferSizes,
)
from qda.states import IllegalStep

__all__ = ["Edge", "Event", "What"]

_CHANNELS = 64
"""Channels of an edge, at most."""
_UNREAD = 1 << 14
"""Commands that wait until there is room for them, at most: who asks has to read the answers."""


class What(enum.Enum):
    """What has happened on an edge."""

    READY = "both ends speak the same version: channels are opened"
    OFFERED = "the other end has opened a channel"
    PASSES = "messages pass on a channel"
    MESSAGE = "a whole message has come"
    REFUSED = "a message found no room at the other end, and was dropped"
    CLOSED = "the other end has closed a channel"
    WANTS_ROOM = "the other end waits until something is read, and wants to be told"
    SIGNALS = "the other end has changed the signals of a channel, of which nobody makes use"


class Event(NamedTuple):
    """What has happened, to which channel, with which bytes."""

    what: What
    channel: str = ""
    data: bytes = b""


class Edge:
    """One end.  `intentless`: no message needs an intent, on both ends alike.  `chunk`: a command
    carries so many bytes of a message at most."""

    def __init__(self, *, intentless: bool = True, chunk: int = CHUNK) -> None:
        self.outgoing: deque[Command] = deque()
        self.ready = False
        self._intentless, self._chunk = intentless, chunk
        self._channels: dict[str, Channel] = {}
        self._mine: dict[int, Channel] = {}
        self._theirs: dict[int, Channel] = {}
        self._intents = 0

    # What this end does.

    def start(self) -> None:
        """Say which version is spoken."""
        self._say(Code.VERSION, VERSION, 0)

    def open(self, name: str) -> None:
        """Open a channel; IllegalStep if it is, ValueError for a name that cannot be."""
        text = name.encode("ascii") + b"\0"
        if not 1 < len(text) <= LARGEST_NAME or b"\0" in text[:-1]:
            raise ValueError(f"a channel named {name!r}: 1 to {LARGEST_NAME - 1} characters")
        channel = self._channel(name)
        channel.step(Step.OPEN)
        channel.number = next(number for number in range(1, 1 << 16) if number not in self._mine)
        self._mine[channel.number] = channel
        if self.ready:
            self._say_open(channel)

    def close(self, name: str) -> None:
        """Close it; messages that wait are dropped.  IllegalStep if it is not open."""
        channel = self._channels.get(name, Channel(name))
        channel.step(Step.CLOSE)
        channel.waiting.clear()
        if self.ready:
            self._say(Code.CLOSE, channel.number)

    def send(self, name: str, message: bytes) -> None:
        """Send a message, as soon as it can leave.  IllegalStep if nobody has opened the channel,
        ValueError if it is too long."""
        channel = self._channels.get(name)
        if channel is None or channel.mine not in (Half.OPENING, Half.OPEN):
            raise IllegalStep(f"{name}: a message for a channel that is not open here")
        if len(message) > LARGEST_MESSAGE:
            raise ValueError(f"a message of {len(message)} bytes: at most {LARGEST_MESSAGE}")
        channel.waiting.append(message)
        self._send_waiting(channel)

    def passes(self, name: str) -> bool:
        """Whether messages pass on a channel."""
        return name in self._channels and self._channels[name].passes

    def is_closed(self, name: str) -> bool:
        """Whether both ends have closed a channel, or none has opened it."""
        return name not in self._channels

    # What the other end says.

    def receive(self, command: Command) -> list[Event]:
        """What a command means that has come.  GlinkFault."""
        if len(self.outgoing) > _UNREAD:
            raise GlinkFault(f"it says {command.code.name}, and {_UNREAD} commands are unread")
        try:
            return list(_HANDLERS[command.code](self, command))
        except IllegalStep as step:
            raise GlinkFault(str(step)) from None

    def _version(self, command: Command) -> Iterator[Event]:
        known = command.first == VERSION
        self._say(Code.VERSION_ACK, VERSION if known else 0, 0)
        yield from ()

    def _version_ack(self, command: Command) -> Iterator[Event]:
        if command.first != VERSION:
            raise GlinkFault(f"the other end speaks version {command.first}: {VERSION} is spoken")
        if not self.ready:
            self.ready = True
            for channel in self._mine.values():
                self._say_open(channel)
                if channel.mine is Half.CLOSING:
                    self._say(Code.CLOSE, channel.number)
            yield Event(What.READY)

    def _open(self, command: Command) -> Iterator[Event]:
        text = command.data
        if not text.endswith(b"\0") or not text.rstrip(b"\0").isascii() or not text.strip(b"\0"):
            raise GlinkFault(f"a channel named {text!r}")
        channel = self._channel(text.split(b"\0")[0].decode("ascii"))
        if not command.first or command.first in self._theirs or channel.theirs is Half.OPEN:
            raise GlinkFault(f"{channel.name}: opened again, as {command.first}")
        channel.theirs, channel.their_number = Half.OPEN, command.first
        self._theirs[command.first] = channel
        self._say(Code.OPEN_ACK, command.first)
        yield Event(What.OFFERED, channel.name)
        yield from self._perhaps_passes(channel)

    def _open_ack(self, command: Command) -> Iterator[Event]:
        channel = self._of_mine(command)
        channel.step(Step.OPEN_ACK)
        yield from self._perhaps_passes(channel)

    def _perhaps_passes(self, channel: Channel) -> Iterator[Event]:
        if channel.passes:
            self._send_waiting(channel)
            yield Event(What.PASSES, channel.name)

    def _close(self, command: Command) -> Iterator[Event]:
        channel = self._of_theirs(command)
        self._say(Code.CLOSE_ACK, command.first)
        del self._theirs[command.first]
        channel.theirs, channel.their_number = Half.CLOSED, 0
        for known in (channel.room, channel.lent, channel.given, channel.part):
            known.clear()
        channel.part_left, channel.asked = 0, False
        yield Event(What.CLOSED, channel.name)
        self._perhaps_forget(channel)

    def _close_ack(self, command: Command) -> Iterator[Event]:
        channel = self._of_mine(command)
        channel.step(Step.CLOSE_ACK)
        del self._mine[channel.number]
        channel.number = 0
        self._perhaps_forget(channel)
        yield from ()

    def _perhaps_forget(self, channel: Channel) -> None:
        if channel.mine is Half.CLOSED and channel.theirs is Half.CLOSED:
            del self._channels[channel.name]

    def _intent(self, command: Command) -> Iterator[Event]:
        channel = self._of_theirs(command)
        for start in range(0, len(command.data), IntentEntry.byte_size):
            entry = IntentEntry.unpack(command.data[start:])
            if entry.number in channel.room or entry.number in channel.lent:
                raise GlinkFault(f"{channel.name}: intent {entry.number} is known")
            channel.room[entry.number] = entry.size
        if len(channel.room) + len(channel.lent) > LARGEST_INTENTS:
            raise GlinkFault(f"{channel.name}: more than {LARGEST_INTENTS} intents")
        self._send_waiting(channel)
        yield from ()

    def _intent_request(self, command: Command) -> Iterator[Event]:
        channel, size = self._of_theirs(command), command.second
        granted = size <= LARGEST_MESSAGE and len(channel.given) < LARGEST_INTENTS
        granted = granted and channel.mine is Half.OPEN
        if granted:
            self.give_room(channel.name, size)
        self._say(Code.INTENT_REQUEST_ACK, channel.number, int(granted))
        yield from ()

    def give_room(self, name: str, size: int) -> None:
        """Tell the other end of room for a message on an open channel; it comes back by itself."""
        channel = self._channels[name]
        self._intents += 1
        channel.given[self._intents] = size
        entry = IntentEntry(size=size, number=self._intents)
        self._say(Code.INTENT, channel.number, 1, entry.pack())

    def _intent_request_ack(self, command: Command) -> Iterator[Event]:
        channel = self._of_theirs(command)
        if not channel.asked:
            raise GlinkFault(f"{channel.name}: an answer to no request for an intent")
        channel.asked = False
        if not command.second and channel.waiting:
            yield Event(What.REFUSED, channel.name, channel.waiting.popleft())
        self._send_waiting(channel)

    def _received(self, command: Command) -> Iterator[Event]:
        channel = self._of_theirs(command)
        if command.second not in channel.lent:
            raise GlinkFault(f"{channel.name}: intent {command.second} is not in use")
        size = channel.lent.pop(command.second)
        if command.code is Code.RX_DONE_REUSE:
            channel.room[command.second] = size
            self._send_waiting(channel)
        yield from ()

    def _data(self, command: Command) -> Iterator[Event]:
        channel = self._of_theirs(command)
        sizes = TransferSizes.unpack(command.data)
        whole = sizes.chunk + sizes.left
        if command.code is Code.DATA:
            if channel.part_left or channel.part:
                raise GlinkFault(f"{channel.name}: a message begins within another")
            if not self._intentless and channel.given.get(command.second, -1) < whole:
                raise GlinkFault(f"{channel.name}: {whole} bytes have no intent {command.second}")
            channel.part_intent = command.second
        elif not channel.part_left or channel.part_left != whole:
            raise GlinkFault(f"{channel.name}: {whole} bytes go on, of {channel.part_left}")
        if not sizes.chunk and sizes.left:
            raise GlinkFault(f"{channel.name}: a chunk without bytes")
        channel.part += command.data[TransferSizes.byte_size :]
        channel.part_left = sizes.left
        if sizes.left:
            return
        message = bytes(channel.part)
        channel.part.clear()
        if not self._intentless:
            self._say(Code.RX_DONE_REUSE, channel.number, channel.part_intent)
        if channel.mine in (Half.OPENING, Half.OPEN):
            yield Event(What.MESSAGE, channel.name, message)

    def _read_notification(self, command: Command) -> Iterator[Event]:
        yield Event(What.WANTS_ROOM)

    def _signals(self, command: Command) -> Iterator[Event]:
        yield Event(What.SIGNALS, self._of_theirs(command).name)

    # Between the two.

    def _send_waiting(self, channel: Channel) -> None:
        while channel.passes and channel.waiting and not channel.asked:
            message, intent = channel.waiting[0], 0
            if not self._intentless:
                fitting = [n for n, size in channel.room.items() if size >= len(message)]
                intent = min(fitting, key=channel.room.__getitem__, default=-1)
                if intent < 0:
                    channel.asked = True
                    self._say(Code.INTENT_REQUEST, channel.number, len(message))
                    return
                channel.lent[intent] = channel.room.pop(intent)
            self._say_message(channel, channel.waiting.popleft(), intent)

    def _say_message(self, channel: Channel, message: bytes, intent: int) -> None:
        code = Code.DATA
        for start in range(0, max(len(message), 1), self._chunk):
            chunk = message[start : start + self._chunk]
            left = len(message) - start - len(chunk)
            sizes = TransferSizes(chunk=len(chunk), left=left).pack()
            self._say(code, channel.number, intent, sizes + chunk)
            code = Code.DATA_CONTINUED

    def _say(self, code: Code, first: int, second: int = 0, data: bytes = b"") -> None:
        self.outgoing.append(Command(code, first, second, data))

    def _say_open(self, channel: Channel) -> None:
        text = channel.name.encode("ascii") + b"\0"
        self._say(Code.OPEN, channel.number, len(text), text)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            if len(self._channels) >= _CHANNELS:
                raise GlinkFault(f"more than {_CHANNELS} channels")
            self._channels[name] = Channel(name)
        return self._channels[name]

    def _of_mine(self, command: Command) -> Channel:
        return _named(self._mine, command)

    def _of_theirs(self, command: Command) -> Channel:
        return _named(self._theirs, command)


def _named(channels: Mapping[int, Channel], command: Command) -> Channel:
    try:
        return channels[command.first]
    except KeyError:
        raise GlinkFault(f"{command}: there is no such channel") from None


_HANDLERS: Mapping[Code, Callable[[Edge, Command], Iterator[Event]]] = {
    Code.VERSION: Edge._version,
    Code.VERSION_ACK: Edge._version_ack,
    Code.OPEN: Edge._open,
    Code.OPEN_ACK: Edge._open_ack,
    Code.CLOSE: Edge._close,
    Code.CLOSE_ACK: Edge._close_ack,
    Code.INTENT: Edge._intent,
    Code.INTENT_REQUEST: Edge._intent_request,
    Code.INTENT_REQUEST_ACK: Edge._intent_request_ack,
    Code.RX_DONE: Edge._received,
    Code.RX_DONE_REUSE: Edge._received,
    Code.DATA: Edge._data,
    Code.DATA_CONTINUED: Edge._data,
    Code.READ_NOTIFICATION: Edge._read_notification,
    Code.SIGNALS: Edge._signals,
}
