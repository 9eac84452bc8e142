"""The buffer objects that a program's calls on lanes may name: a table in the page of its lease.

A place of the table has what a message says of an object, and two words.  `named` is the server's:
whether the program may begin to use it.  `users` is the program's: how many of its calls do.  The
server crosses out the name and then looks for users, a call counts itself in and then looks for the
name; so of two who pass each other one gives way.  An object is held here until nobody uses it, as
in a kernel a call holds its objects.
"""

from __future__ import annotations

import mmap
import struct

from qda import limits
from qda.core import word_clear, word_set
from qda.driver.banks import Attachment
from qda.driver.sharing import Uses
from qda.linux import address_of
from qda.shim.protocol import LEASE_OBJECTS, LENT_PROBES, Lent

__all__ = ["LentObjects"]

_PLACES = {field.name: field.offset for field in Lent.fields}
_USERS, _NAMED = _PLACES["users"], _PLACES["named"]
_object = struct.Struct("=4Q2I")
"""A place before `users`: what is written while nobody uses it."""


class LentObjects:
    """The table in `page`.  `by_identity` says that objects are named by their memory's inode, not
    by handles.  Its user has the lock of the lease."""

    def __init__(self, page: mmap.mmap, by_identity: bool) -> None:
        self._page, self._by_identity = page, by_identity
        self._address = address_of(page)
        self._shown: dict[int, tuple[int, Uses]] = {}  # place in the table, by name
        self._hidden: list[tuple[int, Uses]] = []
        self._taken: set[int] = set()  # places

    def _name(self, number: int, attachment: Attachment) -> int:
        return attachment.buffer.identity[2] if self._by_identity else number

    def _place(self, name: int) -> int | None:
        """A place of which nobody knows anything any more."""
        for probe in range(LENT_PROBES):
            place = (name + probe) % limits.LENT_OBJECTS
            if place not in self._taken and not self._users(place):
                return place
        return None

    def _users(self, place: int) -> int:
        return word_set(self._address + self._offset(place) + _USERS, 0)

    def _offset(self, place: int) -> int:
        return LEASE_OBJECTS + place * Lent.byte_size

    def show(self, number: int, attachment: Attachment) -> None:
        """Let calls name an object by a handle; without a place they go through the server."""
        name = self._name(number, attachment)
        if name in self._shown or (place := self._place(name)) is None:
            return
        uses = Uses()
        uses.hold(attachment)
        major, minor, inode = attachment.buffer.identity
        what = name, attachment.address, attachment.buffer.size, inode, major, minor
        _object.pack_into(self._page, self._offset(place), *what)
        self._taken.add(place)
        self._shown[name] = place, uses
        word_set(self._address + self._offset(place) + _NAMED, 1)

    def hide(self, number: int, attachment: Attachment) -> None:
        """No call may name it any more; nothing if none might."""
        shown = self._shown.pop(self._name(number, attachment), None)
        if shown is not None:
            self._hide(shown)

    def _hide(self, shown: tuple[int, Uses]) -> None:
        self._hidden.append(shown)
        word_clear(self._address + self._offset(shown[0]) + _NAMED, 1)

    def take_unused(self) -> list[Uses]:
        """Take out the hidden objects that no call has any more, to be released."""
        unused = [(place, uses) for place, uses in self._hidden if not self._users(place)]
        for one in unused:
            self._hidden.remove(one)
            self._taken.discard(one[0])
        return [uses for _, uses in unused]

    def take_all(self) -> list[Uses]:
        """Take out all objects, to be released: there are no calls any more."""
        held = [*self._shown.values(), *self._hidden]
        self._shown.clear()
        self._hidden.clear()
        return [uses for _, uses in held]
