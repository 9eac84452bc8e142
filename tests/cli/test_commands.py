"""The commands that need no DSP."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from qda.cli import codes
from qda.cli.app import app
from qda.cli.options import Dialect
from qda.errors import UsageError
from qda.uapi import DIALECTS, header, reference
from tests.cli.command import PROGRAM, environment, qda


def here(*arguments: str, status: int = 0) -> tuple[str, str]:
    """Run the command in this process; returns what it has printed, and its messages."""
    result = CliRunner(env={"NO_COLOR": "1"}).invoke(app, arguments, prog_name="qda")
    assert result.exit_code == status, (result.stdout, result.stderr)
    return result.stdout, result.stderr


def test_version() -> None:
    assert qda("--version").stdout == f"qda {metadata.version('qda-accel')}\n"


def test_help_lists_the_commands() -> None:
    printed, _ = here("--help")
    for name in ("demo", "info", "explain", "profiles", "uapi"):
        assert f" {name} " in printed


@pytest.mark.parametrize("dialect", DIALECTS)
def test_uapi_prints_what_the_generators_make(dialect: str) -> None:
    """Unchanged: no colours, no markup read from it, no lines wrapped."""
    assert here("uapi", "header", "--dialect", dialect)[0] == header(DIALECTS[dialect])
    assert here("uapi", "reference", "--dialect", dialect)[0] == reference(DIALECTS[dialect])


def test_uapi_prints_dialect_rfc_by_default() -> None:
    assert qda("uapi", "header").stdout == header(DIALECTS["rfc"])


def test_command_line_knows_every_dialect() -> None:
    assert [dialect.value for dialect in Dialect] == list(DIALECTS)


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
    ],
)
def test_explain(code: str, symbols: list[str]) -> None:
    assert [explanation.symbol for explanation in codes.explain(code)] == symbols
    printed, _ = here("explain", code)
    for symbol in symbols:
        assert f" {symbol}: " in printed
    assert "Likely cause: " in printed
    assert "Next: " in printed


def test_explain_a_number_that_is_a_status_and_an_errno() -> None:
    """Messages write errnos without a sign, so 22 may be either."""
    status, errno = codes.explain("22")
    assert status.symbol.startswith("AEE_")
    assert (errno.symbol, errno.code) == ("EINVAL", -22)


@pytest.mark.parametrize("code", ["", "EWHATEVER", "0x", "1.5", "0x100000000", "-2147483649"])
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
