"""Who may do what on a node: a policy, which a device has and which can be exchanged (R20).

Daemon and applications share nodes and need different rights: who attaches to the DSP's own system
sees what everybody does there.  A policy is asked before a session begins, and refuses with an
errno and words.  Which one a device has is a line of its profile; a program that hosts a virtual
system may put an object of its own into `Device.policy`.
"""

from __future__ import annotations

import enum
import errno
import logging
import os
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from qda.driver.memory import Client
from qda.fastrpc.control import ProcessAttribute

__all__ = ["POLICIES", "Asked", "Policy", "Wanted", "check", "tell"]

_log = logging.getLogger("qda.driver")


class Wanted(enum.Enum):
    """What a session is to be with."""

    ROOT = "attach to the root protection domain"
    SENSORS = "attach to the sensors' protection domain"
    STATIC = "begin a session with a static process"
    PROCESS = "create a process of its own"


class Asked(NamedTuple):
    """What is asked of a policy: what for, with which process attributes, through which node.

    `secure` is None for an accelerator's node, else whether it is the one for privileged programs;
    `refuses_plain` says that the plain one is for unsigned processes only.
    """

    wanted: Wanted
    client: Client
    attributes: int = 0
    secure: bool | None = None
    refuses_plain: bool = False

    @property
    def is_signed(self) -> bool:
        """Whether the process is to be signed, and so may do more than others."""
        return self.wanted is Wanted.PROCESS and not self.attributes & ProcessAttribute.UNSIGNED


class Policy(Protocol):
    """Says who may begin which session."""

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """Errno and reason, in words that can stand after "because"; None if it may be."""
        ...


class NodePolicy:
    """What today's drivers do: the plain node is for unsigned processes, where there is another."""

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """See `Policy.refusal`."""
        if asked.is_signed and asked.secure is False and asked.refuses_plain:
            return errno.ECONNREFUSED, "the plain node is for unsigned processes"
        return None


class PrivilegePolicy(NodePolicy):
    """What was announced for November 2026 (spec/versions.md 5.2), and for static and privileged
    processes, too: CAP_SYS_ADMIN is needed but for an unsigned process of one's own."""

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """See `Policy.refusal`."""
        own = asked.wanted is Wanted.PROCESS and not asked.is_signed
        privileged = bool(asked.attributes & ProcessAttribute.PRIVILEGED)
        if (not own or privileged) and not asked.client.is_admin:
            return errno.EPERM, "only callers with CAP_SYS_ADMIN may"
        return super().refusal(asked)


class ApplicationPolicy(PrivilegePolicy):
    """For applications alone: nobody attaches, whatever the rights."""

    def refusal(self, asked: Asked) -> tuple[int, str] | None:
        """See `Policy.refusal`."""
        if asked.wanted is not Wanted.PROCESS:
            return errno.EACCES, "this device is for applications, and nobody may"
        return super().refusal(asked)


POLICIES: Mapping[str, Policy] = {
    "nodes": NodePolicy(),
    "privileges": PrivilegePolicy(),
    "applications": ApplicationPolicy(),
}
"""The policies that a profile can name."""


def check(policy: Policy, device: str, asked: Asked) -> None:
    """OSError if the policy refuses."""
    refused = policy.refusal(asked)
    if refused is None:
        return
    number, why = refused
    words = f"{asked.wanted.value} on {device}: {errno.errorcode.get(number, number)}: {why}"
    tell(asked.client, words)
    raise OSError(number, words)


def tell(client: Client, words: str) -> None:
    """Say in the log what a program may not, and why, if it is in another process: it sees but an
    errno."""
    if client.pid != os.getpid():
        _log.warning("process %d may not %s", client.pid, words)
