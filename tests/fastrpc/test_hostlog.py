"""Messages of the DSP as records of 256 bytes (fastrpc.md 7.7)."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from qda.fastrpc.hostlog import Level, LogRecord, log_records, read_log_records

no_nul = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def test_a_record_has_the_layout_of_the_specification() -> None:
    """Level s32 at 0, line u16 at 4, thread u16 at 6, text at 8, file at 226; 256 bytes."""
    (record,) = log_records(Level.ERROR, "sum.c", 0x1234, 0x5678, "hello")
    assert len(record) == LogRecord.byte_size == 256
    assert record[:8] == bytes([3, 0, 0, 0, 0x34, 0x12, 0x78, 0x56])
    assert record[8:15] == b"hello\n\0"
    assert record[226:232] == b"sum.c\0"


@given(no_nul)
def test_no_text_is_lost(text: str) -> None:
    """Long lines take several records, and all bytes are there."""
    data = b"".join(log_records(Level.LOW, "f", 1, 2, text))
    rows = [LogRecord.unpack(data, at).text.rstrip(b"\0") for at in range(0, len(data), 256)]
    assert all(row.endswith(b"\n") for row in rows)
    rows = [row[:-1] for row in rows]
    assert b"".join(rows) == "".join(text.splitlines()).encode()


@given(st.binary(max_size=600))
def test_any_bytes_are_records_or_a_rest(data: bytes) -> None:
    """What a hostile DSP sends is shown, whatever it is."""
    found = list(read_log_records(data))
    assert len(found) == len(data) // 256
    assert all(level in set(Level) for level, *_ in found)


def test_levels_of_both_sides_correspond() -> None:
    """LOW to FATAL are DEBUG to CRITICAL; a level between two is the lower one."""
    pythons = [logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL]
    assert [level.of_python for level in Level] == pythons
    assert [Level.from_python(number) for number in pythons] == list(Level)
    assert Level.from_python(5) is Level.LOW
    assert Level.from_python(1000) is Level.FATAL
    assert Level.from_python(35) is Level.HIGH
