"""Constant expressions: values, their kinds and ranges.

Integers are unbounded while computing; `/` and `%` round down.  Kinds never mix: integer, real,
boolean, character, string and the enumerators of each enumeration are different (idl.md 4.4).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lark import Token

from qda import limits
from qda.idl.model import Constant
from qda.idl.primitives import PRIMITIVES, Kind, Primitive
from qda.idl.text.scopes import Enumerator, Names, Reporter
from qda.idl.text.syntax import Binary, Expression, Literal, Reference, Unary
from qda.idl.types import Enum, String, Type, Value

__all__ = ["evaluate", "evaluate_integer", "kind_of"]

LARGEST_FLOAT: Final = float.fromhex("0x1.fffffefp127")
"""Numbers below round to a 32-bit one."""

_SIMPLE_ESCAPES: Final = {
    **dict(zip("ntvbrfa", "\n\t\v\b\r\f\a", strict=True)),
    **{letter: letter for letter in "\\?'\""},
}
_ESCAPE: Final = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|u[0-9A-Fa-f]{4}|.)", re.DOTALL)


@dataclass(frozen=True)
class _Result:
    """A value of a kind.  `radix` is a literal's, `literal` whether it is one, perhaps negated."""

    kind: str
    value: Value
    radix: int = 10
    hexadecimal: bool = False


_INTEGER: Final[dict[str, Callable[[int, int], int]]] = {
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
    "%": operator.mod,
}
_REAL: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def kind_of(wanted: Type) -> str | None:
    """Return the kind of values that a type's constants have; None if it can have none."""
    inner = wanted.resolved
    if isinstance(inner, Enum):
        return f"enum {inner.name}"
    if isinstance(inner, String):
        return str(inner)
    if isinstance(inner, Primitive):
        return {Kind.FLOAT: "real number"}.get(inner.kind, inner.kind.value)
    return None


class _Evaluator:
    """Computes one expression."""

    def __init__(self, names: Names, report: Reporter) -> None:
        self._names = names
        self._report = report

    def run(self, expression: Expression, depth: int = 0) -> _Result:
        if depth > limits.IDL_OPERATORS:
            raise self._report.fail(expression.token, "the expression is nested too deeply")
        if isinstance(expression, Literal):
            return self._literal(expression.token)
        if isinstance(expression, Reference):
            return self._reference(expression)
        if isinstance(expression, Unary):
            return self._unary(expression, depth)
        return self._binary(expression, depth)

    def _literal(self, token: Token) -> _Result:
        if token.type in ("TRUE", "FALSE"):
            return _Result("boolean", token.type == "TRUE")
        if token.type == "REAL":
            value = float(token)
            if math.isinf(value):
                raise self._report.fail(token, f"{token} is too large for any real number type")
            return _Result("real number", value)
        if token.type == "INTEGER":
            return self._integer(token)
        wide = token.startswith("L")
        character = token.type == "CHARACTER"
        text = token[2 if wide else 1 : -1]
        if not wide and re.search(r"(?<!\\)(?:\\\\)*\\u", text):
            raise self._report.fail(token, r"\u is for wide characters and strings only")
        kind = ("wchar" if wide else "char") if character else ("wstring" if wide else "string")
        value_text = _ESCAPE.sub(_unescaped, text)
        if not wide and any(ord(letter) > 255 for letter in value_text) and character:
            raise self._report.fail(token, "a char is one byte: write a wide character, L'x'")
        return _Result(kind, value_text)

    def _integer(self, token: Token) -> _Result:
        if len(token) > limits.IDL_DIGITS:
            raise self._report.fail(token, f"an integer of {len(token)} digits is too long")
        if token[:2] in ("0x", "0X"):
            return _Result("integer", int(token, 16), 16, hexadecimal=True)
        if len(token) > 1 and token[0] == "0":
            if set(token) <= set("01234567"):
                return _Result("integer", int(token, 8), 8)
            self._report.warn(token, f"{token} is not octal; it is read as decimal")
        return _Result("integer", int(token))

    def _reference(self, expression: Reference) -> _Result:
        meaning = (entry := self._names.look_up(expression.name, self._report)).meaning
        if isinstance(meaning, Enumerator):
            return _Result(f"enum {meaning.enum.name}", meaning.value)
        if isinstance(meaning, Constant):
            return _Result(kind_of(meaning.type) or "", meaning.value)
        message = f"expected a constant, but {expression.name} is {_article(entry.what)}"
        raise self._report.fail(expression.token, message)

    def _unary(self, expression: Unary, depth: int) -> _Result:
        inner = self.run(expression.operand, depth + 1)
        value = inner.value
        if inner.kind == "integer":
            assert isinstance(value, int)
            if expression.token == "~":
                return _Result("integer", ~value)
            return _Result("integer", -value, inner.radix)
        if inner.kind == "real number" and expression.token == "-":
            assert isinstance(value, float)
            return _Result("real number", -value)
        message = f'"{expression.token}" cannot be applied to {_article(inner.kind)}'
        raise self._report.fail(expression.token, message)

    def _binary(self, expression: Binary, depth: int) -> _Result:
        # Chains lean to the left and may be long: walk down instead of recursing.
        chain = [expression]
        while isinstance(chain[-1].left, Binary):
            chain.append(chain[-1].left)
        result = self.run(chain[-1].left, depth + 1)
        for node in reversed(chain):
            right = self.run(node.right, depth + 1)
            if result.kind != right.kind:
                message = f"type mismatch: expected {_article(result.kind)}"
                raise self._report.fail(
                    node.right.token, f"{message} as on the left, but got {_article(right.kind)}"
                )
            result = self._apply(node.token, result, right)
        return result

    def _apply(self, sign: Token, left: _Result, right: _Result) -> _Result:
        a, b = left.value, right.value
        if left.kind == "integer":
            assert isinstance(a, int) and isinstance(b, int)
            if sign in "/%" and b == 0:
                raise self._report.fail(sign, "division by zero")
            if sign in ("<<", ">>") and not 0 <= b <= limits.IDL_BITS:
                raise self._report.fail(
                    sign, f"shift by {_shown(b)}: expected 0 to {limits.IDL_BITS}"
                )
            value = _INTEGER[sign](a, b)
            if abs(value) > 1 << limits.IDL_BITS:
                raise self._report.fail(sign, "the value becomes too large")
            return _Result("integer", value)
        if left.kind == "real number" and sign in _REAL:
            assert isinstance(a, float) and isinstance(b, float)
            if sign == "/" and b == 0:
                raise self._report.fail(sign, "division by zero")
            real = _REAL[sign](a, b)
            if not math.isfinite(real):
                raise self._report.fail(sign, "the value becomes too large")
            return _Result("real number", real)
        raise self._report.fail(sign, f'"{sign}" cannot be applied to {_article(left.kind)}')


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 0xFF)
    return _SIMPLE_ESCAPES[code]


def _article(kind: str) -> str:
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _shown(value: int) -> str:
    return str(value) if abs(value) < 1 << 256 else f"a number of {value.bit_length()} bits"


def evaluate(
    expression: Expression, wanted: Type, names: Names, report: Reporter
) -> tuple[Value, int]:
    """Return the value of a constant of a type, and the radix to show it in.

    Stop if kinds do not match or the value does not fit.  A hexadecimal literal may give the bits
    of a negative number.
    """
    result = _Evaluator(names, report).run(expression)
    kind = kind_of(wanted)
    if result.kind != kind:
        message = f'type mismatch: expected {_article(kind or "constant")} for "{wanted}"'
        raise report.fail(expression.token, f"{message}, but got {_article(result.kind)}")
    inner = wanted.resolved
    value = result.value
    if isinstance(inner, Primitive) and inner.kind is Kind.INTEGER:
        assert isinstance(value, int)
        bits = 8 * inner.size
        if result.hexadecimal and inner.signed and 1 << (bits - 1) <= value < 1 << bits:
            value -= 1 << bits
        low, high = (
            (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if inner.signed else (0, (1 << bits) - 1)
        )
        if inner.name in ("int8", "int8_t") and not 0 <= value <= high:
            message = f"the reference compiler takes {inner.name} for 0..255 in constants"
            report.warn(expression.token, message)
        if not low <= value <= high:
            message = f'integer {_shown(value)} does not fit "{wanted}": expected {low} to {high}'
            raise report.fail(expression.token, message)
    if isinstance(value, float) and inner == PRIMITIVES["float"] and abs(value) > LARGEST_FLOAT:
        raise report.fail(expression.token, f'{value} does not fit "{wanted}"')
    return value, result.radix


def evaluate_integer(expression: Expression, names: Names, report: Reporter) -> int:
    """Return the value of an array size or a bound.  Stop if it is no integer."""
    result = _Evaluator(names, report).run(expression)
    if result.kind != "integer":
        message = f"type mismatch: expected an integer, but got {_article(result.kind)}"
        raise report.fail(expression.token, message)
    assert isinstance(result.value, int)
    return result.value
