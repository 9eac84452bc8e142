"""Rules of errors: what a result word means, and what an exception tells (requirement U3)."""

from __future__ import annotations

import copy
import errno
import pickle
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qda import errors
from qda.dsp.tracebacks import told
from qda.errors import (
    DSP_OFFSET,
    ERRNOS,
    STATUSES,
    WITHOUT_OFFSET,
    CallTimeout,
    DeviceError,
    DspError,
    HostError,
    QdaError,
    Refusal,
    StatusError,
    UsageError,
    UsageTypeError,
    as_signed,
    as_unsigned,
    explain,
    is_errno,
)
from qda.idl import Diagnostic, IdlError, Location
from qda.idl.diagnostics import NOWHERE
from qda.idl.wire.records import MarshalError

words = st.integers(-(2**31), 2**32 - 1)
# -1 is an errno to whoever issued the ioctl (fastrpc.md 8.3).
explained_by_number = [entry for entry in STATUSES if entry.number >= 0]
symbols = {entry.symbol: entry for entry in STATUSES}


# Result words (fastrpc.md 8.3)


@given(words)
def test_signed_and_unsigned_are_two_spellings_of_one_word(word: int) -> None:
    assert as_signed(as_unsigned(word)) == as_signed(word)
    assert as_unsigned(as_signed(word)) == as_unsigned(word)
    assert as_signed(word) % 2**32 == as_unsigned(word) == word % 2**32


@given(words)
def test_a_word_stays_in_the_range_of_its_spelling(word: int) -> None:
    assert -(2**31) <= as_signed(word) < 2**31
    assert 0 <= as_unsigned(word) < 2**32


@given(st.integers(max_value=-(2**31) - 1) | st.integers(min_value=2**32))
def test_what_no_word_can_hold_is_quoted_and_refused(number: int) -> None:
    for function in (as_signed, as_unsigned, is_errno, explain):
        with pytest.raises(UsageError, match=str(number)):
            function(number)


@given(words)
def test_only_small_negatives_are_errnos(word: int) -> None:
    assert is_errno(word) == (-4095 <= as_signed(word) <= -1)


@pytest.mark.parametrize("word", [0, 1, 39, 4095, -4096, 0x8000040D, 0x8000040D - 2**32])
def test_dsp_statuses_and_positive_numbers_are_no_errnos(word: int) -> None:
    assert not is_errno(word)


@pytest.mark.parametrize("word", [-1, -14, -512, -4095, 0xFFFFFFFF, 0xFFFFF001])
def test_errnos_are_recognised_in_both_spellings(word: int) -> None:
    assert is_errno(word)


# The table (fastrpc.md 8.1)


def test_table_is_sorted_and_says_each_thing_once() -> None:
    numbers = [entry.number for entry in STATUSES]
    assert numbers == sorted(numbers)
    assert len(symbols) == len(STATUSES)
    # The one number that is two codes: with the DSP's offset they differ.
    assert {n for n in numbers if numbers.count(n) > 1} == {104}
    assert [entry.number for entry in ERRNOS] == sorted(entry.number for entry in ERRNOS)


def test_every_documented_number_is_in_the_table() -> None:
    documented = {
        *range(0x01, 0x27),
        *range(0x28, 0x2E),
        *range(0x2F, 0x73),
        *range(0x81, 0x8B),
        *range(0x101, 0x106),
        *range(0x121, 0x127),
        *range(0x141, 0x15A),
        *range(0x160, 0x164),
        *range(0x171, 0x179),
        *range(0x180, 0x184),
        *range(0x190, 0x195),
        *(0x200, 0x201),
        *(-1, 0, 39, 46, 104, 516),
    }
    assert {entry.number for entry in STATUSES} == documented


@pytest.mark.parametrize(
    ("constant", "value", "symbol"),
    [
        ("SKELETON_RAISED", 0x80000401, "AEE_EFAILED"),
        ("OUT_OF_MEMORY", 0x80000402, "AEE_ENOMEMORY"),
        ("UNABLE_TO_LOAD", 0x80000406, "AEE_EUNABLETOLOAD"),
        ("BAD_STATE", 0x8000040D, "AEE_EBADSTATE"),
        ("BAD_PARAMETER", 0x8000040E, "AEE_EBADPARM"),
        ("UNSUPPORTED", 0x80000414, "AEE_EUNSUPPORTED"),
        ("PROCESS_DIED", 39, "AEE_ENOSUCH"),
        ("BAD_HANDLE", 0x8000042C, "AEE_EBADHANDLE"),
        ("INTERRUPTED", 46, "AEE_EINTERRUPTED"),
        ("NO_SUCH_MODULE", 0x8000043E, "AEE_ENOSUCHMOD"),
        ("NO_SUCH_SYMBOL", 0x80000442, "AEE_ENOSUCHSYMBOL"),
        ("NO_SUCH_FILE", 0x80000445, "AEE_ENOSUCHFILE"),
        ("NO_SUCH_MAP", 0x80000448, "AEE_ENOSUCHMAP"),
        ("NO_SUCH_CLIENT", 0x8000044A, "AEE_ENOSUCHCLIENT"),
        ("MAP_FAILED", 0x80000465, "AEE_EMMAP"),
        ("BAD_ADDRESS", 0x80000483, "AEE_EBADVA"),
    ],
)
def test_statuses_of_our_dsp_have_their_documented_values(
    constant: str, value: int, symbol: str
) -> None:
    assert getattr(errors, constant) == value
    assert explain(value).symbol == symbol


@pytest.mark.parametrize("entry", explained_by_number, ids=lambda entry: entry.symbol)
def test_every_status_is_explained_as_the_dsp_spells_it(entry: errors.Entry) -> None:
    """U3: code, symbol, meaning, likely cause, next step for every code."""
    word = entry.number + (0 if entry.symbol in WITHOUT_OFFSET else DSP_OFFSET)
    for spelling in (word, as_signed(word)):
        explanation = explain(spelling)
        assert explanation.code == word
        assert explanation.symbol == entry.symbol
        assert explanation.meaning == entry.meaning
        assert explanation.cause
        assert explanation.next_step


@pytest.mark.parametrize("entry", explained_by_number, ids=lambda entry: entry.symbol)
def test_plain_numbers_are_explained_as_the_host_library_spells_them(entry: errors.Entry) -> None:
    """On the host a code is the plain number; of the two codes 104, the DSP's reset wins."""
    expected = "AEE_ECONNRESET" if entry.number == 104 else entry.symbol
    assert explain(entry.number).symbol == expected


@pytest.mark.parametrize(
    "code",
    # What users report (U3) and what our DSP answers.
    [0x80000600, 0x80000406, 0x80000414, 0x8000040D, 0x8000040E, 0x4E, 0x72, 104, 39, 0x80000483],
)
def test_codes_that_users_meet_have_a_cause_and_a_next_step_of_their_own(code: int) -> None:
    explanation = explain(code)
    entry = symbols[explanation.symbol]
    assert (entry.cause, entry.next_step) == (explanation.cause, explanation.next_step)


@pytest.mark.parametrize("entry", ERRNOS, ids=lambda entry: entry.symbol)
def test_errnos_of_the_device_interface_are_explained(entry: errors.Entry) -> None:
    explanation = explain(-entry.number)
    assert explanation.symbol == entry.symbol
    assert explanation == explain(2**32 - entry.number)
    assert entry.cause
    assert entry.next_step
    if entry.number != errors.ERESTARTSYS:  # the kernel's own
        assert getattr(errno, entry.symbol) == entry.number


@given(words)
def test_every_word_has_an_explanation(word: int) -> None:
    explanation = explain(word)
    assert (explanation.code < 0) == is_errno(word)
    assert as_unsigned(explanation.code) == as_unsigned(word)
    assert all((explanation.symbol, explanation.meaning, explanation.cause, explanation.next_step))
    assert re.fullmatch(r"0x[0-9A-F]{2,8}|errno \d+ \(0x[0-9A-F]{2,3}\)", explanation.number)


def test_texts_fit_into_sentences() -> None:
    """Cause and next step are printed after a colon and before a full stop."""
    for entry in (*STATUSES, *ERRNOS):
        for text in (entry.meaning, entry.cause, entry.next_step):
            assert not text.endswith(".")
            assert text == " ".join(text.split())


# The exceptions (design: "the system said no", "you used it wrongly")


def test_a_dsp_error_names_operation_domain_code_symbol_cause_and_next_step() -> None:
    """U3: one message with all that is needed to go on."""
    error = DspError("invoke method 2 of handle 0x301", "cdsp", 0x80000414)
    first, cause, following = str(error).splitlines()
    assert first == (
        "invoke method 2 of handle 0x301 on cdsp: 0x80000414 AEE_EUNSUPPORTED: unsupported"
    )
    assert cause == f"  Likely cause: {error.cause}."
    assert following == f"  Next: {error.next_step}."


def test_a_dsp_error_keeps_its_status_unsigned() -> None:
    error = DspError("invoke", "cdsp", as_signed(errors.BAD_STATE))
    assert error.status == error.code == errors.BAD_STATE


def test_a_dsp_error_shows_the_log_below_the_message() -> None:
    """U5: what the DSP logged belongs to the error."""
    error = DspError("invoke", "cdsp", errors.SKELETON_RAISED, log=["Traceback", "ValueError: 3"])
    assert error.log == ("Traceback", "ValueError: 3")
    place = ['ERROR   File "m.py", line 1', "    (", "    ^", "SyntaxError: '(' was never closed"]
    told = DspError("install", "cdsp", errors.SKELETON_RAISED, log=place)
    assert told.detail == "SyntaxError: '(' was never closed"
    assert str(error).endswith("  The DSP's log:\n    Traceback\n    ValueError: 3")


def test_a_detail_says_more_than_the_code() -> None:
    """U9: print the search that was done, in order."""
    error = DspError(
        "open libcalc", "cdsp", errors.UNABLE_TO_LOAD, "skeleton not found; searched A, B, C"
    )
    assert str(error).splitlines()[0] == (
        "open libcalc on cdsp: 0x80000406 AEE_EUNABLETOLOAD: skeleton not found; searched A, B, C"
    )
    assert error.meaning == explain(errors.UNABLE_TO_LOAD).meaning


def test_a_device_error_is_an_os_error_with_its_errno() -> None:
    error = DeviceError("MAP", "cdsp", errno.EFAULT, "0x1000 is not mapped")
    assert isinstance(error, OSError)
    assert (error.errno, error.strerror, error.symbol) == (14, "0x1000 is not mapped", "EFAULT")
    assert error.code == -errno.EFAULT
    first = str(error).splitlines()[0]
    assert first == "MAP on cdsp: errno 14 (0x0E) EFAULT: 0x1000 is not mapped"


def test_a_device_error_of_an_os_error_has_its_number() -> None:
    """Some OSErrors of Python have none: those are EIO."""
    missing = FileNotFoundError(errno.ENOENT, "words that the table says better")
    assert DeviceError.of("MAP", "cdsp", missing).symbol == "ENOENT"
    assert DeviceError.of("MAP", "cdsp", OSError("no number")).symbol == "EIO"


def test_a_refusal_without_a_domain_leaves_it_out() -> None:
    error = DeviceError("open /dev/accel/accel0", "", errno.EACCES)
    assert str(error).startswith("open /dev/accel/accel0: errno 13 (0x0D) EACCES: ")


@pytest.mark.parametrize("number", [0, -14, 4096, 0x80000414])
def test_a_device_error_takes_errnos_only(number: int) -> None:
    with pytest.raises(UsageError, match=str(number)):
        DeviceError("MAP", "cdsp", number)


@pytest.mark.parametrize(
    "error",
    [
        Refusal("close", "adsp", 0x80000600, "gone", ["a"]),
        DeviceError("MAP", "cdsp", errno.EINVAL, "offset 3"),
        DeviceError("open", "", errno.ENOENT),
        DspError("invoke", "cdsp", 39, "killed", ["line 1", "line 2"]),
        DspError("invoke", "cdsp", as_signed(0x80000483)),
        UsageError("handle -3"),
        UsageTypeError("a str"),
        CallTimeout("invoke on cdsp: 2 s"),
        HostError("apps_std.fopen", 2),
        StatusError(0x8000040E, "as told"),
        StatusError(-1, ""),
        MarshalError("a record of 3 bytes"),
        IdlError([Diagnostic(Location("a.idl", 1, 2), "wrong", "x y"), Diagnostic(NOWHERE, "b")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_cross_process_borders_and_keep_their_notes(error: Exception) -> None:
    error.add_note("while testing")
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error)
        assert str(twin) == str(error)
        assert vars(twin) == vars(error)
        assert twin.args == error.args
    if isinstance(error, OSError):
        assert pickle.loads(pickle.dumps(error)).errno == error.errno


@pytest.mark.parametrize(
    ("kind", "also"),
    [
        (Refusal, Exception),
        (DeviceError, OSError),
        (DspError, Refusal),
        (UsageError, ValueError),
        (UsageTypeError, TypeError),
        (CallTimeout, TimeoutError),
    ],
)
def test_one_root_and_the_class_that_python_programmers_expect(
    kind: type[QdaError], also: type[Exception]
) -> None:
    assert issubclass(kind, QdaError)
    assert issubclass(kind, also)


@pytest.mark.parametrize("status", [0, 0.0, False, 1 << 32, -1 - (1 << 31), "14", None, 1.5])
def test_a_status_that_is_no_failure_ends_no_call(status: Any) -> None:
    """0 would be success, and so would the low word of more than 32 bits."""
    with pytest.raises((UsageError, UsageTypeError), match="status"):
        StatusError(status, "told to succeed")


def test_wrong_use_is_not_a_refusal() -> None:
    assert not issubclass(UsageError, Refusal)
    assert not issubclass(UsageTypeError, Refusal)
    assert not issubclass(CallTimeout, Refusal)


def _chained(kind: str) -> None:
    try:
        raise KeyError("first")
    except KeyError as first:
        if kind == "cause":
            raise ValueError("told") from first
        if kind == "context":
            raise ValueError("told")  # noqa: B904
        raise ExceptionGroup("told", [first, ValueError("second")]) from first


def _raised(kind: str) -> None:
    if kind == "plain":
        raise ValueError("told")
    if kind == "quoting":
        raise ValueError("told\nTraceback (most recent call last):\nKeyError: 'inner'")
    if kind == "after a group":
        try:
            _raised("group")
        except ExceptionGroup as group:
            raise ValueError("told") from group
    if kind == "group":
        raise ExceptionGroup("told", [ValueError("first"), ExceptionGroup("inner", [OSError()])])
    if kind == "source":
        compile("told told", "told", "exec")
    _chained(kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    {
        "plain": "ValueError: told",
        "quoting": "ValueError: told",
        "cause": "ValueError: told",
        "context": "ValueError: told",
        "group": "ExceptionGroup: told (2 sub-exceptions)",
        "chained group": "ExceptionGroup: told (2 sub-exceptions)",
        "after a group": "ValueError: told",
        "source": "SyntaxError: invalid syntax",
    }.items(),
)
def test_the_first_line_names_the_exception_that_was_raised(kind: str, words: str) -> None:
    """Not one that has led to it, nor one within it."""
    with pytest.raises(Exception, match=r"told|invalid") as caught:
        _raised(kind)
    log = f"ERROR {told(caught.value)}".split("\n")
    error = DspError("a.f", "cdsp", 0x80000401, log=["INFO before", *log, "INFO after"])
    assert str(error).splitlines()[0] == f"a.f on cdsp: 0x80000401 AEE_EFAILED: {words}"
