"""The commands that need no DSP."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

import qda as package
from qda.cli import COMPLETION, codes
from qda.cli.app import app
from qda.cli.options import Dialect
from qda.errors import ERRNOS, STATUSES, Entry, UsageError, status_of
from qda.uapi import DIALECTS
from qda.uapi.header import header
from qda.uapi.reference import reference
from tests.cli.command import PROGRAM, environment, qda


def here(*arguments: str, status: int = 0) -> tuple[str, str]:
    """Run the command in this process; returns what it has printed, and its messages."""
    result = CliRunner(env={"NO_COLOR": "1"}).invoke(app, arguments, prog_name="qda")
    assert result.exit_code == status, (result.stdout, result.stderr)
    return result.stdout, result.stderr


def test_version() -> None:
    version = metadata.version("qda-accel")
    assert qda("--version").stdout == f"qda {version}\n"
    assert package.__version__ == version


def test_help_lists_the_commands() -> None:
    printed, _ = here("--help")
    for name in (
        "demo",
        "new",
        "info",
        "doctor",
        "explain",
        "profiles",
        "ci",
        "conformance",
        "uapi",
    ):
        assert f" {name} " in printed


def test_every_command_has_help_by_a_letter() -> None:
    """Those within commands, too."""

    def look(command: Any, words: list[str]) -> int:
        said, _ = here(*words, "-h")
        assert "Usage: qda" in said and "--help" in said
        context = typer.Context(command, info_name="qda")
        names = command.list_commands(context) if hasattr(command, "list_commands") else []
        inner = [(command.get_command(context, name), [*words, name]) for name in names]
        return 1 + sum(look(*one) for one in inner)

    assert look(get_command(app), []) > 20


ANSWERS = {
    "bash": ({"COMP_WORDS": "qda serv", "COMP_CWORD": "1"}, "serve"),
    "zsh": ({"_TYPER_COMPLETE_ARGS": "qda profiles sh"}, '"show"'),
    "fish": (
        {"_TYPER_COMPLETE_ARGS": "qda ci gith", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        "github",
    ),
}


@pytest.mark.parametrize("shell", ANSWERS)
def test_shells_complete_commands_and_arguments(shell: str) -> None:
    """The script asks the command by a variable, and it answers."""
    script, _ = here("completion", shell)
    asked = f"complete_{shell}"
    assert COMPLETION in script and asked in script
    variables, answer = ANSWERS[shell]
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment(**variables, **{COMPLETION: asked}),
        capture_output=True,
        text=True,
    )
    assert answer in ran.stdout, ran.stderr


@pytest.mark.parametrize("dialect", DIALECTS)
def test_uapi_prints_what_the_generators_make(dialect: str) -> None:
    """Unchanged: no colours, no markup read from it, no lines wrapped."""
    assert here("uapi", "header", "--dialect", dialect)[0] == header(DIALECTS[dialect])
    assert here("uapi", "reference", "--dialect", dialect)[0] == reference(DIALECTS[dialect])


def test_uapi_prints_dialect_rfc_by_default() -> None:
    assert qda("uapi", "header").stdout == header(DIALECTS["rfc"])


def test_command_line_knows_every_dialect() -> None:
    assert [dialect.value for dialect in Dialect] == list(DIALECTS)


@pytest.mark.parametrize("arguments", ["--version", "uapi header", "profiles", "idl --include-dir"])
def test_a_full_disk_below_the_output_is_told_in_a_sentence(arguments: str) -> None:
    """Texts, tables, and what options print."""
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
        )
    assert ran.stderr == b"qda: standard output: No space left on device\n"
    assert ran.returncode == 1


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "uapi", "reference"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert command.stdout
    assert command.stderr
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    assert command.wait(20) != 0


@pytest.mark.parametrize(
    ("code", "symbols"),
    [
        ("0x80000406", ["AEE_EUNABLETOLOAD"]),
        ("2147484678", ["AEE_EUNABLETOLOAD"]),
        ("-2147482618", ["AEE_EUNABLETOLOAD"]),
        ("aee_eunabletoload", ["AEE_EUNABLETOLOAD"]),
        ("EUNABLETOLOAD", ["AEE_EUNABLETOLOAD"]),
        ("-22", ["EINVAL"]),
        ("-0x16", ["EINVAL"]),
        ("EINVAL", ["EINVAL"]),
        ("39", ["AEE_ENOSUCH"]),
        ("AEE_ENOSUCH", ["AEE_ENOSUCH"]),
        ("0", ["AEE_SUCCESS"]),
        ("0x12345", ["(no symbol)"]),
        ("12345", ["(no symbol)"]),
        # Without an offset, and an errno to whoever issued the ioctl.
        ("AEE_EUNKNOWN", ["AEE_EUNKNOWN"]),
        ("EUNKNOWN", ["AEE_EUNKNOWN"]),
        ("-1", ["EPERM", "AEE_EUNKNOWN"]),
        ("EPERM", ["EPERM"]),
        # Two names of one code, and one name of two.
        ("AEE_EINVHANDLE", ["AEE_EBADHANDLE"]),
        ("EWOULDBLOCK", ["EAGAIN", "AEE_EWOULDBLOCK"]),
        # As messages write errnos, also those that are not in our table.
        ("errno 22 (0x16)", ["EINVAL"]),
        ("errno 39", ["ENOTEMPTY"]),
        ("ENOTEMPTY", ["ENOTEMPTY"]),
        # Hexadecimal without 0x, where it cannot be anything else.
        ("80000406", ["AEE_EUNABLETOLOAD"]),
        ("8000042c", ["AEE_EBADHANDLE"]),
        ("00000027", ["AEE_ENOSUCH"]),
        ("ffffffea", ["EINVAL"]),
        ("4E", ["AEE_EBADPERMS"]),
        ("deadbeef", ["(no symbol)"]),
        ("201", ["(no symbol)"]),
    ],
)
def test_explain(code: str, symbols: list[str]) -> None:
    assert [explanation.symbol for explanation in codes.explain(code)] == symbols
    printed, _ = here("explain", code)
    for symbol in symbols:
        assert f" {symbol}: " in printed
    assert "Likely cause: " in printed
    assert "Next: " in printed


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("EBADFF", "did you mean 'EBADF'"),
        ("AEE_EINVHANDL", "did you mean 'AEE_EINVHANDLE'"),
        ("12x", "'12x' is neither a number nor the symbol of a status or an errno"),
    ],
)
def test_a_symbol_that_there_is_not_has_a_neighbour(code: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        codes.explain(code)


def test_explain_a_number_that_is_a_status_and_an_errno() -> None:
    """Messages write errnos without a sign, so 22 may be either."""
    status, errno = codes.explain("22")
    assert status.symbol.startswith("AEE_")
    assert (errno.symbol, errno.code) == ("EINVAL", -22)


_CODE_IN_WORDS = re.compile(
    r"(?<!\?)\b(?:AEE_)?E(?!LF)[A-Z0-9][A-Z0-9_]+\b|\b0x[0-9A-Fa-f]{8}\b|\berrno \d+\b"
)
"""What looks like a code in a sentence, but ELF, and the ENTRY of a URI."""


def every_code() -> list[str]:
    """All symbols and numbers of the tables, and the errnos of the system."""
    named = [symbol for entry in (*STATUSES, *ERRNOS) for symbol in (entry.symbol, entry.also)]
    numbers = [word for entry in STATUSES for word in (status_of(entry.symbol), entry.number)]
    numbers += [-entry.number for entry in ERRNOS] + [-number for number in errno.errorcode]
    return [symbol for symbol in named if symbol] + [str(number) for number in numbers]


def test_what_explain_prints_is_explained_as_the_same() -> None:
    """Each number, symbol and code within a sentence leads back to what it was printed for."""
    for code in every_code():
        for found in codes.explain(code):
            again = codes.explain(found.number)
            assert found in again, (code, found.number)
            assert found.symbol in [one.symbol for one in codes.explain(found.symbol)], code
            for text in (found.meaning, found.cause, found.next_step, found.also):
                for mentioned in _CODE_IN_WORDS.findall(text):
                    assert codes.explain(mentioned), (code, mentioned)


@pytest.mark.parametrize("entry", STATUSES, ids=lambda entry: entry.symbol)
def test_a_symbol_of_the_table_is_explained_as_itself(entry: Entry) -> None:
    """By its full name it is the status and nothing else, whatever its number looks like."""
    for symbol in filter(None, (entry.symbol, entry.also)):
        (found,) = codes.explain(symbol)
        assert (found.symbol, found.code) == (entry.symbol, status_of(entry.symbol))
        assert found.also == entry.also


@pytest.mark.parametrize(
    "code",
    ["", "EWHATEVER", "0x", "1.5", "0x100000000", "-2147483649", "dead", "010", "errno 4096"],
)
def test_explain_refuses_what_is_no_code(code: str) -> None:
    with pytest.raises(UsageError, match="is "):
        codes.explain(code)
    assert here("explain", code, status=1)[1].startswith("qda: ")


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["explain"], ["demo", "--nonsense"], ["uapi", "header", "--dialect", "v9"]],
)
def test_wrong_usage_has_status_2(arguments: list[str]) -> None:
    printed, messages = here(*arguments, status=2)
    assert printed == ""
    assert "Usage: qda" in messages


def test_status_of_an_error_reaches_the_shell() -> None:
    assert qda("explain", "nothing", status=1).stderr.startswith("qda: 'nothing' is neither")


def test_profiles_show_says_what_a_system_allows() -> None:
    """R20, U10: nodes, policy, switches, and what is refused."""
    printed, _ = here("profiles", "show", "refusing")
    for words in (
        "/dev/fastrpc-adsp",
        "privileges",
        "removed: EPIPE",
        "plain: EACCES",
        "0xffffffff",
    ):
        assert words in printed
    assert "sm8350" in here("profiles")[0]
    assert "qda profiles" not in qda("profiles", "show", "sm8560", status=1).stdout


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--banks=few", "--", "true"],
        ["run", "--banks", "few", "true"],
        ["serve", "--banks=few"],
    ],
)
def test_a_refused_option_shows_what_it_was_given(words: list[str]) -> None:
    result = CliRunner(env={"NO_COLOR": "1"}).invoke(app, words, prog_name="qda")
    assert result.exit_code == 2
    assert "'--banks': 'few': " in result.stderr
