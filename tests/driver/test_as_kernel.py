"""With `qda run --as-kernel` the older driver's nodes answer as a kernel's (docs/kernel.md)."""

from __future__ import annotations

from collections.abc import Iterator
from errno import EBADF, EINVAL, ENOMEM

import pytest

from qda.conformance.interface import (
    NAMED,
    OpenNode,
    Target,
    allocate,
    call,
    create_session,
    map_on_dsp,
    map_request,
)
from qda.memory import PAGE
from qda.uapi import LEGACY
from qda.virtual import Machine, load_profile

TARGET = Target("virtual", LEGACY, hostile=True)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Machine]:
    """A system whose nodes have the switches."""
    system = Machine(load_profile("generic").as_kernel())
    yield system
    system.close()


@pytest.fixture
def node(kernel: Machine) -> Iterator[OpenNode]:
    with OpenNode(TARGET, kernel.open("cdsp", LEGACY.name)) as opened:
        yield opened


@pytest.mark.parametrize("size", [0, (1 << 64) - 4095])
def test_memory_of_a_size_that_makes_no_sense_is_enomem(node: OpenNode, size: int) -> None:
    """And what else is wrong with a request is what it was."""
    assert call(node, "ALLOC_DMA_BUFF", size=size)[0] == -ENOMEM
    create_session(node)
    asked = {"fd": -1, "flags": 0x1000, "size": size}
    assert call(node, "MAP_NEW", **asked)[0] == -ENOMEM
    assert call(node, "MAP_NEW", **{**asked, "size": PAGE, "vaddrin": 1})[0] == -EINVAL


@pytest.mark.parametrize("fd", [-1, 999])
def test_an_image_or_a_mapping_without_a_descriptor_is_ebadf(node: OpenNode, fd: int) -> None:
    """One whose descriptor leads to no buffer is EINVAL, as ever."""
    with open("/dev/null") as nothing:
        for number, refusal in ((fd, EBADF), (nothing.fileno(), EINVAL)):
            assert call(node, "CREATE", filelen=PAGE, filefd=number)[0] == -refusal
        create_session(node)
        for number, refusal in ((fd, EBADF), (nothing.fileno(), EINVAL)):
            wanted = {"request": NAMED, "flags": 2, "fd": number, "size": PAGE}
            assert map_request(node, **wanted)[0] == -refusal


def test_a_mapping_begins_with_its_buffer(node: OpenNode) -> None:
    """What the offset is, and whether it lies in the buffer, makes no difference."""
    create_session(node)
    buffer = allocate(node, 2 * PAGE)
    for offset in (PAGE, PAGE + 5, -1):
        assert map_on_dsp(node, buffer, PAGE, offset=offset) % PAGE == 0


def test_a_switch_that_a_profile_sets_itself_stays() -> None:
    refusing = load_profile("refusing").as_kernel().dsps[0].switches
    assert refusing["without_bank"] == load_profile("refusing").dsps[0].switches["without_bank"]
    assert refusing["unknown_file"] == EBADF
