"""Memory of a session: which sizes and shapes there are, and what is said to others."""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qda


@pytest.fixture(scope="module")
def session() -> Iterator[qda.Session]:
    with qda.open(device="virtual") as opened:
        yield opened


@pytest.mark.parametrize(
    "shape",
    [
        (-2, -3),
        -1,
        (4, -1),
        (-1, 0),
        (0, -5),
        (1 << 40, 1 << 40),
        (1 << 33, (1 << 31) + 1),
        (1 << 32, 1 << 32),
        1 << 62,
        1 << 63,
        1 << 64,
        1 << 200,
        (0, 1 << 70),
        (1,) * 100,
        np.array([-1, 2]),
        np.int64(-1),
    ],
    ids=str,
)
def test_a_shape_that_no_memory_could_hold_is_refused(session: qda.Session, shape: Any) -> None:
    """Lengths are multiplied as they are, not in 64 bits: nothing of another size is allocated."""
    with pytest.raises(qda.UsageError, match="shape"):
        session.empty(shape, np.float64)


@pytest.mark.parametrize(
    "shape",
    [True, (True, 2), np.True_, 2.5, (2, 3.0), np.float64(2), np.array([2.0]), "ab", None, (None,)],
    ids=repr,
)
def test_what_is_no_shape_is_refused(session: qda.Session, shape: Any) -> None:
    """A TypeError that quotes what was given, as NumPy has one for it."""
    with pytest.raises(TypeError):
        np.empty(shape)
    with pytest.raises(qda.UsageTypeError):
        session.empty(shape)


@pytest.mark.parametrize(
    "shape",
    [
        3,
        (),
        (2, 3),
        [2, 3],
        np.int8(3),
        np.array(3),
        np.array([2, 3]),
        (np.uint64(2), 3),
        0,
        (0,),
        (3, 0),
        (0, 1 << 40),
        (0, 1 << 62),
        (1,) * 30,
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float64, np.uint8, "S0", "S3", "2i4", "i4,f8", ">u2"])
def test_a_shape_is_what_numpy_takes(session: qda.Session, shape: Any, dtype: Any) -> None:
    """One length or several, Python's integers or NumPy's, none at all, or none of something."""
    try:
        model = np.empty(shape, dtype)
    except ValueError:  # NumPy counts bytes without zeros for some types
        with pytest.raises(qda.UsageError):
            session.empty(shape, dtype)
        return
    made = session.empty(shape, dtype)
    assert (made.shape, made.dtype) == (model.shape, model.dtype)
    assert not made.tobytes().strip(b"\0")


@given(st.lists(st.integers(0, 40), max_size=3), st.sampled_from(["u1", "<i2", "f8"]))
def test_arrays_of_any_shape_lie_in_a_buffer_of_their_size(shape: list[int], dtype: str) -> None:
    """And travel without a copy: the session knows the place."""
    with qda.open(device="virtual", debug=True) as session:
        made = session.empty(tuple(shape), dtype)
        assert made.nbytes == int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        if made.nbytes:
            with session.map(made) as mapping:
                assert (mapping.offset, len(mapping.buffer)) == (0, made.nbytes)


def test_objects_are_refused(session: qda.Session) -> None:
    """The DSP could not see them, however few they are."""
    for dtype in (object, [("x", object)]):
        with pytest.raises(qda.UsageTypeError, match="objects"):
            session.empty(0, dtype)


@pytest.mark.parametrize("size", [0, -1, sys.maxsize + 1, 1 << 64, np.int64(-5)], ids=repr)
def test_a_size_that_makes_no_sense_is_refused(session: qda.Session, size: Any) -> None:
    """A ValueError that quotes it; the device is not asked."""
    with pytest.raises(qda.UsageError, match="size"):
        session.alloc(size)


@pytest.mark.parametrize("size", [True, 2.5, "4096", None, np.float32(1)], ids=repr)
def test_a_size_that_is_no_integer_is_refused(session: qda.Session, size: Any) -> None:
    """A TypeError."""
    with pytest.raises(qda.UsageTypeError, match="size"):
        session.alloc(size)


def test_numbers_of_a_mapping_and_of_an_import_are_integers(session: qda.Session) -> None:
    """By the parameter's name; so is a mapping of no bytes."""
    buffer = session.alloc(4096)
    wrong: Any
    for wrong in ("4096", [1], buffer):
        for name in ("offset", "size"):
            with pytest.raises(qda.UsageError, match=name):
                session.map(buffer, **{name: wrong})
    for wrong in (2.5, "4096", True, None):
        with pytest.raises(qda.UsageTypeError, match=r"fd .* an integer"):
            session.import_fd(wrong)
    with pytest.raises(qda.UsageError, match="0 bytes from 4096"):
        session.map(buffer, 4096)


def test_a_size_may_be_an_integer_of_numpy(session: qda.Session) -> None:
    """Such come out of calculations on arrays."""
    with session.alloc(np.uint16(5000)) as buffer:
        assert len(buffer) == 5000


@pytest.mark.parametrize("size", [sys.maxsize, 1 << 62], ids=hex)
def test_more_than_there_is_is_an_error_of_the_device(session: qda.Session, size: int) -> None:
    """The size makes sense, and the device says no."""
    with pytest.raises(qda.DeviceError):
        session.alloc(size)
    with pytest.raises(qda.DeviceError):
        session.empty(size, np.uint8)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hint": -1},
        {"hint": 1 << 64},
        {"hint": 2.5},
        {"flags": -1},
        {"flags": 1 << 32},
        {"flags": 2.5},
        {"offset": 1.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_a_number_that_no_field_holds_is_refused(dialect: str, wrong: dict[str, Any]) -> None:
    """It is the program's, and quoted; nothing is sent."""
    with qda.open(device="virtual", dialect=dialect) as session:
        buffer = session.alloc(4096)
        with pytest.raises(qda.UsageError, match="map") as caught:
            session.map(buffer, **wrong)
        assert str(next(iter(wrong.values()))) in str(caught.value)


def _memfd(size: int, seals: int = 0) -> int:
    fd = os.memfd_create("own", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


NOT_SHARED: dict[str, tuple[Callable[[], int], str]] = {
    "file": (lambda: os.open(__file__, os.O_RDONLY), rf"is the file {__file__}, not a DMA-BUF"),
    "folder": (lambda: os.open("/", os.O_RDONLY), "is a folder, /, not a DMA-BUF"),
    "device": (lambda: os.open("/dev/null", os.O_RDWR), "is a device, /dev/null, not"),
    "place": (lambda: os.open("/", os.O_PATH), "is only a place, /, opened with O_PATH"),
    "event": (lambda: os.eventfd(0), r"is anon_inode:\[eventfd\], not a DMA-BUF"),
    "shrinks": (lambda: _memfd(4096), "is a memfd that may still shrink"),
    "odd": (lambda: _memfd(5000, fcntl.F_SEAL_SHRINK), "is a memfd of 5000 bytes"),
    "sealed": (
        lambda: _memfd(4096, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE),
        "is a memfd that cannot be written",
    ),
}


@pytest.mark.parametrize("kind", NOT_SHARED)
def test_what_cannot_be_imported_is_refused_by_what_it_is(session: qda.Session, kind: str) -> None:
    """The device only says that it is not legal."""
    make, words = NOT_SHARED[kind]
    fd = make()
    with pytest.raises(qda.DeviceError, match=f"EINVAL: fd {fd} {words}"):
        session.import_fd(fd)
    os.close(fd)


class Copying(qda.Skeleton):
    @qda.method(2)
    def copy(self, given: memoryview, taken: memoryview) -> None:
        taken[:] = given[: len(taken)]


def mapped_at(address: int, size: int) -> Any:
    """Memory of the program's, at that address if nothing else is there."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    anonymous = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    arguments = [ctypes.c_void_p(address), ctypes.c_size_t(size), 3, anonymous, -1]
    found = libc.mmap(*arguments, ctypes.c_long(0))
    memory = (ctypes.c_char * size).from_address(found)
    weakref.finalize(memory, libc.munmap, ctypes.c_void_p(found), ctypes.c_size_t(size))
    return memory


@pytest.mark.parametrize("dialect", ["rfc", "handle", "legacy"])
@pytest.mark.parametrize("dropped", ["an array", "a buffer"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_lies_where_a_buffer_was_is_no_longer_of_it(dialect: str, dropped: str) -> None:
    """Its handle is closed later than its pages go, and other memory has their address by then."""
    with qda.open(device="virtual", dialect=dialect) as session, session.load(Copying) as module:
        for _ in range(3):
            buffer = session.alloc(1 << 20)
            array = buffer.numpy() if dropped == "a buffer" else session.empty(1 << 20, "u1")
            array[:4] = 1
            assert module.invoke(2, [array], [4]) == [b"\1\1\1\1"]
            address = array.__array_interface__["data"][0]
            del array, buffer
            memory = mapped_at(address, 1 << 20)
            memory[:4] = b"else"
            assert module.invoke(2, [memory], [4]) == [b"else"]
            del memory
