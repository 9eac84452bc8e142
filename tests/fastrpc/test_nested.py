"""Streams of nested buffers, and the records of the listener (fastrpc.md 7.1, 7.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import limits
from qda.fastrpc import hostfiles, listener
from qda.fastrpc.nested import (
    pack_reply,
    pack_request,
    unpack_reply,
    unpack_request,
)
from qda.fastrpc.scalars import Scalars

buffers = st.lists(st.binary(max_size=40), max_size=6)
sizes = st.lists(st.integers(0, 5000), max_size=6)

EIGHT, FIVE = b"8 bytes.", b"five."
EXAMPLE = bytes([8, 0, 0, 0, 0, 0, 0, 0]) + EIGHT + bytes([5, 0, 0, 0, 0, 0, 0, 0]) + FIVE
"""The example of 7.3 up to its out-buffer."""


def test_the_example_of_the_specification() -> None:
    """In-buffers of 8 and 5 bytes and an out-buffer of 4: 33 bytes, the last length unaligned."""
    stream = pack_request([EIGHT, FIVE], [4])
    assert stream == EXAMPLE + bytes([4, 0, 0, 0])
    assert len(stream) == 33
    found, rooms = unpack_request(stream, 2, 1)
    assert [bytes(one) for one in found] == [EIGHT, FIVE]
    assert rooms == [4]


def test_a_reply_has_the_out_buffers_as_a_request_has_its_in_buffers() -> None:
    """Length, padding to 8, data."""
    assert pack_reply([EIGHT, FIVE]) == EXAMPLE


@given(buffers, sizes)
def test_what_is_packed_comes_back(ins: list[bytes], outs: list[int]) -> None:
    """Decoding undoes encoding, also with bytes behind the stream."""
    found, rooms = unpack_request(pack_request(ins, outs) + b"tail", len(ins), len(outs))
    assert [bytes(one) for one in found] == ins
    assert rooms == outs
    stream = pack_reply(ins) + bytes(4096)
    assert [bytes(one) for one in unpack_reply(stream, [len(one) for one in ins])] == ins


@given(buffers)
def test_data_begins_at_a_multiple_of_8(ins: list[bytes]) -> None:
    """Counted from the start of the stream; an empty buffer is its length only."""
    stream = pack_reply(ins)
    place = 0
    for one in ins:
        assert int.from_bytes(stream[place : place + 4], "little") == len(one)
        place += 4
        if one:
            place = -(-place // 8) * 8
        assert stream[place : place + len(one)] == one
        place += len(one)
    assert place == len(stream)


@given(st.binary(max_size=64), st.integers(0, 5), st.integers(0, 5))
def test_any_bytes_are_read_or_refused(stream: bytes, ins: int, outs: int) -> None:
    """Never past the end, never anything but a ValueError."""
    for read in (
        lambda: unpack_request(stream, ins, outs),
        lambda: unpack_reply(stream, [ins, outs]),
    ):
        try:
            read()
        except ValueError:
            continue


def test_a_short_stream_asks_for_no_more_than_the_limit() -> None:
    """A few lengths may claim gigabytes: refused before anything is allocated (H06, H24)."""
    huge = (0xFFFFFFFF).to_bytes(4, "little")
    with pytest.raises(ValueError, match="not in a stream"):
        unpack_request(huge, 1, 0)
    with pytest.raises(ValueError, match="out-buffers of"):
        unpack_request(huge * 3, 0, 3)
    with pytest.raises(ValueError, match="out-buffers of"):
        pack_request([], [limits.STREAM, 1])


def test_a_reply_has_the_lengths_that_were_asked_for() -> None:
    """A DSP rejects others (7.3)."""
    with pytest.raises(ValueError, match="3 bytes where 4"):
        unpack_reply(pack_reply([b"abc"]), [4])


def test_the_entrances_have_the_scalars_of_the_table() -> None:
    """The words of 7.1, at handle 7 and at handle 3."""
    words = [
        (one.handle, one.init.word, one.init2.word, one.next.word, one.more.word)
        for one in (listener.LISTENER1, listener.LISTENER)
    ]
    assert words == [
        (7, 0x04000000, 0x05000000, 0x06020200, 0x07010200),
        (3, 0x02000000, 0x03000000, 0x04020200, 0x05010200),
    ]


def test_a_loader_asks_with_the_scalars_of_the_table() -> None:
    """fclose, fread and fopen_with_env (7.5); and it stays below 256 bytes (7.3)."""
    found = [one.word for one in (hostfiles.FILE_CLOSE, hostfiles.FILE_READ, hostfiles.FILE_OPEN)]
    assert found == [0x03010000, 0x04010200, 0x13050100]
    texts = [hostfiles.SEARCH_PATH, hostfiles.DELIMITER, "lib" + "x" * 100 + "_skel.so", "r"]
    lengths = hostfiles.OpenLengths(variable=18, delimiter=2, name=len(texts[2]) + 1, mode=2)
    request = pack_request([lengths.pack(), *(one.encode() + b"\0" for one in texts)], [4])
    assert len(request) <= 256


def test_a_loader_packs_what_the_interface_says() -> None:
    """The records are those that `apps_std.idl` gives."""
    from qda.idl.python.system import system_interface
    from qda.idl.wire.calls import InterfaceCodec

    codec = InterfaceCodec(system_interface("apps_std").interface)
    texts = {"envvarname": "A", "delim": ";", "name": "libx.so", "mode": "r"}
    call = codec.named("fopen_with_env").pack(texts, {})
    lengths = hostfiles.OpenLengths(variable=2, delimiter=2, name=8, mode=2)
    assert call.scalars == hostfiles.FILE_OPEN
    assert bytes(call.ins[0]) == lengths.pack()
    call = codec.named("fread").pack({"sin": 7}, {"buf": 100})
    assert call.scalars == hostfiles.FILE_READ
    assert bytes(call.ins[0]) == hostfiles.ReadRequest(file=7, capacity=100).pack()
    assert len(call.outs[0]) == hostfiles.ReadAnswer.byte_size
    rooms = {"paths": [10, 20]}
    call = codec.named("get_search_paths_with_env").pack({"envvarname": "A", "delim": ";"}, rooms)
    assert call.scalars == Scalars(hostfiles.PATHS, 4, 3)
    assert bytes(call.ins[0]) == hostfiles.PathsRequest(variable=2, delimiter=2, count=2).pack()
    assert bytes(call.ins[3]) == bytes([10, 0, 0, 0, 20, 0, 0, 0])
    assert len(call.outs[0]) == hostfiles.PathsAnswer.byte_size
