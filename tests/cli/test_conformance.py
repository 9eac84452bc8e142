"""`qda conformance`: the suite of rules, as who has the package without its repository runs it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from tests.cli.command import qda


def test_the_suite_runs_anywhere_and_writes_results_for_machines(tmp_path: Path) -> None:
    """Whatever configuration lies there, of which it leaves nothing either."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    rule = "test_query_names_the_dsp"
    ran = qda(*("conformance", "--junit=results.xml", "--", "-k", rule, "-q"), directory=tmp_path)
    assert " passed" in ran.stdout
    cases = ElementTree.parse(tmp_path / "results.xml").findall(".//testcase")
    assert {case.get("classname") for case in cases} == {"qda.conformance.test_core"}
    assert f"{rule}[rfc]" in {case.get("name") for case in cases}
    assert {file.name for file in tmp_path.iterdir()} == {"pytest.ini", "results.xml"}


def test_a_device_that_there_is_not_is_told_before_anything_runs() -> None:
    """Once, as wrong usage of pytest."""
    ran = qda("conformance", "--device=/dev/nonesuch", status=4)
    assert ran.stderr.count("/dev/nonesuch: No such file or directory") == 1
    assert "passed" not in ran.stdout and "failed" not in ran.stdout
