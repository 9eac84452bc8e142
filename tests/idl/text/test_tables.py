from __future__ import annotations

import sys
from pathlib import Path

import pytest
from lark import Lark

from qda.idl.text import parser

TEXT = "interface one { long first(in long x); };"


@pytest.fixture
def bytecode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own in which this Python keeps what it has compiled."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path


def made() -> Lark:
    """The parser, as a new process comes by it."""
    return parser._grammar.__wrapped__()


def kept(bytecode: Path) -> list[Path]:
    return list(bytecode.rglob("tables.*"))


def test_tables_are_computed_once_for_all_processes(
    bytecode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made()
    assert len(kept(bytecode)) == 1
    monkeypatch.setattr(Lark, "_build_parser", None)
    assert made().rules


def test_tables_that_cannot_be_loaded_are_made_again(bytecode: Path) -> None:
    made()
    (file,) = kept(bytecode)
    for spoiled in (b"", file.read_bytes()[:1000], b"not a table"):
        file.write_bytes(spoiled)
        assert made().rules
        assert file.stat().st_size > 1000


def test_tables_are_kept_only_where_bytecode_is(
    bytecode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made()
    assert kept(bytecode) == []
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", "/proc/nowhere")
    made()
    monkeypatch.setattr(sys.implementation, "cache_tag", None)
    made()
