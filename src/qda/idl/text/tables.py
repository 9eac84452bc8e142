"""The parser's tables, for which Lark computes longer than most programs parse.

They are kept where Python keeps what it has compiled of this module, and only where it does: who
can write there can change the code itself.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import lark
from lark import Lark, Token, Transformer
from lark.lexer import Lexer

from qda.idl.text import syntax

__all__ = ["parser_of"]


def parser_of(
    grammar: str, lexer: type[Lexer], transformer: Transformer[Token, syntax.DeclarationSyntax]
) -> Lark:
    """The parser of a grammar, from tables that another process has kept if there are any."""
    file = _place(f"{lark.__version__} {lexer.__module__}.{lexer.__qualname__} {grammar}")
    if file is not None:
        with suppress(Exception), file.open("rb") as kept:  # what cannot be loaded is made again
            return Lark.load(kept)
    parser = Lark(grammar, parser="lalr", lexer=lexer, transformer=transformer)
    if file is not None and not sys.dont_write_bytecode:
        with suppress(OSError):
            _keep(parser, file)
    return parser


def _place(key: str) -> Path | None:
    """Another for each grammar and each Lark; None if this Python keeps nothing."""
    try:
        compiled = Path(cache_from_source(__file__))
    except NotImplementedError:
        return None
    return compiled.with_suffix(f".{hashlib.sha256(key.encode()).hexdigest()[:16]}")


def _keep(parser: Lark, file: Path) -> None:
    """Others find all of it or nothing."""
    part = file.with_name(f"{file.name}.{os.getpid()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("xb") as written:
            parser.save(written)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
