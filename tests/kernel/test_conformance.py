"""The suite of the device interface on a kernel's driver: through the agent, beside ours."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from qda.conformance.differences import DIFFERENCES, Difference
from tests.cli.command import PROGRAM
from tests.kernel.test_guest import ROOT, SUITE, needs_kernel

RULES = (
    "allocation_is_inherited or attr_is_not_looked_at or an_object_and_a_pointer_elsewhere or "
    "input_in_an_object_is_seen or output_in_an_object or input_that_cannot_be_read or "
    "unmap_works_after or mapping_is_found_by_its_fd or create_twice or create_with_a_shell_in"
)
"""Memory, descriptors, bad addresses, buffers both ways, mappings, images, and a difference."""


@needs_kernel
@pytest.mark.timeout(200)  # the guest is emulated
def test_rules_have_one_outcome_on_both_drivers_or_differ_by_name() -> None:
    command = [sys.executable, "-c", PROGRAM, "kernel", "conformance", f"--package={SUITE}"]
    done = subprocess.run([*command, "--", "-q", "-k", RULES], capture_output=True, text=True)
    counts = {
        kind: int(number) for number, kind in re.findall(r"^ +(\d+) (\w.*)$", done.stdout, re.M)
    }
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts["passed on both"] > 10
    assert counts["differs by name"] == 1  # H22: create_twice
    assert not {kind for kind in counts if kind.startswith(("failed", "differs without"))}


@pytest.mark.parametrize("dialect", sorted({it for known in DIFFERENCES for it in known.dialects}))
def test_each_rule_has_one_difference_in_a_dialect(dialect: str) -> None:
    rules = [rule for known in DIFFERENCES if dialect in known.dialects for rule in known.rules]
    assert len(set(rules)) == len(rules)


@pytest.mark.parametrize("known", DIFFERENCES, ids=lambda known: str(known.rules[0]))
def test_the_page_says_what_differs_and_why(known: Difference) -> None:
    page = (ROOT / "docs" / "kernel.md").read_text()
    assert f"\n{known.row}\n" in page
