"""Constants as C spells them."""

from __future__ import annotations

from typing import Final

from qda.idl.model import Constant
from qda.idl.primitives import Kind, Primitive
from qda.idl.types import Type

__all__ = ["c_text"]

_ESCAPES: Final = {
    "\n": r"\n",
    "\t": r"\t",
    "\v": r"\v",
    "\b": r"\b",
    "\r": r"\r",
    "\f": r"\f",
    "\a": r"\a",
    "\\": r"\\",
    '"': r"\"",
    "'": r"\'",
}


def c_text(constant: Constant) -> str:
    """Return the value as C spells it (idl.md 5.1)."""
    value, inner = constant.value, constant.type.resolved
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value, inner)
    sign, size = "-" if value < 0 else "", abs(value)
    digits = {8: f"0{size:o}" if size else "0", 16: f"0x{size:x}"}.get(constant.radix, str(size))
    return f"{sign}{digits}{_suffix(constant)}"


def _suffix(constant: Constant) -> str:
    named, inner = constant.type is not constant.type.resolved, constant.type.resolved
    if constant.radix != 10 or not isinstance(inner, Primitive):
        return ""
    suffix = "u" if named and not inner.signed else ""
    return f"{suffix}ll" if inner.name == "long long" else suffix


def _quoted(value: str, inner: Type) -> str:
    character = isinstance(inner, Primitive)
    wide = inner.kind is Kind.WCHAR if isinstance(inner, Primitive) else str(inner) == "wstring"
    quote = "'" if character else '"'
    letters = []
    for letter in value:
        if letter in _ESCAPES and letter != ('"' if character else "'"):
            letters.append(_ESCAPES[letter])
        elif " " <= letter <= "~":
            letters.append(letter)
        elif ord(letter) < 0x100:
            letters.append(f"\\{ord(letter):03o}")
        else:
            letters.append(f"\\u{ord(letter):04x}")
    return f"{'L' if wide else ''}{quote}{''.join(letters)}{quote}"
