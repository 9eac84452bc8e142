"""Module URIs: `file:///libcalculator_skel.so?calculator_skel_handle_invoke&_modver=1.0&_dom=cdsp`.

A name that is not a URI, `X`, stands for file `libX_skel.so` and symbol `X_skel_invoke`.
Source: spec/fastrpc.md 1.7.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ModuleUri", "skeleton_uri"]


@dataclass(frozen=True, slots=True)
class ModuleUri:
    """What a URI asks for: a symbol of a file.

    `handle64` tells the two kinds of skeleton apart: one with open and close methods, whose
    version "1.0" the URI's `_modver` is a prefix of, and a plain one.
    """

    file: str
    symbol: str
    handle64: bool
    domain: str = ""
    session: int = 0

    @classmethod
    def parse(cls, text: str) -> ModuleUri:
        """Read a URI or a plain module name.  ValueError says what is missing."""
        if not text.startswith("file://"):
            if not text or "/" in text or "?" in text:
                raise ValueError(f"{text!r} is neither a module name nor a file:/// URI")
            return cls(f"lib{text}_skel.so", f"{text}_skel_invoke", False)
        path, question, query = text.removeprefix("file://").partition("?")
        file = path.removeprefix("/")
        symbol, *options = query.split("&")
        if not file:
            raise ValueError(f"{text!r} names no file")
        if not question or not symbol:
            raise ValueError(f"{text!r} names no symbol after '?'")
        keys = dict(option.partition("=")[::2] for option in options)
        session = keys.get("_session", "0")
        return cls(
            file,
            symbol,
            handle64=bool(keys.get("_modver")) and "1.0".startswith(keys["_modver"]),
            domain=keys.get("_dom", ""),
            session=int(session) if session.isdecimal() else 0,
        )

    @property
    def name(self) -> str:
        """The interface's name: `calculator` of symbol `calculator_skel_handle_invoke`.

        The file may be called otherwise, as the IDL file is; it counts if the symbol is of no
        such form.
        """
        for style in ("_skel_handle_invoke", "_skel_invoke"):
            if self.symbol.endswith(style) and self.symbol != style:
                return self.symbol.removesuffix(style)
        stem = self.file.rpartition("/")[2].partition(".so")[0]
        return stem.removeprefix("lib").removesuffix("_skel")


def skeleton_uri(name: str, *, domain: str = "") -> str:
    """The URI by which the skeleton of interface `name`, which has handles, is opened, as the C
    stubs write it."""
    uri = f"file:///lib{name}_skel.so?{name}_skel_handle_invoke&_modver=1.0"
    return uri + (f"&_dom={domain}" if domain else "")
