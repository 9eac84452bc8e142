"""`qda explain`: what a code means."""

from __future__ import annotations

from typing import Annotated

import typer

from qda.cli import codes
from qda.cli.output import write
from qda.errors import Explanation

__all__ = ["app"]

app = typer.Typer(add_completion=False)


@app.command("explain", context_settings={"ignore_unknown_options": True})
def explain(
    code: Annotated[
        list[str],
        typer.Argument(
            help="A number such as 0x80000406, 39, -22 or errno 22, or a symbol: EINVAL."
        ),
    ],
) -> None:
    """Say what an error code of the device or the DSP means, and what to do."""
    write("\n".join(_in_words(explanation) for explanation in codes.explain(" ".join(code))))


def _in_words(explanation: Explanation) -> str:
    also = f" (also spelled {explanation.also})" if explanation.also else ""
    return (
        f"{explanation.number} {explanation.symbol}: {explanation.meaning}{also}\n"
        f"  Likely cause: {explanation.cause}.\n"
        f"  Next: {explanation.next_step}.\n"
    )
