"""What the DRM core does before a command runs; the driver's name; the end of a node."""

from __future__ import annotations

import mmap
from errno import EBADF, EFAULT, EINVAL

import pytest

from qda.conformance.interface import (
    NAMED,
    PAGE,
    UNKNOWN_MODULE,
    OpenNode,
    Target,
    allocate,
    call,
    command,
    issue,
    name_of,
)
from qda.conformance.memory import KERNEL_ADDRESSES, NOWHERE, Memory
from qda.errors import BAD_HANDLE, as_signed
from qda.fastrpc.domains import DOMAINS
from qda.uapi import Access, drm
from qda.uapi.accel import Invoke, MemMap, Query, QueryTyped

pytestmark = pytest.mark.dialects("accel", why="its commands are found by their whole code")


def code_of(number: int, size: int, access: Access = Access.BOTH) -> int:
    """An ioctl code that announces any size and direction."""
    return access << 30 | size << 16 | ord("d") << 8 | number


def create_request(node: OpenNode, size: int = PAGE) -> bytes:
    """A GEM_CREATE record."""
    record = command(node, "GEM_CREATE").record
    assert record is not None
    return record(size=size).pack()


def question(node: OpenNode) -> bytes:
    """A QUERY record."""
    record = command(node, "QUERY").record
    assert record is not None
    return record(**({"query_type": 1} if issubclass(record, QueryTyped) else {})).pack()


def dsp_name(data: bytes | bytearray) -> str:
    """The name in an answer to QUERY."""
    return Query.unpack(data).dsp_name.rstrip(b"\0").decode()


# Dispatch.


def test_size_in_the_code_does_not_choose_the_command(node: OpenNode) -> None:
    """Spec 4.1, 4.2: QUERY and INVOKE work with the C library's codes of 20 and 24 bytes."""
    data = bytearray(20)
    assert issue(node, 0x80146440, data) == 0
    assert dsp_name(data) in DOMAINS


def test_invoke_with_the_code_of_the_c_library(session_node: OpenNode) -> None:
    """Spec 4.3: the code says 24 bytes, the record has 16, and the rest comes back unchanged."""
    data = bytearray(Invoke(handle=UNKNOWN_MODULE).pack() + b"\xa5" * 8)
    assert issue(session_node, 0xC0186447, data) == as_signed(BAD_HANDLE)
    assert data[16:] == b"\xa5" * 8


@pytest.mark.parametrize("access", list(Access), ids=lambda access: access.name)
def test_direction_in_the_code_does_not_choose_the_command(node: OpenNode, access: Access) -> None:
    """Spec 4.1: the command is found by its number alone, whatever direction the code says."""
    data = bytearray(question(node))
    asked = access is not Access.NONE or not any(data)  # where a question is not read, it is 0
    assert issue(node, code_of(0x40, len(data), access), data) == (0 if asked else -EINVAL)
    assert any(name.encode() in data for name in DOMAINS) == bool(access & Access.READ)


@pytest.mark.parametrize("size", [0, 16, 64])
@pytest.mark.parametrize("number", [*range(0x48, 0x60), 0xFF])
def test_number_beyond_the_table_is_einval(node: OpenNode, number: int, size: int) -> None:
    """Spec 4.1: a number that no command has is EINVAL, and nothing is written."""
    data = bytearray(b"\xa5" * size)
    assert issue(node, code_of(number, size), data) == -EINVAL
    assert data == b"\xa5" * size


def test_hole_in_the_table_is_einval(node: OpenNode) -> None:
    """Spec 4.2, versions.md 3: V1 has no command 0x43, nor has the kernel of handles."""
    node.target.require_dialect("v1", "handle", why="it has all numbers from 0x40 to 0x47")
    assert issue(node, 0x6443, bytearray()) == -EINVAL
    assert issue(node, code_of(0x43, 16), bytearray(16)) == -EINVAL


# The record.


def test_short_record_is_extended_with_zeros(node: OpenNode) -> None:
    """Spec 4.1: what the code does not announce counts as 0 and is not looked at."""
    data = bytearray(create_request(node))
    if node.dialect.name != "rfc":  # size u64, handle u32, pad u32
        data[8:] = b"\xa5" * 8
        assert issue(node, code_of(0x41, 8), data) == 0
    else:  # handle u32, pad u32, size u64
        assert issue(node, code_of(0x41, 8), data) == -EINVAL


def test_short_record_is_not_written_beyond_its_size(session_node: OpenNode) -> None:
    """Spec 4.1: MAP that announces 24 bytes has no size and gets no vaddrout."""
    name = name_of(session_node, allocate(session_node))
    request = MemMap(request=NAMED, flags=2, fd=name).pack()[:24] + b"\xa5" * 24
    data = bytearray(request)
    assert issue(session_node, code_of(0x45, 24), data) == 0
    assert data == request


@pytest.mark.parametrize("extra", [1, 8, 500, 0x3FFF - 16])
def test_long_record_comes_back_whole(node: OpenNode, extra: int) -> None:
    """Spec 4.1: bytes that the driver does not know come back unchanged."""
    tail = bytes(index % 251 for index in range(extra))
    data = bytearray(create_request(node) + tail)
    assert issue(node, code_of(0x41, 16 + extra), data) == 0
    record = command(node, "GEM_CREATE").record
    assert record is not None
    assert record(size=PAGE, handle=1).pack() == data[:16]
    assert data[16:] == tail


def test_read_only_command_starts_from_zeros(node: OpenNode) -> None:
    """Spec 4.1: QUERY does not see what was in the caller's structure."""
    data = bytearray(b"\xff" * Query.byte_size)
    assert issue(node, code_of(0x40, len(data), Access.READ), data) == 0
    assert data == dsp_name(data).encode().ljust(16, b"\0")


def test_read_only_command_with_a_long_record_ends_in_zeros(node: OpenNode) -> None:
    """Spec 4.1: bytes that the driver does not know come back as 0 from a read-only command."""
    data = bytearray(b"\xff" * 64)
    assert issue(node, code_of(0x40, 64, Access.READ), data) == 0
    assert data[16:] == bytes(48)


def test_record_without_the_write_bit_starts_from_zeros(node: OpenNode) -> None:
    """Spec 4.1: the caller's bytes are read only if the code has the write bit."""
    data = bytearray(create_request(node))
    assert issue(node, code_of(0x41, 16, Access.READ), data) == -EINVAL


def test_record_without_the_read_bit_is_not_written(node: OpenNode) -> None:
    """Spec 4.1: the record is written back only if the code has the read bit."""
    request = create_request(node)
    data = bytearray(request)
    assert issue(node, code_of(0x41, 16, Access.WRITE), data) == 0
    assert data == request


def test_record_is_written_back_also_on_failure(node: OpenNode) -> None:
    """Spec 4.1: a refused GEM_CREATE that began from zeros hands the zeros out."""
    data = bytearray(b"\xa5" * 16)
    assert issue(node, code_of(0x41, 16, Access.READ), data) == -EINVAL
    assert data == bytes(16)


def test_refused_record_comes_back_unchanged(node: OpenNode) -> None:
    """Spec 4.1: of a record that is refused, nothing changes."""
    data = bytearray(create_request(node, 0))
    assert issue(node, command(node, "GEM_CREATE").code, data) == -EINVAL
    assert data == create_request(node, 0)


def test_write_only_command_writes_nothing_back(node: OpenNode) -> None:
    """Spec 4.1: GEM_CLOSE is write only, whatever the code says."""
    request = drm.GemClose(handle=allocate(node), pad=0xA5A5A5A5).pack()
    data = bytearray(request)
    assert issue(node, code_of(0x09, 8), data) == 0
    assert data == request


@pytest.mark.parametrize("given", [0, 1, 15])
def test_record_that_is_not_all_there_is_efault(node: OpenNode, given: int) -> None:
    """Spec 4.1: a structure that ends before the announced size is bad memory."""
    node.target.require_virtual("a kernel sees what lies behind the bytes of the test")
    assert issue(node, command(node, "GEM_CREATE").code, bytearray(given)) == -EFAULT


# VERSION and QUERY.


def test_version_names_the_driver(node: OpenNode) -> None:
    """uapi VERSION: called for the lengths first, then for the texts."""
    result, lengths = call(node, "VERSION")
    assert result == 0
    texts = [Memory(lengths.name_len), Memory(lengths.date_len), Memory(lengths.desc_len)]
    result, version = call(
        node,
        "VERSION",
        name_len=lengths.name_len,
        name=texts[0].address,
        date_len=lengths.date_len,
        date=texts[1].address,
        desc_len=lengths.desc_len,
        desc=texts[2].address,
    )
    assert result == 0
    assert texts[0].content == b"qda"
    assert b"\0" not in texts[1].content + texts[2].content
    assert version == lengths.__class__(
        **{
            **{field.name: getattr(lengths, field.name) for field in lengths.fields},
            "name": texts[0].address,
            "date": texts[1].address,
            "desc": texts[2].address,
        }
    )


def test_version_fills_what_room_there_is(node: OpenNode) -> None:
    """uapi VERSION: name_len says the full length afterwards, and no byte more than asked for is
    written."""
    name = Memory(b"\xa5" * 8)
    result, version = call(node, "VERSION", name_len=2, name=name.address)
    assert (result, version.name_len) == (0, 3)
    assert name.content == b"qd" + b"\xa5" * 6


def test_version_does_not_look_at_an_address_without_room(node: OpenNode) -> None:
    """uapi VERSION: with a length of 0 only the length is asked for."""
    assert call(node, "VERSION", name=NOWHERE)[0] == 0
    assert call(node, "VERSION", name_len=8)[0] == 0


@pytest.mark.parametrize("field", ["name", "date", "desc"])
@pytest.mark.parametrize("address", [NOWHERE, *KERNEL_ADDRESSES], ids=hex)
def test_version_to_a_bad_address_is_efault(node: OpenNode, field: str, address: int) -> None:
    """uapi VERSION, H02: a text goes to memory of the caller only."""
    assert call(node, "VERSION", **{field: address, f"{field}_len": 64})[0] == -EFAULT


def test_query_names_the_dsp(node: OpenNode) -> None:
    """Spec 4.5: the name is that of a domain, and QUERY needs no session."""
    result, record = call(node, "QUERY")
    assert result == 0
    assert record.dsp_name.rstrip(b"\0").decode() in DOMAINS


# The end of a node.


def test_close_twice_is_closed_once(target: Target) -> None:
    """uapi, R11: close is idempotent."""
    node = target.open()
    node.close()
    node.close()


def test_ioctl_after_close_is_ebadf(target: Target) -> None:
    """A closed node is a closed descriptor."""
    node = target.open()
    node.close()
    assert call(node, "QUERY")[0] == -EBADF


def test_mmap_after_close_is_ebadf(target: Target) -> None:
    """A closed node is a closed descriptor, not anonymous memory."""
    node = target.open()
    record = call(node, "GEM_MMAP_OFFSET", handle=allocate(node))[1]
    node.close()
    with pytest.raises(OSError) as refused:
        node.node.mmap(PAGE, record.offset, mmap.mmap)
    assert refused.value.errno == EBADF


def test_close_leaves_other_files_alone(node: OpenNode, target: Target) -> None:
    """Spec 4.1: what a file holds is its own."""
    handle = allocate(node)
    with target.open() as other:
        assert allocate(other) == handle
    assert call(node, "GEM_MMAP_OFFSET", handle=handle)[0] == 0
