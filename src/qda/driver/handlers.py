"""Handlers: what carries out each command of a front, declared beside the record that it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from qda.driver.memory import Client
from qda.layout import Record
from qda.uapi import Command

__all__ = ["Handler", "Handlers"]

F = TypeVar("F")
R = TypeVar("R", bound=Record)

Handler = Callable[[F, Client, Record | None], int]
"""Carries out a command for a front and its caller; returns the ioctl's result.  OSError, Died."""


class Handlers(Generic[F]):
    """The handlers of a kind of front.  A command has one for all dialects, which takes the record
    of any of them."""

    def __init__(self) -> None:
        self._by_key: dict[str, Handler[F]] = {}

    def takes(
        self, command: Command[R]
    ) -> Callable[[Callable[[F, Client, R], int]], Callable[[F, Client, R], int]]:
        """Declare that a function carries out a command with a record."""
        kind = command.record
        assert kind is not None, f"{command.key} has no record"

        def declare(function: Callable[[F, Client, R], int]) -> Callable[[F, Client, R], int]:
            def handle(front: F, client: Client, record: Record | None) -> int:
                assert isinstance(record, kind)
                return function(front, client, record)

            self._by_key[command.key] = handle
            return function

        return declare

    def bare(
        self, command: Command[Record]
    ) -> Callable[[Callable[[F, Client], int]], Callable[[F, Client], int]]:
        """Declare that a function carries out a command that has no record."""
        assert command.record is None, f"{command.key} has a record"

        def declare(function: Callable[[F, Client], int]) -> Callable[[F, Client], int]:
            self._by_key[command.key] = lambda front, client, _: function(front, client)
            return function

        return declare

    def __contains__(self, command: Command[Record]) -> bool:
        return command.key in self._by_key

    def __getitem__(self, command: Command[Record]) -> Handler[F]:
        """What carries out a command, in whatever dialect.  KeyError if nothing does."""
        return self._by_key[command.key]
