"""Numbers of an interface that go through to the DSP are those of the protocol.

`qda.uapi` says them to programs and `qda.fastrpc` to the code; neither imports the other.
"""

from __future__ import annotations

import errno
import re

import pytest

from qda import limits
from qda.fastrpc.control import ProcessAttribute
from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.handles import Fixed
from qda.fastrpc.mapping import MADE_BY_DSP, MapFlag, MapKind, MmapFlag
from qda.uapi import DIALECTS

_FAMILIES = (
    ("QDA_HANDLE_{}", Fixed),
    ("QDA_MAP_REQUEST_{}", MapKind),
    ("QDA_MUNMAP_REQUEST_{}", MapKind),
    ("QDA_MEM_MAP_{}", MapFlag),
    ("FASTRPC_MAP_{}", MapFlag),
    ("QDA_MMAP_{}", MmapFlag),
    ("QDA_{}_PD", ProtectionDomain),
    ("QDA_PROCESS_{}", ProcessAttribute),
    ("FASTRPC_MODE_{}", ProcessAttribute),
)
_LONGER = {"UNSIGNED": "UNSIGNED_MODULE", "SYSTEM": "SYSTEM_PROCESS"}


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_constants_of_the_interface_are_those_of_the_protocol(dialect: str) -> None:
    """Every constant of these families is a member of the same name, with its number."""
    expected = {
        pattern.format(_LONGER.get(name, name)): int(member)
        for pattern, kinds in _FAMILIES
        for name, member in kinds.__members__.items()
    }
    family = re.compile("|".join(pattern.format(r"\w+") for pattern, _ in _FAMILIES))
    found = {
        constant.spelling: constant.value
        for _, constants in DIALECTS[dialect].constants
        for constant in constants
        if family.fullmatch(constant.spelling)
    }
    assert len(found) > 10
    assert found.items() <= expected.items()


@pytest.mark.parametrize("dialect", ["rfc", "v1"])
def test_the_interface_lists_the_memory_that_the_dsp_makes(dialect: str) -> None:
    """A MAP without a buffer is refused for all other flags, and the page says which these are."""
    *first, last = (hex(flag) if flag > 9 else str(int(flag)) for flag in sorted(MADE_BY_DSP))
    words = f"{', '.join(first)} or {last}"
    map_record = DIALECTS[dialect].command("MAP").record
    assert map_record is not None
    (fd,) = (field for field in map_record.fields if field.name == "fd")
    assert words in fd.text
    assert any(words in when for _, when in DIALECTS[dialect].command("MAP").errors)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_page_says_how_patient_the_driver_is(dialect: str) -> None:
    """Where a command may end for the DSP's silence, its page names the limit."""
    words = [
        when
        for command in DIALECTS[dialect].commands
        for number, when in command.errors
        if number == errno.ETIMEDOUT and command.key != "DSPSIGNAL_WAIT"  # which says its time
    ]
    assert words
    assert all(f"for {limits.PATIENCE:g} seconds" in when for when in words)
