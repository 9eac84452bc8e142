"""The types that are made of no others: numbers, characters and booleans."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["PRIMITIVES", "Kind", "Primitive"]


class Kind(enum.Enum):
    """What the values of a primitive are; `wchar` is a 16-bit unit, `octet` an integer."""

    BOOLEAN = "boolean"
    CHAR = "char"
    FLOAT = "float"
    INTEGER = "integer"
    WCHAR = "wchar"


@dataclass(frozen=True)
class Primitive:
    """A number, character or boolean.  There is one instance per spelling, in `PRIMITIVES`.

    `name` is the IDL's spelling in its normal form ("unsigned long long"); `long`, `int32` and
    `int32_t` are different primitives with the same bytes.
    """

    name: str
    kind: Kind
    size: int
    signed: bool
    code: str
    """Format character of `struct` (standard sizes)."""

    @property
    def is_simple(self) -> bool:
        return True

    @property
    def alignment(self) -> int:
        return self.size

    @property
    def dtype(self) -> str:
        """NumPy's code, little-endian: `<i4`.  Booleans are `|u1`: sent as they are."""
        if self.kind is Kind.FLOAT:
            return f"<f{self.size}"
        letter = "i" if self.signed else "u"
        return f"|{letter}1" if self.size == 1 else f"<{letter}{self.size}"

    @property
    def resolved(self) -> Primitive:
        return self

    def __str__(self) -> str:
        return self.name


def _primitives() -> Iterator[Primitive]:
    codes = {1: "b", 2: "h", 4: "i", 8: "q"}
    spelled = {"short": 2, "long": 4, "long long": 8}
    yield Primitive("octet", Kind.INTEGER, 1, False, "B")
    yield Primitive("boolean", Kind.BOOLEAN, 1, False, "B")
    yield Primitive("char", Kind.CHAR, 1, True, "b")
    yield Primitive("wchar", Kind.WCHAR, 2, False, "H")
    yield Primitive("float", Kind.FLOAT, 4, True, "f")
    yield Primitive("double", Kind.FLOAT, 8, True, "d")
    for name, size in spelled.items():
        yield Primitive(name, Kind.INTEGER, size, True, codes[size])
        yield Primitive(f"unsigned {name}", Kind.INTEGER, size, False, codes[size].upper())
    for suffix in ("", "_t"):
        for size, code in codes.items():
            yield Primitive(f"int{8 * size}{suffix}", Kind.INTEGER, size, True, code)
            yield Primitive(f"uint{8 * size}{suffix}", Kind.INTEGER, size, False, code.upper())


PRIMITIVES: Final[dict[str, Primitive]] = {one.name: one for one in _primitives()}
"""All primitives by their spelling."""
