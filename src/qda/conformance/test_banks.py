"""Context banks: each open file takes one at its first buffer, and there are only so many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import ENODEV, ENOMEM

import pytest

from qda.conformance.foreign import foreign_buffer
from qda.conformance.interface import (
    BANKS_DOMAIN,
    OpenNode,
    Target,
    allocate,
    call,
    close_handle,
    create_session,
    import_fd,
)

pytestmark = pytest.mark.dialects("accel", why="a bank is taken at open")


@pytest.fixture
def holders(bank_nodes: list[OpenNode]) -> list[OpenNode]:
    """Nodes that hold all context banks of a DSP."""
    for node in bank_nodes:
        allocate(node)
    return bank_nodes


@pytest.fixture
def late(target: Target, holders: list[OpenNode]) -> Iterator[OpenNode]:
    """A node that comes when all context banks are taken."""
    with target.open(BANKS_DOMAIN) as node:
        yield node


def test_allocation_without_a_free_bank_is_enomem(late: OpenNode) -> None:
    """Spec 4.5: GEM_CREATE."""
    assert call(late, "GEM_CREATE", size=4096)[0] == -ENOMEM


def test_session_without_a_free_bank_is_enomem(late: OpenNode) -> None:
    """uapi CREATE: its memory needs a bank, too."""
    assert call(late, "CREATE", filefd=-1)[0] == -ENOMEM


def test_import_without_a_free_bank_is_enodev(late: OpenNode) -> None:
    """Spec 4.5: PRIME_FD_TO_HANDLE."""
    assert call(late, "PRIME_FD_TO_HANDLE", fd=foreign_buffer(late))[0] == -ENODEV


def test_import_of_the_devices_own_object_without_a_free_bank_is_enodev(
    late: OpenNode, holders: list[OpenNode]
) -> None:
    """Spec 4.5: the object has a bank in the other file, and needs one in this."""
    exported = call(holders[0], "PRIME_HANDLE_TO_FD", handle=1)[1].fd
    holders[0].left.callback(os.close, exported)
    assert call(late, "PRIME_FD_TO_HANDLE", fd=exported)[0] == -ENODEV


def test_what_needs_no_bank_works_without_one(late: OpenNode) -> None:
    """Spec 3.4: QUERY works, attaching works, and so does the close."""
    assert call(late, "QUERY")[0] == 0
    if late.dialect.has("INIT_ATTACH") and late.dialect.semantics.attaches:
        assert call(late, "INIT_ATTACH")[0] == 0


def test_a_file_takes_one_bank_only(late: OpenNode, holders: list[OpenNode]) -> None:
    """H27: a bank belongs to an open file, which has it for all its buffers and its session."""
    for node in holders:
        allocate(node)
        import_fd(node, foreign_buffer(node))
        create_session(node)


def test_a_file_keeps_its_bank_without_buffers(late: OpenNode, holders: list[OpenNode]) -> None:
    """Spec 4.5: it is given back at the close."""
    close_handle(holders[0], 1)
    assert call(late, "GEM_CREATE", size=4096)[0] == -ENOMEM
    allocate(holders[0])


def test_closing_a_file_frees_its_bank(late: OpenNode, holders: list[OpenNode]) -> None:
    """Spec 4.5: a node that was refused works afterwards."""
    assert call(late, "GEM_CREATE", size=4096)[0] == -ENOMEM
    holders[0].close()
    allocate(late)
    create_session(late)
