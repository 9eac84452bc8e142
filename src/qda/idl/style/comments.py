"""Documentation comments, taken apart: prose, and what their tags say of parameters and results.

Tags are those of Doxygen, with `@` or `\\`: `@param[in] vec the numbers`.  A tag reaches up to the
next one or to an empty line.  Unknown tags stay in the text as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["Explained", "explained"]

_PROSE: Final = frozenset({"brief", "short", "detailed", "details", "par", "remark", "remarks"})
_RESULT: Final = frozenset({"return", "returns", "result"})
_NOTES: Final = {
    "attention": "Attention",
    "deprecated": "Deprecated",
    "note": "Note",
    "post": "Afterwards",
    "pre": "Before",
    "sa": "See also",
    "see": "See also",
    "since": "Since",
    "todo": "To do",
    "warning": "Warning",
}
_SILENT: Final = frozenset(
    {*("addtogroup", "class", "defgroup", "ingroup", "interface", "name", "weakgroup"), "{", "}"}
)
"""Tags that say where a comment belongs, which is known here."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?]) (?=[A-Z])")
_TAG: Final = re.compile(r"[@\\](?P<tag>\w+|[{}])(?:\[(?P<way>[\w, ]*)\])?[ \t]*")
_WORD: Final = re.compile(r"[@\\](?:a|b|c|e|em|p|ref) +(?P<word>[\w:]+(?:\(\))?)")
_CODE: Final = re.compile(
    r"[@\\](?P<kind>code|verbatim)(?:\{[^}\n]*\})?\n?(?P<text>.*?)[@\\]end(?P=kind)", re.DOTALL
)


@dataclass
class Explained:
    """A comment: `text` is Markdown; `values` are named results with their meaning."""

    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    result: str = ""
    values: list[tuple[str, str]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The first sentence, in one line."""
        paragraph = " ".join(self.text.partition("\n\n")[0].split())
        return _SENTENCE_END.split(paragraph, maxsplit=1)[0]


def explained(comment: str) -> Explained:
    """Take a comment apart."""
    found = Explained()
    parts: list[str] = []
    end = 0
    for match in _CODE.finditer(comment):
        _prose(comment[end : match.start()], found, parts)
        parts.append(f"```\n{match['text'].strip(chr(10)).rstrip()}\n```")
        end = match.end()
    _prose(comment[end:], found, parts)
    found.text = "\n\n".join(part for part in parts if part)
    return found


def _prose(comment: str, found: Explained, parts: list[str]) -> None:
    """Take a comment without examples apart."""
    for paragraph in re.split(r"\n[ \t]*\n", comment):
        sections: list[list[str]] = [[]]
        for line in paragraph.split("\n"):
            tag = _TAG.match(line.lstrip())
            if tag and _is_known(tag["tag"]):
                sections.append([])
            sections[-1].append(line)
        for section in sections:
            _section("\n".join(section).strip(), found, parts)


def _is_known(tag: str) -> bool:
    return (
        tag in ("param", "retval", "file", "fn")
        or tag in _PROSE
        or tag in _RESULT
        or tag in _NOTES
        or tag in _SILENT
    )


def _section(written: str, found: Explained, parts: list[str]) -> None:
    """Add what one tag says, or text without a tag."""
    match = _TAG.match(written)
    if match is None or not _is_known(match["tag"]):
        parts.append(_marked(written))
        return
    tag, text = match["tag"], written[match.end() :].strip()
    if tag in _PROSE:
        parts.append(_marked(text))
    elif tag in ("param", "retval"):
        name, *words = text.split() or [""]
        meaning = _marked(" ".join(words)).lstrip("-: ")
        if tag == "retval":
            found.values.append((name, meaning))
            return
        for one in name.rstrip(":").split(","):
            known = found.parameters.get(one)
            found.parameters[one] = f"{known} {meaning}" if known else meaning
    elif tag in _RESULT:
        found.result = f"{found.result} {_marked(' '.join(text.split()))}".strip()
    elif tag in _NOTES:
        parts.append(f"**{_NOTES[tag]}:** {_marked(text)}".rstrip())


def _marked(text: str) -> str:
    """Return text as Markdown: named words as code, nothing taken for HTML."""
    lines = [line.strip() for line in text.split("\n")]
    text = _WORD.sub(r"`\g<word>`", "\n".join(lines))
    return re.sub(r"<(?=[A-Za-z/!])", r"\\<", text)
