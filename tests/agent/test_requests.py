"""What a request names beside its record."""

from __future__ import annotations

import pytest

from qda.agent.requests import Span, fields_with_descriptors, find, made, spans
from qda.uapi import LEGACY, RFC, V1, Interface, drm


@pytest.mark.parametrize(
    ("interface", "key", "names"),
    [
        (LEGACY, "MEM_MAP", ["fd"]),
        (LEGACY, "MEM_UNMAP", ["fd"]),
        (LEGACY, "CREATE", ["filefd"]),
        (LEGACY, "MAP_NEW", []),
        (LEGACY, "ALLOC_DMA_BUFF", []),
        (V1, "MAP", ["fd"]),
        (RFC, "MAP", []),
        (RFC, "CREATE", []),
    ],
)
def test_descriptors_are_translated_where_fields_hold_them(
    interface: Interface, key: str, names: list[str]
) -> None:
    command = interface.by_key[key]
    assert find(command.code, interface) is command
    assert fields_with_descriptors(command, interface) == names


def test_an_import_names_a_descriptor_in_every_dialect() -> None:
    assert fields_with_descriptors(drm.PRIME_FD_TO_HANDLE, None) == ["fd"]


def test_an_image_and_the_driver_s_name_are_memory() -> None:
    create = LEGACY.by_key["CREATE"]
    assert create.record is not None
    record = create.record(file=0x1000, filelen=77)
    assert list(spans(create, record)) == [Span(0x1000, 77)]
    version = drm.Version(name=0x2000, name_len=9)
    assert Span(0x2000, 9, True) in list(spans(drm.VERSION, version))


def test_what_nobody_knows_names_nothing() -> None:
    assert find(0x1234, LEGACY) is None


@pytest.mark.parametrize("code", [0xC0104800, 0xC0184800, 0xC0204800], ids=hex)
def test_the_heap_makes_a_descriptor_whatever_its_record_s_size_is(code: int) -> None:
    command = find(code, LEGACY)
    assert command is not None and made(command)
