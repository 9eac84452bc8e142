"""A compiled core of other sources is not used."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import sys, types, warnings
old = types.ModuleType("qda.core._core")
old.__file__ = "old.so"
{version}
sys.modules["qda.core._core"] = old
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    import qda.core
print(qda.core.IS_COMPILED, qda.core.Pool.__module__, *(one.message for one in told))
"""


def test_a_core_that_is_older_than_the_package_is_left_alone() -> None:
    """The twin takes its place, and one sentence says what to do."""
    for version in ("", "old.VERSION = 1"):
        environment = {name: value for name, value in os.environ.items() if name != "QDA_CORE"}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(version=version)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        assert run.stdout.startswith("False qda.core.twin old.so was compiled from other sources")
        assert "make" in run.stdout and run.stdout.count("\n") == 1
