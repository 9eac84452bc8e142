"""Dialects are written as what differs, and nothing else need be known of those to come."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest

from qda import uapi
from qda.layout import INOUT, Record, u32
from qda.uapi import Access, Command, accel, drm
from qda.uapi.header import header
from qda.uapi.interface import altered, instead
from qda.uapi.reference import reference

# The posting of August 2026: the codes are those that its C library sends.


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("QUERY", 0xC0186440),
        ("GEM_CREATE", 0xC0106441),
        ("INIT_ATTACH", 0x00006443),
        ("CREATE", 0xC0186444),
        ("MAP", 0xC0306445),
        ("MUNMAP", 0xC0286446),
        ("INVOKE", 0xC0106447),
    ],
)
def test_a_dialect_is_written_as_what_differs(key: str, code: int) -> None:
    """R4, R5: records grow and lose fields, a command that was gone comes back, the rest stays."""
    assert uapi.HANDLE.command(key).code == code
    assert uapi.HANDLE.find(code) is uapi.HANDLE.command(key)


@pytest.mark.parametrize(
    ("code", "size"),
    [(0x80106440, 16), (0x80146440, 16), (0xC0186440, 24), (0xC0286440, 24), (0x40, 24)],
    ids=hex,
)
def test_a_question_that_is_only_answered_has_its_older_form(code: int, size: int) -> None:
    """versions.md 4: by the direction of its code, in four sizes that programs were seen to use."""
    found = uapi.HANDLE.find(code)
    assert found is not None
    assert (found.key, found.size) == ("QUERY", size)
    for older in (uapi.RFC, uapi.V1):
        assert older.find(code) is accel.QUERY


def test_a_switch_has_a_name_and_its_settings() -> None:
    """R20: what differs in meaning alone is set one by one, and nothing else is a setting."""
    plain = uapi.HANDLE.semantics
    assert plain.changed({}) is plain
    assert plain.changed({"attaches": True, "without_bank": errno.EBUSY}) == replace(
        plain, attaches=True, without_bank=errno.EBUSY
    )
    for wrong in ({"attach": True}, {"attaches": 1}, {"removed": errno.EIO}, {"removed": True}):
        with pytest.raises(ValueError, match="switch"):
            plain.changed(wrong)


def test_a_dialect_leaves_the_others_as_they_are() -> None:
    """Each is a value of its own."""
    assert uapi.V1.command("MUNMAP").code == 0xC0206446
    assert not uapi.V1.has("INIT_ATTACH")
    assert [c.key for c in uapi.RFC.commands if not uapi.V1.has(c.key)] == ["INIT_ATTACH"]


def test_what_is_printed_follows_the_dialect() -> None:
    """R4: header and page come from the same declarations."""
    text = header(uapi.HANDLE)
    assert "struct drm_qda_mem_map {\n\t__u32 request;\n\t__u32 flags;\n\t__u32 handle;" in text
    assert "#define QDA_DIALECT_HANDLE 1" in text
    assert "| `dsp_handle` | s32 | 20 |" in reference(uapi.HANDLE)


def test_one_request_is_put_into_each_dialects_form() -> None:
    """R5: code that knows one set of names speaks all dialects."""
    request = accel.MemMap(request=2, fd=5, size=4096)
    forms = {name: spoken.command("MAP").record for name, spoken in uapi.ACCEL_DIALECTS.items()}
    for form in forms.values():
        assert form is not None
        assert form.of(request).pack()[:12] == bytes([2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0])


class SetOption(Record, spelling="fastrpc_ioctl_set_option"):
    """Choose how to wait."""

    request_id: int = u32("What to set", direction=INOUT)


def test_an_interface_gets_a_command_that_it_did_not_have() -> None:
    """Commands stay in number order, whatever the order in which a dialect names them."""
    option = Command("SET_OPTION", "SET", 0x0C, Access.BOTH, SetOption, "Sets.", type="R")
    newer = replace(uapi.LEGACY, name="newer", commands=altered(uapi.LEGACY.commands, option))
    assert [c.number for c in newer.commands][-3:] == [0x0B, 0x0C, 0x0D]
    assert newer.find(option.code) is option
    assert uapi.LEGACY.find(option.code) is None


def test_a_change_of_what_is_not_refused_is_a_mistake() -> None:
    """R25: it would be lost silently."""
    with pytest.raises(ValueError, match="not refused"):
        instead(accel.QUERY.refused, {(1, "never"): []})


def test_commands_of_the_core_are_found_on_the_same_node_only() -> None:
    """The DRM core's commands are the accelerator's node's, the heap's are another node's."""
    assert uapi.RFC.find(drm.VERSION.code) is drm.VERSION
    assert uapi.RFC.find(drm.VERSION.number) is drm.VERSION
    assert uapi.LEGACY.find(uapi.dma_heap.ALLOC.code) is None
    assert uapi.LEGACY.by_key["ALLOC"] is uapi.dma_heap.ALLOC
