"""The declared device interfaces against facts taken from the original headers by a C compiler."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import uapi
from qda.layout import Field, Record
from qda.uapi import dma_heap, drm
from qda.uapi.interface import Command, Interface
from qda.uapi.ioctl import Access, ioctl_code, ioctl_copies, ioctl_number, ioctl_size
from tests.uapi.facts import dialects, facts


def all_fields() -> list[tuple[type[Record], Field]]:
    records = [record for interface in uapi.DIALECTS.values() for record in interface.records]
    records += [*drm.CORE.records, *dma_heap.HEAP.records]
    return [(record, field) for record in dict.fromkeys(records) for field in record.fields]


@dialects
def test_every_command_has_the_number_of_the_original(dialect: str) -> None:
    """R4: name, code, direction, type, number and size of each ioctl, and no other ioctls."""
    declared = {
        command.spelling: {
            "value": command.code,
            "hex": f"0x{command.code:08x}",
            "dir": int(command.access),
            "type": ord(command.type),
            "nr": command.number,
            "size": command.size,
        }
        for command in uapi.DIALECTS[dialect].commands
    }
    assert declared == facts(dialect)["ioctls"]


@dialects
def test_every_record_has_the_layout_of_the_original(dialect: str) -> None:
    """R4: size, alignment, and offset, size and type of each field; no other structures."""
    declared = {
        record.spelling: {
            "size": record.byte_size,
            "align": record.alignment,
            "fields": {f.spelling: [f.offset, f.size, f.type_name] for f in record.fields},
        }
        for record in uapi.DIALECTS[dialect].records
    }
    assert declared == facts(dialect)["uapi"]


@dialects
def test_constants_have_the_values_of_the_original(dialect: str) -> None:
    """R7: our names carry the prefix of their layer, and where the original has one, its value.

    The older driver's interface is the original's own, so there its names are, too.
    """

    def plain(name: str) -> str:
        return name.removeprefix("QDA_").removeprefix("FASTRPC_")

    theirs = {plain(name): value for name, value in facts(dialect)["constants"].items()}
    ours = [c for _, group in uapi.DIALECTS[dialect].constants for c in group]
    common = [c for c in (*ours, *drm.CONSTANTS) if plain(c.spelling) in theirs]
    prefixes = ("QDA_", "FASTRPC_") if dialect.startswith("legacy") else ("QDA_",)
    assert all(c.spelling.startswith(prefixes) for c in ours)
    assert {c.spelling: c.value for c in common} == {
        c.spelling: theirs[plain(c.spelling)] for c in common
    }
    requested = {name for name in facts(dialect)["constants"] if name.startswith(prefixes)}
    requested -= {"FASTRPC_ATTR_SECUREMAP", "FASTRPC_MAP_MAX"}  # of an attr that nobody looks at
    assert requested <= {c.spelling for c in common}


def test_attributes_are_named_alike_in_both_dialects() -> None:
    """One program text serves both dialects: same keys, same attribute names, other spellings."""
    pairs = [(command.record, uapi.RFC.command(command.key).record) for command in uapi.V1.commands]
    pairs += zip(uapi.V1.elements, uapi.RFC.elements, strict=True)
    for later, former in pairs:
        assert later is not None
        assert former is not None
        assert issubclass(later, former)
        assert {f.name for f in later.fields} == {f.name for f in former.fields}
    assert {c.key for c in uapi.RFC.commands} - {c.key for c in uapi.V1.commands} == {"INIT_ATTACH"}
    assert [(f.name, f.spelling) for f in uapi.accel.InvokeV1.fields] == [
        ("handle", "handle"),
        ("scalars", "sc"),
        ("arguments", "args"),
    ]


@dialects
def test_commands_are_found_by_number_and_key(dialect: str) -> None:
    """R25: the table is in number order; a hole in it (V1: 0x43) is not found."""
    interface = uapi.DIALECTS[dialect]
    numbers = [command.number for command in interface.commands]
    assert numbers == sorted(numbers)
    for command in interface.commands:
        assert interface.find(command.code) is command
        assert interface.command(command.key) is command
        assert ioctl_number(command.code) == command.number
        assert ioctl_size(command.code) == command.size
    if not dialect.startswith("legacy"):
        hole = interface.find(ioctl_code(Access.NONE, 0, "d", 0x43))
        assert interface.has("INIT_ATTACH") == (hole is not None)
    with pytest.raises(KeyError, match="NO_SUCH"):
        interface.command("NO_SUCH")


@given(access=st.sampled_from(Access), size=st.integers(0, 0x3FFF), number=st.integers(0, 0xFF))
def test_a_code_says_direction_size_and_number(access: Access, size: int, number: int) -> None:
    """R4: what is put into a code is read from it, and the rest of it is the type."""
    code = ioctl_code(access, size, "d", number)
    assert (ioctl_size(code), ioctl_number(code)) == (size, number)
    read, written = (size if way in access else 0 for way in (Access.WRITE, Access.READ))
    assert ioctl_copies(code) == (read, written)
    assert ioctl_copies(code, Access.READ.value) == (0, written)
    assert code >> 8 & 0xFF == ord("d")


def test_commands_out_of_order_are_refused() -> None:
    """R25: an interface cannot be declared with a table that is not sorted."""
    with pytest.raises(ValueError, match="number order"):
        Interface("wrong", "Wrong", tuple(reversed(uapi.RFC.commands)))


# `uapi.json` does not cover the DRM core and the heap; these are the codes that C programs send.
@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("VERSION", 0xC0406400),
        ("GEM_CLOSE", 0x40086409),
        ("PRIME_HANDLE_TO_FD", 0xC00C642D),
        ("PRIME_FD_TO_HANDLE", 0xC00C642E),
        ("ALLOC", 0xC0184800),
    ],
)
def test_companions_commands_have_their_codes(key: str, code: int) -> None:
    """R4: a program needs the DRM core's commands as well, or the heap's."""
    known = (*drm.CORE.commands, *dma_heap.HEAP.commands)
    assert {command.key: command.code for command in known}[key] == code


OF_ALL = {"both": list(uapi.ACCEL_DIALECTS), "signed": ["rfc", "v1"]}
"""The dialects of a rule that is for several; "signed" have fd fields that may be below 0."""

RULES = [
    ("both", "GEM_CREATE", "pad", 1, errno.EINVAL),
    ("both", "GEM_CREATE", "size", 0, errno.EINVAL),
    ("both", "GEM_CREATE", "size", 2**64 - 4096, 0),
    ("both", "GEM_CREATE", "size", 2**64 - 4095, errno.EINVAL),
    ("both", "GEM_CREATE", "size", 2**64 - 1, errno.EINVAL),
    ("rfc", "GEM_MMAP_OFFSET", "pad", 1, 0),
    ("v1", "GEM_MMAP_OFFSET", "pad", 1, errno.EINVAL),
    ("handle", "GEM_MMAP_OFFSET", "pad", 1, errno.EINVAL),
    ("handle", "QUERY", "query_type", 0, errno.EINVAL),
    ("handle", "QUERY", "query_type", 2, errno.EINVAL),
    ("handle", "QUERY", "pad", 1, errno.EINVAL),
    ("handle", "CREATE", "filefd", 0xFFFFFFFF, 0),
    ("handle", "MAP", "fd", 0xFFFFFFFF, 0),
    ("handle", "MAP", "dsp_handle", -5, 0),
    ("handle", "MUNMAP", "pad", 1, errno.EINVAL),
    ("both", "CREATE", "filelen", 4 << 20, 0),
    ("both", "CREATE", "filelen", (4 << 20) + 1, errno.EINVAL),
    ("signed", "CREATE", "filefd", -1, 0),
    ("signed", "CREATE", "filefd", -2, errno.EINVAL),
    ("signed", "MAP", "fd", -1, 0),
    ("signed", "MAP", "fd", -2, errno.EINVAL),
    ("both", "MAP", "request", 0, errno.EINVAL),
    ("both", "MAP", "request", 3, errno.EINVAL),
    ("signed", "MAP", "reserved", 1, errno.EINVAL),
    ("both", "MUNMAP", "request", 0, errno.EINVAL),
    ("both", "INVOKE", "handle", 1, errno.EPERM),
    ("both", "INVOKE", "handle", 2, 0),
    ("legacy", "ALLOC_DMA_BUFF", "size", 0, errno.EINVAL),
    ("legacy", "ALLOC_DMA_BUFF", "flags", 1, 0),
    ("legacy", "INVOKE", "handle", 1, errno.EPERM),
    ("legacy", "CREATE", "filelen", 2 << 20, 0),
    ("legacy", "CREATE", "filelen", (2 << 20) + 1, errno.EINVAL),
    ("legacy", "CREATE", "filefd", -2, 0),
    ("legacy", "MAP_NEW", "fd", -5, 0),
    ("legacy", "MAP_NEW", "flags", 8, 0),
    ("legacy", "MAP_NEW", "flags", 4, errno.EINVAL),
    ("legacy", "MAP_NEW", "vaddrin", 1, errno.EINVAL),
    ("legacy", "INIT_CREATE_STATIC", "namelen", 128, 0),
    ("legacy", "INIT_CREATE_STATIC", "namelen", 129, errno.EINVAL),
    ("legacy", "MEM_MAP", "offset", -1, errno.EINVAL),
    ("legacy", "MEM_MAP", "version", 1, 0),
    ("legacy", "GET_DSP_INFO", "attribute_id", 256, errno.EOVERFLOW),
    ("legacy-7.3", "SET_OPTION", "request_id", 0, errno.EINVAL),
    ("legacy-7.3", "SET_OPTION", "request_id", 2, errno.EINVAL),
    ("legacy-7.3", "SET_OPTION", "value", 2, errno.EINVAL),
]


def legal_record(record: type[Record]) -> Record:
    """A record in which each checked field has its first legal sample."""
    return record(**{f.name: f.legal.samples[0] for f in record.fields if f.breach})


@pytest.mark.parametrize(
    ("dialect", "key", "field", "value", "number"),
    [(dialect, *rule[1:]) for rule in RULES for dialect in OF_ALL.get(rule[0], [rule[0]])],
)
def test_a_record_is_judged_by_its_values(
    dialect: str, key: str, field: str, value: int, number: int
) -> None:
    """R4, H04, H07, H23, H25: what can be decided from one field is part of the declaration."""
    declared = uapi.DIALECTS[dialect].command(key).record
    assert declared is not None
    record = legal_record(declared)
    assert record.breach() == 0
    setattr(record, field, value)
    assert record.breach() == number


def test_declared_samples_are_legal_and_fit() -> None:
    """R4: the values that documentation and random tests take from a declaration are right."""
    for record, field in all_fields():
        low, high = field.scalar.range
        for sample in field.legal.samples:
            assert field.legal.holds(sample), (record, field)
            assert low <= sample <= high or not field.breach, (record, field)


def test_every_field_says_what_it_is() -> None:
    """R4: one sentence each, and every address says what lies there."""
    for record, field in all_fields():
        assert len(field.text) > 8, (record, field)
        assert not field.text.endswith("."), (record, field)
        addressed = field.unit in ("address", "address or offset")
        assert bool(field.points_to) == addressed, (record, field)
        assert not field.breach or field.breach in errno.errorcode


def commands() -> list[tuple[Command[Record], int]]:
    """All commands, each with the errno that says that the DSP is gone (spec 2.9), if it has."""
    accel = [*uapi.RFC.commands, *uapi.V1.commands, *uapi.HANDLE.commands, *drm.CORE.commands]
    older = [command for command in uapi.LEGACY_73.commands if command.key != "FREE_DMA_BUFF"]
    return [
        *((command, errno.ENODEV) for command in accel),
        *((command, errno.EPIPE) for command in older),
        (uapi.LEGACY.command("FREE_DMA_BUFF"), errno.ENOTTY),
        (dma_heap.ALLOC, errno.ENOMEM),
    ]


@pytest.mark.parametrize(
    ("command", "gone"), commands(), ids=lambda it: getattr(it, "spelling", "")
)
def test_errors_are_named_and_in_number_order(command: Command[Record], gone: int) -> None:
    """R4, R25: each command has a table of errors, each with its condition, none twice."""
    numbers = [number for number, _ in command.errors]
    assert numbers == sorted(numbers)
    assert gone in numbers
    assert (errno.EFAULT in numbers) == (command.record is not None)
    assert len(set(command.errors)) == len(command.errors)
    assert all(number in errno.errorcode and condition for number, condition in command.errors)


@dialects
def test_the_errors_of_hazards_are_documented(dialect: str) -> None:
    """R3, R8, H04 to H13, H22: a caller can read which errno each refusal has."""
    interface = uapi.DIALECTS[dialect]
    older = dialect.startswith("legacy")
    unknown = {"rfc": errno.ENOENT, "handle": errno.ENOENT, "v1": errno.EBADF}.get(
        dialect, errno.EINVAL
    )
    gone = errno.EPIPE if older else errno.ENODEV
    numbers = {c.key: {number for number, _ in c.errors} for c in interface.commands}
    expected = {errno.EFAULT, errno.EINTR, errno.EINVAL, errno.ENOMEM, gone, errno.ENOSPC}
    assert expected | {unknown} <= numbers["INVOKE"]
    assert unknown in numbers["MEM_MAP" if older else "MAP"]
    assert errno.EBUSY in numbers["CREATE"]


@dialects
@given(data=st.data())
def test_records_survive_the_wire(dialect: str, data: st.DataObject) -> None:
    """R4: arbitrary bytes of the right size are a record, and packing gives them back, padding as
    zeros."""
    record = data.draw(st.sampled_from(uapi.DIALECTS[dialect].records))
    content = data.draw(st.binary(min_size=record.byte_size, max_size=record.byte_size))
    expected = bytearray(len(content))
    for field in record.fields:
        place = slice(field.offset, field.offset + field.size)
        expected[place] = content[place]
    assert record.unpack(content).pack() == expected
