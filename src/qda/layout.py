"""One declaration per record: fields, direction, unit, legal range, errno on breach, one sentence.

A record is a C structure.  It is declared once, as a class, and everything else that concerns its
bytes follows from that declaration: packing and unpacking here, the C header and the reference
page in `qda.uapi`, printed traces, and the random values of the tests.

    class GemCreate(Record, spelling="drm_qda_gem_create"):
        '''Allocate a buffer object.'''
        handle: int = u32("GEM handle of the new object", direction=OUT)
        pad: int = u32("Reserved", legal=ZERO, breach=EINVAL)
        size: int = u64("Size of the object", unit="bytes", legal=at_least(1), breach=EINVAL)

    request = GemCreate(size=4096)
    request.pack()                      # 16 bytes
    GemCreate.unpack(buffer).handle

Layout rules are those of C on a 64-bit little-endian machine: natural alignment, tail padding to
the alignment of the widest field.  Padding is zero when written and ignored when read.

A dialect of an interface subclasses the record and says what differs: another order of the fields,
more of them or fewer, another aspect of one:

    class GemCreateV1(GemCreate, layout=("size", "handle", "pad")):
        pad: int = differs(legal=ANY, breach=0)

so that code works with one set of attribute names, whatever the C side calls them, and where it
puts them.  The fields are keyword arguments of the class for the type checker, too.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypedDict, Unpack, dataclass_transform

from qda.memory import align

__all__ = [
    "ANY",
    "IN",
    "INOUT",
    "OUT",
    "ZERO",
    "Direction",
    "Field",
    "Legal",
    "Record",
    "Scalar",
    "at_least",
    "between",
    "broken_rule",
    "differs",
    "octets",
    "one_of",
    "s32",
    "s64",
    "u8",
    "u16",
    "u32",
    "u64",
]


class Direction(enum.Flag):
    """Which side fills a field: IN is written by the caller, OUT by the callee."""

    IN = enum.auto()
    OUT = enum.auto()
    INOUT = IN | OUT


IN, OUT, INOUT = Direction.IN, Direction.OUT, Direction.INOUT


@dataclass(frozen=True, slots=True)
class Legal:
    """The legal values of a field: a predicate, and the same in words ("must be 0")."""

    words: str
    holds: Callable[[int], bool]
    samples: tuple[int, ...] = ()


def between(low: int, high: int, words: str = "") -> Legal:
    """Values from `low` to `high`, both included; `words` say it where the numbers say little."""
    return Legal(words or f"{low} to {high}", lambda value: low <= value <= high, (low, high))


def at_least(low: int, words: str = "") -> Legal:
    """Values not below `low`."""
    return Legal(words or f"at least {low}", lambda value: value >= low, (low,))


def one_of(*values: int, words: str = "") -> Legal:
    """Exactly the given values."""
    return Legal(words or " or ".join(map(str, values)), lambda value: value in values, values)


ANY = Legal("any value", lambda value: True)
ZERO = Legal("must be 0", lambda value: value == 0, (0,))


class Aspects(TypedDict, total=False):
    """What a declaration says of a field beside its type and its text; see `Field`."""

    direction: Direction
    unit: str
    legal: Legal
    breach: int
    points_to: str
    spelling: str


class Difference(Aspects, total=False):
    """What a dialect says anew of a field."""

    scalar: Scalar
    text: str


@dataclass(frozen=True, slots=True)
class Scalar:
    """A C integer type: `name` as in "u32", its `struct` code, and its size in bytes.

    It is called to declare a field of that type: `size: int = u64("Size", unit="bytes")`.
    """

    name: str
    code: str
    size: int

    @property
    def signed(self) -> bool:
        return self.code.islower()

    @property
    def range(self) -> tuple[int, int]:
        """The smallest and the largest value that the type holds."""
        bits = 8 * self.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)

    def __call__(self, text: str, **aspects: Unpack[Aspects]) -> Any:
        """Declare a field of this type; `text` is one sentence about it."""
        return Field(self, text, **aspects)


u8, u16 = Scalar("u8", "B", 1), Scalar("u16", "H", 2)
u32, s32 = Scalar("u32", "I", 4), Scalar("s32", "i", 4)
u64, s64 = Scalar("u64", "Q", 8), Scalar("s64", "q", 8)


def octets(count: int, text: str, scalar: Scalar = u8, **aspects: Unpack[Aspects]) -> Any:
    """Declare an array of `count` elements, handled as `bytes` in Python."""
    return Field(scalar, text, count=count, **aspects)


def differs(**aspects: Unpack[Difference]) -> Any:
    """Declare what a dialect's field has other than the field that it inherits."""
    return aspects


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a record.

    `direction` says which side fills it, `unit` what its numbers count ("bytes", "GEM handle").
    `count` is 0 for a plain integer; an array is declared with `octets` and is `bytes` in Python.
    `points_to` says, for a field that holds an address, what lies there.  `breach` is the errno
    that follows from an illegal value (0: the value is not checked by the interface itself).
    `spelling` is the name on the C side; `name` is the attribute in Python.
    """

    scalar: Scalar
    text: str
    direction: Direction = IN
    unit: str = ""
    legal: Legal = ANY
    breach: int = 0
    points_to: str = ""
    spelling: str = ""
    count: int = 0
    name: str = ""
    offset: int = 0

    @property
    def size(self) -> int:
        """Bytes that the field occupies, without padding."""
        return self.scalar.size * max(1, self.count)

    @property
    def zero(self) -> int | bytes:
        """The value of a field that is not given."""
        return bytes(self.size) if self.count else 0

    def is_legal(self, value: int | bytes) -> bool:
        """Whether a value is legal; of an array, whether each of its numbers is."""
        if isinstance(value, int):
            return self.legal.holds(value)
        numbers = struct.iter_unpack(f"<{self.scalar.code}", value)
        return all(self.legal.holds(number) for (number,) in numbers)

    @property
    def type_name(self) -> str:
        """The type in the kernel's notation, "u32" or "u8[16]"."""
        return f"{self.scalar.name}[{self.count}]" if self.count else self.scalar.name

    @property
    def code(self) -> str:
        return f"{self.size}s" if self.count else self.scalar.code


@dataclass_transform(kw_only_default=True)
class Record:
    """Base of all records; see the module's text for how to declare one.

    Class attributes: `fields` in layout order, `byte_size` and `alignment` in bytes, `codec` the
    compiled `struct.Struct` with explicit padding, `spelling` the name of the C structure.
    """

    fields: ClassVar[tuple[Field, ...]] = ()
    byte_size: ClassVar[int] = 0
    alignment: ClassVar[int] = 1
    spelling: ClassVar[str] = ""
    codec: ClassVar[struct.Struct] = struct.Struct("")
    _names: ClassVar[tuple[str, ...]] = ()
    _zeros: ClassVar[dict[str, int | bytes]] = {}
    _checked: ClassVar[tuple[Field, ...]] = ()
    _arrays: ClassVar[tuple[Field, ...]] = ()

    def __init_subclass__(
        cls, *, spelling: str = "", without: Sequence[str] = (), layout: Sequence[str] = ()
    ) -> None:
        super().__init_subclass__()
        fields = {field.name: field for field in cls.fields}
        for name, said in list(vars(cls).items()):
            if isinstance(said, Field):
                fields[name] = replace(said, name=name, spelling=said.spelling or name)
            elif name in fields:
                fields[name] = replace(fields[name], **said)
            else:
                continue
            delattr(cls, name)
        for name in without:
            del fields[name]
        if layout and sorted(layout) != sorted(fields):
            raise TypeError(f"{cls.__name__}: layout {tuple(layout)} is not of {tuple(fields)}")
        cls.spelling = spelling or cls.spelling or cls.__name__
        cls._lay_out(fields[name] for name in layout or fields)

    @classmethod
    def _lay_out(cls, fields: Iterable[Field]) -> None:
        placed, codes, offset, widest = [], ["<"], 0, 1
        for field in fields:
            start = align(offset, field.scalar.size)
            codes += [f"{start - offset}x", field.code]
            placed.append(replace(field, offset=start))
            offset = start + field.size
            widest = max(widest, field.scalar.size)
        cls.fields, cls.alignment, cls.byte_size = tuple(placed), widest, align(offset, widest)
        cls._names = tuple(field.name for field in placed)
        cls._zeros = {field.name: field.zero for field in placed}
        cls._checked = tuple(field for field in placed if field.breach)
        cls._arrays = tuple(field for field in placed if field.count)
        cls.codec = struct.Struct("".join([*codes, f"{cls.byte_size - offset}x"]))

    def __init__(self, **values: int | bytes) -> None:
        """Make a record; fields that are not named are zero.  TypeError on an unknown name."""
        unknown = values.keys() - self._zeros.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(map(repr, unknown))}")
        self.__dict__.update(self._zeros)
        self.__dict__.update(values)

    @classmethod
    def of(cls, other: Record) -> Self:
        """This form of a record that a dialect declares otherwise, with the values of `other`.

        TypeError if it has no place for one that is not zero.
        """
        known, zeros = cls._zeros, other._zeros
        given = vars(other).items()
        return cls(**{name: it for name, it in given if name in known or it != zeros[name]})

    def update(self, other: Record) -> None:
        """Take over the values of `other`, which is another form of this record."""
        for name in self._names:
            setattr(self, name, getattr(other, name, self._zeros[name]))

    @classmethod
    def unpack(cls, buffer: bytes | bytearray | memoryview, offset: int = 0) -> Self:
        """Read a record from `byte_size` bytes at `offset`.  struct.error if there are fewer."""
        record = cls.__new__(cls)
        # Not field by field: a record is unpacked in every call.
        record.__dict__.update(zip(cls._names, cls.codec.unpack_from(buffer, offset), strict=True))
        return record

    def values(self) -> list[int | bytes]:
        """The fields' values in layout order."""
        for field in self._arrays:
            value = getattr(self, field.name)
            if len(value) > field.size:
                raise struct.error(f"{len(value)} bytes for {field.spelling}: {field.type_name}")
        return [getattr(self, name) for name in self._names]

    def misfit(self) -> str:
        """What is wrong with the first number that its field cannot hold; "" if all can."""
        for field in self.fields:
            value, signed = getattr(self, field.name), field.scalar.code.islower()
            low = -(1 << 8 * field.size - 1) if signed else 0
            high = (1 << 8 * field.size - signed) - 1
            if not field.count and not low <= value <= high:
                return f"{field.name} {value}: a number from {low} to {high}"
        return ""

    def pack(self) -> bytes:
        """The record as `byte_size` bytes.  struct.error if a value does not fit its field."""
        return self.codec.pack(*self.values())

    def pack_into(self, buffer: bytearray | memoryview, offset: int = 0) -> None:
        """Write the record to `byte_size` bytes at `offset`."""
        self.codec.pack_into(buffer, offset, *self.values())

    def breach(self) -> int:
        """The errno of the first field with an illegal value, or 0."""
        for field in self._checked:
            if not field.is_legal(getattr(self, field.name)):
                return field.breach
        return 0

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values() == other.values()

    __hash__ = None  # type: ignore[assignment]  # records are mutable

    def __repr__(self) -> str:
        shown = (f"{f.spelling}={show(f, getattr(self, f.name))}" for f in self.fields)
        return f"{self.spelling}({', '.join(shown)})"


def show(field: Field, value: int | bytes) -> str:
    if isinstance(value, bytes):
        text = value.rstrip(b"\0")
        return repr(text.decode()) if text.isascii() else "0x" + value.hex()
    return hex(value) if field.points_to or field.unit in ("address", "bits") else str(value)


def broken_rule(record: Record) -> str:
    """The first rule that a record's fields break, in words: "size is 0: at least 1"; "" for none.

    A field whose breach has an errno comes before one whose breach the driver finds later.
    """
    for field in sorted(record.fields, key=lambda field: not field.breach):
        value = getattr(record, field.name)
        if isinstance(value, int) and not field.is_legal(value):
            return f"{field.spelling} is {show(field, value)}: {field.legal.words}"
    return ""
