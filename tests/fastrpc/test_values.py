"""Scalars, context ids, URIs: decoding is the inverse of encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda.fastrpc.domains import ProtectionDomain
from qda.fastrpc.message import CONTEXT_NUMBERS, ContextId
from qda.fastrpc.scalars import Scalars
from qda.fastrpc.uri import ModuleUri, skeleton_uri


@given(st.integers(0, (1 << 32) - 1))
def test_every_word_is_a_shape_and_back(word: int) -> None:
    """All 32 bits of a scalars word have a meaning (1.1)."""
    assert Scalars.decode(word).word == word


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        (Scalars(32), "method"),
        (Scalars(2, 256), "in-buffers"),
        (Scalars(2, 0, 256), "out-buffers"),
        (Scalars(2, 0, 0, 16), "in-handles"),
        (Scalars(2, 0, 0, 0, 16), "out-handles"),
    ],
)
def test_a_shape_that_does_not_fit_names_the_field(shape: Scalars, named: str) -> None:
    """The limits are 255 buffers and 15 handles each way."""
    with pytest.raises(ValueError, match=named):
        _ = shape.word


def test_the_calculator_example_of_the_specification() -> None:
    """sum(in sequence, rout int64): 2 in-buffers, 1 out-buffer, method 2 (1.6)."""
    assert Scalars(2, 2, 1).word == 0x02020100


@given(st.sampled_from(CONTEXT_NUMBERS), st.sampled_from(ProtectionDomain))
def test_a_context_id_comes_back_whole(number: int, domain: ProtectionDomain) -> None:
    """Bits 11..4 number the call, bits 3..0 say the kind of protection domain (R8)."""
    context = ContextId(number, domain)
    assert context.word < 1 << 12
    assert ContextId.decode(context.word) == context


@given(
    st.sampled_from(CONTEXT_NUMBERS),
    st.sampled_from(ProtectionDomain),
    st.integers(0, (1 << 48) - 1),
)
def test_a_context_id_may_have_a_sequence_number(
    number: int, domain: ProtectionDomain, sequence: int
) -> None:
    """Since 7.3: it stands in bits 63..16, the call's number below, then the kind (versions 6)."""
    word = ContextId(number, domain, sequence).word
    assert (word >> 16, word >> 8 & 0xFF, word & 0xFF) == (sequence, number, domain)
    assert ContextId(number, domain, sequence + (1 << 48)).word == word


@given(st.integers().filter(lambda number: number not in CONTEXT_NUMBERS))
def test_a_context_number_that_could_not_come_back_is_not_encoded(number: int) -> None:
    """The range follows from the field (R8)."""
    with pytest.raises(ValueError, match="does not fit"):
        _ = ContextId(number).word


@given(st.integers(0, (1 << 64) - 1))
def test_any_context_word_from_the_dsp_is_decoded_or_refused(word: int) -> None:
    """What the DSP sends is not trusted (U4)."""
    context = ContextId.decode(word)
    assert context is None or context.word == word


@pytest.mark.parametrize(
    ("text", "file", "symbol", "handle64"),
    [
        (
            "file:///libcalculator_skel.so?calculator_skel_handle_invoke&_modver=1.0&_dom=cdsp",
            "libcalculator_skel.so",
            "calculator_skel_handle_invoke",
            True,
        ),
        ("file://libx.so?f", "libx.so", "f", False),
        ("file:///tinylib?entry&_modver=1.0&_dom=cdsp", "tinylib", "entry", True),
        ("file:///a/b.so?f&_modver=1&unknown&x=y", "a/b.so", "f", True),
        ("file:///b.so?f&_modver=2.0", "b.so", "f", False),
        ("apps_std", "libapps_std_skel.so", "apps_std_skel_invoke", False),
    ],
)
def test_uris_are_read_as_the_c_loader_reads_them(
    text: str, file: str, symbol: str, handle64: bool
) -> None:
    """File, symbol, and the kind of skeleton by a prefix of version 1.0 (1.7)."""
    uri = ModuleUri.parse(text)
    assert (uri.file, uri.symbol, uri.handle64) == (file, symbol, handle64)


@pytest.mark.parametrize("text", ["", "file:///", "file:///x.so", "file:///x.so?", "http://a?b"])
def test_a_uri_that_asks_for_nothing_is_refused(text: str) -> None:
    """The error quotes it."""
    with pytest.raises(ValueError, match=r"names no|neither"):
        ModuleUri.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_uri_or_a_value_error(text: str) -> None:
    """Names come from clients: nothing else may happen."""
    try:
        ModuleUri.parse("file://" + text)
    except ValueError:
        return


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True), st.booleans())
def test_the_uri_of_a_skeleton_names_it(name: str, handle64: bool) -> None:
    """`skeleton_uri` and `ModuleUri.name` are inverse; the plain kind has another entry."""
    text = skeleton_uri(name, domain="cdsp")
    if not handle64:
        text = text.replace("_skel_handle_invoke&_modver=1.0", "_skel_invoke")
    uri = ModuleUri.parse(text)
    assert (uri.name, uri.handle64, uri.domain) == (name, handle64, "cdsp")
