"""Mappings on the DSP: MAP and MUNMAP, legacy and with attributes."""

from __future__ import annotations

import mmap
import os
from errno import EINVAL, ENODEV

import pytest

from qda.conformance.foreign import foreign_buffer
from qda.conformance.interface import (
    LEGACY,
    NAMED,
    NOBODY,
    PAGE,
    OpenNode,
    Target,
    allocate,
    close_handle,
    create_session,
    export,
    import_fd,
    inline,
    invoke,
    map_object,
    map_on_dsp,
    map_request,
    name_of,
    unmap_request,
)
from qda.conformance.memory import Memory
from qda.conformance.skeletons import Probe
from qda.errors import BAD_ADDRESS, as_signed, is_errno

FLAGS = {LEGACY: 6, NAMED: 2}
requests = pytest.mark.parametrize("request_kind", [LEGACY, NAMED], ids=["legacy", "attr"])


def peek(node: OpenNode, probe: int, address: int, length: int) -> bytes | int:
    """Bytes at a DSP address, or the status of the failed access."""
    target = Memory(length)
    source = Memory(address.to_bytes(8, "little"))
    result = invoke(node, probe, Probe.PEEK, [inline(source)], [inline(target)])
    return result or target.content


def unmap(node: OpenNode, kind: int, name: int, address: int, size: int = PAGE) -> int:
    """MUNMAP in the way that the request has; its result."""
    if kind == LEGACY:
        return unmap_request(node, request=kind, vaddrout=address, size=size)
    return unmap_request(node, request=kind, fd=name, vaddr=address, size=size)


# MAP: what is refused.


@pytest.mark.parametrize("kind", [0, 3, 0xFFFFFFFF])
def test_map_with_another_request_is_einval(session_node: OpenNode, kind: int) -> None:
    """Spec 4.5: 1 is legacy, 2 is with attributes."""
    name = name_of(session_node, allocate(session_node))
    assert map_request(session_node, request=kind, flags=2, fd=name, size=PAGE) == (-EINVAL, 0)


@requests
def test_map_with_a_reserved_field_is_einval(session_node: OpenNode, request_kind: int) -> None:
    """H23: in both dialects of the accelerator."""
    session_node.target.require_dialect("rfc", "v1", why="no other driver has or looks at one (R1)")
    name = name_of(session_node, allocate(session_node))
    values = {"request": request_kind, "flags": FLAGS[request_kind], "fd": name, "size": PAGE}
    assert map_request(session_node, reserved=1, **values) == (-EINVAL, 0)
    assert map_request(session_node, **values)[0] == 0


@requests
@pytest.mark.parametrize("name", [0, -1, -2, -(1 << 31)])
def test_map_without_an_object_is_einval(
    session_node: OpenNode, request_kind: int, name: int
) -> None:
    """H23: an fd of 0 or below."""
    if name < -1:
        session_node.require_signed()
    values = {"request": request_kind, "flags": FLAGS[request_kind], "fd": name, "size": PAGE}
    assert map_request(session_node, **values) == (-EINVAL, 0)


@pytest.mark.parametrize("flags", [4, 8, 0x1000, 0x3000], ids=hex)
@pytest.mark.parametrize("name", [0, -1])
def test_map_of_memory_that_the_dsp_has_not_asked_for_is_the_dsps_refusal(
    session_node: OpenNode, name: int, flags: int
) -> None:
    """design.md, Memory: these legacy flags need no object; the DSP knows of no request."""
    result, address = map_request(session_node, request=LEGACY, flags=flags, fd=name, size=PAGE)
    assert result != 0 and not is_errno(result) and address == 0


@pytest.mark.parametrize("flags", [4, 8, 0x1000, 0x3000], ids=hex)
def test_map_with_fd_below_minus_1_is_einval(session_node: OpenNode, flags: int) -> None:
    """uapi MAP: also with flags that need no object."""
    session_node.require_signed()
    values = {"request": LEGACY, "flags": flags, "fd": -2, "size": PAGE}
    assert map_request(session_node, **values) == (-EINVAL, 0)


@requests
def test_map_of_an_unknown_object(session_node: OpenNode, request_kind: int) -> None:
    """Spec 4.5: no such handle is ENOENT in RFC, no such descriptor EBADF in V1; 5.3: EINVAL."""
    values = {"request": request_kind, "flags": FLAGS[request_kind], "fd": NOBODY, "size": PAGE}
    assert map_request(session_node, **values) == (-session_node.unknown, 0)


def test_map_of_something_that_is_no_dma_buf_is_einval(session_node: OpenNode) -> None:
    """Spec 4.5: V1, where fd is a descriptor."""
    session_node.target.require_dialect("v1", "legacy", why="fd is a GEM handle")
    descriptor = os.open("/dev/null", os.O_RDWR)
    try:
        result = map_request(session_node, request=NAMED, flags=2, fd=descriptor, size=PAGE)
    finally:
        os.close(descriptor)
    assert result == (-EINVAL, 0)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    ("offset", "size"),
    [
        (0, 2 * PAGE + 1),
        (PAGE, PAGE + 1),
        (2 * PAGE, 1),
        (2 * PAGE + 1, 0),
        (0, 1 << 32),
        (PAGE, (1 << 64) - PAGE),
        (0, (1 << 64) - 1),
        (4294967295, 1),
    ],
)
def test_map_beyond_the_object_is_einval(session_node: OpenNode, offset: int, size: int) -> None:
    """H23: offset + size is compared with the object, without wrapping around."""
    name = name_of(session_node, allocate(session_node, 2 * PAGE))
    if session_node.legacy and offset >> 31:
        offset -= 1 << 32  # a signed field there
    values = {"request": NAMED, "flags": 2, "fd": name, "offset": offset, "size": size}
    assert map_request(session_node, **values) == (-EINVAL, 0)


@pytest.mark.usefixtures("hostile")
def test_legacy_map_beyond_the_object_is_einval(session_node: OpenNode) -> None:
    """H23: it has no offset, so that size alone counts."""
    name = name_of(session_node, allocate(session_node))
    values = {"request": LEGACY, "flags": 6, "fd": name}
    assert map_request(session_node, size=PAGE + 1, **values) == (-EINVAL, 0)
    assert map_request(session_node, size=(1 << 64) - 1, **values) == (-EINVAL, 0)


@requests
def test_map_and_unmap_without_a_session_are_enodev(node: OpenNode, request_kind: int) -> None:
    """uapi MAP, MUNMAP: there is no process to map it into."""
    node.target.require_dialect("accel", why="the DSP refuses it")
    name = name_of(node, allocate(node))
    values = {"request": request_kind, "flags": FLAGS[request_kind], "fd": name, "size": PAGE}
    assert map_request(node, **values) == (-ENODEV, 0)
    assert unmap(node, request_kind, name, PAGE) == -ENODEV


# MAP: what it makes.


@requests
def test_map_returns_an_address_of_the_dsp(session_node: OpenNode, request_kind: int) -> None:
    """Spec 3.4, design.md, Memory: not 0, below 4 GiB, another one for each mapping."""
    names = [name_of(session_node, allocate(session_node, size)) for size in (PAGE, 1 << 20, PAGE)]
    addresses = [map_on_dsp(session_node, name, request=request_kind) for name in names]
    assert all(0 < address < 1 << 32 for address in addresses)
    assert len(set(addresses)) == len(addresses)


@requests
def test_mapped_memory_is_shared(session_node: OpenNode, probe: int, request_kind: int) -> None:
    """design.md, Memory: the program and the DSP see the same pages."""
    handle = allocate(session_node, 2 * PAGE)
    name = name_of(session_node, handle)
    address = map_on_dsp(session_node, name, 2 * PAGE, request=request_kind)
    with map_object(session_node, handle, 2 * PAGE) as mapped:
        mapped[PAGE - 2 : PAGE + 2] = b"host"
        assert peek(session_node, probe, address + PAGE - 2, 4) == b"host"
        where, what = Memory((address + 7).to_bytes(8, "little")), Memory(b"dsp")
        assert invoke(session_node, probe, Probe.POKE, [inline(where), inline(what)]) == 0
        assert mapped[7:10] == b"dsp"


@pytest.mark.parametrize("offset", [0, 1, PAGE, PAGE + 5, 20 * PAGE - 1])
def test_mapping_begins_at_offset_and_runs_to_the_end(
    session_node: OpenNode, probe: int, offset: int
) -> None:
    """design.md, Memory: vaddrout is the address of byte offset; size does not shorten it."""
    handle = allocate(session_node, 20 * PAGE)
    with map_object(session_node, handle, 20 * PAGE) as mapped:
        mapped[offset] = 0x5A
        mapped[-1] = 0x5A
    address = map_on_dsp(session_node, name_of(session_node, handle), 1, offset=offset)
    assert peek(session_node, probe, address, 1) == b"\x5a"
    last = address + 20 * PAGE - 1 - offset
    assert peek(session_node, probe, last, 1) == b"\x5a"
    assert peek(session_node, probe, last, 2) == as_signed(BAD_ADDRESS)


@requests
def test_map_does_not_look_at_attrs(session_node: OpenNode, request_kind: int) -> None:
    """H23, uapi MAP: attrs is for the future."""
    name = name_of(session_node, allocate(session_node))
    attrs = -1 if session_node.legacy else 0xFFFFFFFF
    assert map_on_dsp(session_node, name, request=request_kind, attrs=attrs)


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 16])
def test_map_with_each_kind_of_flags(session_node: OpenNode, probe: int, flags: int) -> None:
    """Spec 3.3: static, reserved, fd, fd delayed, fd without a CPU mapping."""
    handle = allocate(session_node)
    with map_object(session_node, handle) as mapped:
        mapped[:4] = b"here"
    address = map_on_dsp(session_node, name_of(session_node, handle), flags=flags)
    assert peek(session_node, probe, address, 4) == b"here"


def test_mapping_is_found_by_its_fd(session_node: OpenNode, probe: int) -> None:
    """Spec 4.4: code on the DSP finds a mapping with attributes by the value of its fd."""
    handle = allocate(session_node)
    with map_object(session_node, handle) as mapped:
        mapped[:4] = b"here"
    name = name_of(session_node, handle)
    map_on_dsp(session_node, name)
    number, target = Memory(name.to_bytes(4, "little")), Memory(4)
    arguments = [inline(number)], [inline(target)]
    assert invoke(session_node, probe, Probe.PEEK_FD, *arguments) == 0
    assert target.content == b"here"


@requests
def test_hint_is_honoured_where_there_is_room(session_node: OpenNode, request_kind: int) -> None:
    """design.md, Memory: vaddrin is the address, if it is free and inside the window."""
    session_node.target.require_virtual("a DSP need not follow the hint")
    name = name_of(session_node, allocate(session_node))
    other = name_of(session_node, allocate(session_node))
    wish = map_on_dsp(session_node, name, request=request_kind) + (64 << 20)
    assert map_on_dsp(session_node, other, request=request_kind, vaddrin=wish) == wish
    taken = map_on_dsp(session_node, name, request=request_kind, vaddrin=wish)
    assert taken not in (0, wish)


@requests
@pytest.mark.parametrize("hint", [1, PAGE, 0xFFFF_F000, 1 << 32, 1 << 63, (1 << 64) - 1], ids=hex)
def test_hint_that_makes_no_sense_is_ignored(
    session_node: OpenNode, probe: int, request_kind: int, hint: int
) -> None:
    """design.md, Memory: vaddrin is only a hint."""
    name = name_of(session_node, allocate(session_node))
    address = map_on_dsp(session_node, name, request=request_kind, vaddrin=hint)
    assert 0 < address < 1 << 32
    assert peek(session_node, probe, address, 4) == bytes(4)


def test_import_can_be_mapped(session_node: OpenNode, probe: int) -> None:
    """Spec 4.4: what others have made, by handle or by descriptor."""
    descriptor = foreign_buffer(session_node)
    handle = import_fd(session_node, descriptor)
    name = descriptor if session_node.later else handle
    with mmap.mmap(descriptor, PAGE) as mapped:  # a DMA-BUF takes no pwrite
        mapped[:4] = b"here"
    address = map_on_dsp(session_node, name)
    assert peek(session_node, probe, address, 4) == b"here"


@requests
def test_mapping_keeps_the_buffer(session_node: OpenNode, probe: int, request_kind: int) -> None:
    """H23: closing the handle frees nothing that the DSP has mapped."""
    handle = allocate(session_node)
    with map_object(session_node, handle) as mapped:
        mapped[:4] = b"kept"
    address = map_on_dsp(session_node, name_of(session_node, handle), request=request_kind)
    close_handle(session_node, handle)
    others = [allocate(session_node) for _ in range(8)]
    for other in others:
        with map_object(session_node, other) as mapped:
            mapped[:5] = b"other"
    assert peek(session_node, probe, address, 4) == b"kept"


def test_mapping_of_one_session_is_none_of_anothers(
    session_node: OpenNode, second_session: OpenNode, second_probe: int
) -> None:
    """Spec 3.4: each process has its own address space."""
    address = map_on_dsp(session_node, name_of(session_node, allocate(session_node)))
    result = peek(second_session, second_probe, address, 1)
    assert result == as_signed(BAD_ADDRESS)
    assert unmap(second_session, LEGACY, 0, address) == -EINVAL
    assert peek(second_session, second_probe, address, 1) == as_signed(BAD_ADDRESS)


# MUNMAP.


@requests
def test_unmapped_memory_is_not_accessible(
    session_node: OpenNode, probe: int, request_kind: int
) -> None:
    """design.md, Memory: a checked access outside any mapping is 0x80000483."""
    name = name_of(session_node, allocate(session_node))
    address = map_on_dsp(session_node, name, request=request_kind)
    assert peek(session_node, probe, address, 4) == bytes(4)
    assert unmap(session_node, request_kind, name, address) == 0
    assert peek(session_node, probe, address, 4) == as_signed(BAD_ADDRESS)


@requests
def test_unmap_twice_is_einval(session_node: OpenNode, request_kind: int) -> None:
    """H23."""
    name = name_of(session_node, allocate(session_node))
    address = map_on_dsp(session_node, name, request=request_kind)
    assert unmap(session_node, request_kind, name, address) == 0
    assert unmap(session_node, request_kind, name, address) == -EINVAL


@requests
def test_unmap_of_what_is_not_mapped_is_einval(session_node: OpenNode, request_kind: int) -> None:
    """H23: no address, a wrong address, the wrong object."""
    name = name_of(session_node, allocate(session_node))
    other = name_of(session_node, allocate(session_node))
    assert unmap(session_node, request_kind, name, 0) == -EINVAL
    address = map_on_dsp(session_node, name, request=request_kind)
    assert unmap(session_node, request_kind, name, address + PAGE) == -EINVAL
    assert unmap(session_node, request_kind, name, (1 << 64) - PAGE) == -EINVAL
    if request_kind == NAMED:
        assert unmap(session_node, request_kind, other, address) == -EINVAL
        assert unmap(session_node, request_kind, other, 0) == -EINVAL
    assert unmap(session_node, request_kind, name, address) == 0


@pytest.mark.parametrize("kind", [0, 3, 0xFFFFFFFF])
def test_unmap_with_another_request_is_einval(session_node: OpenNode, kind: int) -> None:
    """Spec 4.5."""
    assert unmap_request(session_node, request=kind) == -EINVAL


def test_unmap_with_the_other_request_is_einval(session_node: OpenNode) -> None:
    """uapi MUNMAP: a mapping is undone by the request that made it."""
    name = name_of(session_node, allocate(session_node))
    legacy = map_on_dsp(session_node, name, request=LEGACY)
    named = map_on_dsp(session_node, name, request=NAMED)
    assert unmap(session_node, NAMED, name, legacy) == -EINVAL
    assert unmap(session_node, LEGACY, name, named) == -EINVAL
    assert unmap(session_node, LEGACY, name, legacy) == 0
    assert unmap(session_node, NAMED, name, named) == 0


def test_legacy_unmap_must_match_the_size(session_node: OpenNode) -> None:
    """design.md, Memory: vaddrout and size of a MAP."""
    name = name_of(session_node, allocate(session_node, 2 * PAGE))
    address = map_on_dsp(session_node, name, PAGE, request=LEGACY)
    for size in (0, PAGE - 1, 2 * PAGE):
        assert unmap(session_node, LEGACY, name, address, size) == -EINVAL
    assert unmap(session_node, LEGACY, name, address, PAGE) == 0


def test_legacy_unmap_does_not_look_at_fd(session_node: OpenNode) -> None:
    """uapi MUNMAP: nor at vaddr."""
    address = map_on_dsp(session_node, name_of(session_node, allocate(session_node)), request=1)
    values = {"request": LEGACY, "fd": NOBODY, "vaddr": 1, "vaddrout": address, "size": PAGE}
    assert unmap_request(session_node, **values) == 0


def test_unmap_with_attributes_by_fd_alone(session_node: OpenNode, probe: int) -> None:
    """Spec 3.4: vaddr 0 finds the mapping by its fd."""
    session_node.target.require_dialect("accel", why="the address must match (spec 5.3)")
    names = [name_of(session_node, allocate(session_node)) for _ in range(2)]
    addresses = [map_on_dsp(session_node, name) for name in names]
    assert unmap(session_node, NAMED, names[1], 0) == 0
    assert peek(session_node, probe, addresses[0], 1) == b"\0"
    assert peek(session_node, probe, addresses[1], 1) == as_signed(BAD_ADDRESS)
    assert unmap(session_node, NAMED, names[1], 0) == -EINVAL


def test_one_object_can_be_mapped_several_times(session_node: OpenNode, probe: int) -> None:
    """Spec 2.11: each mapping is undone for itself."""
    name = name_of(session_node, allocate(session_node))
    addresses = [map_on_dsp(session_node, name) for _ in range(3)]
    assert len(set(addresses)) == 3
    assert unmap(session_node, NAMED, name, addresses[1]) == 0
    seen = [peek(session_node, probe, address, 1) for address in addresses]
    assert seen == [b"\0", as_signed(BAD_ADDRESS), b"\0"]


def test_unmap_works_after_the_handle_is_closed(session_node: OpenNode) -> None:
    """H23: the mapping has a reference of its own; fd is the number that was mapped."""
    handle = allocate(session_node)
    name = name_of(session_node, handle)
    address = map_on_dsp(session_node, name)
    close_handle(session_node, handle)
    assert unmap(session_node, NAMED, name, address) == 0


@pytest.mark.usefixtures("hostile")
def test_closing_the_file_ends_its_mappings(target: Target, node: OpenNode) -> None:
    """H31: the object lives on elsewhere, and nothing is left of the mapping."""
    with target.session() as other:
        handle = allocate(other)
        descriptor = os.dup(export(other, handle))
        node.left.callback(os.close, descriptor)
        map_on_dsp(other, name_of(other, handle))
    create_session(node)
    imported = import_fd(node, descriptor)
    assert map_on_dsp(node, descriptor if node.later else imported)
