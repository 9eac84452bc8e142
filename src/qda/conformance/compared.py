"""One rule, two drivers: a table of where their outcomes differ, and the counts of all."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import pytest

from qda.conformance.differences import Difference, difference

__all__ = ["Compared"]

_UNNAMED = "differs without a name"


@dataclass
class _Rule:
    """Its outcomes, and what was said of them, for the kernel's driver and for ours."""

    dialect: str = ""
    kernel: str = ""
    ours: str = ""
    words: dict[str, str] = field(default_factory=dict)


class Compared:
    """A plugin of pytest that collects outcomes.  `status` is 1 if one differs without a name."""

    def __init__(self) -> None:
        self.status = 1
        self._rules: dict[str, _Rule] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome; that of the call, or of the setup if there is no call."""
        if report.when != "call" and report.outcome == "passed":
            return
        found = re.search(r"\[(rfc|v1|handle|legacy(?:-7\.3)?)(-kernel)?\b", report.nodeid)
        if found is None:
            return
        name = report.nodeid.split("/")[-1].replace(found[0], "[", 1).replace("[-", "[")
        rule = self._rules.setdefault(name.removesuffix("[]"), _Rule())
        rule.dialect = found[1]
        side = "kernel" if found[2] else "ours"
        if getattr(rule, side) in ("", "passed"):
            setattr(rule, side, report.outcome)
            rule.words[side] = _words(report)

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table, then the counts."""
        counts: Counter[str] = Counter()
        alike: dict[tuple[str, str], list[str]] = {}
        for name, rule in sorted(self._rules.items()):
            kind, said = _judged(name, rule)
            counts[kind] += 1
            if said:
                alike.setdefault((kind, said), []).append(name.split("::test_")[-1])
        terminalreporter.section("the kernel's driver beside ours")
        for (kind, said), names in sorted(alike.items()):
            rules = ", ".join(sorted({name.split("[")[0] for name in names}))
            terminalreporter.write_line(f"{kind} ({len(names)}): {said}: {rules}")
        for kind, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:5} {kind}")
        self.status = int(bool(counts[_UNNAMED]) or not counts)


def _judged(name: str, rule: _Rule) -> tuple[str, str]:
    """Which kind a rule is of, and what is to be said of it."""
    if rule.kernel == rule.ours:
        outcome = "run on neither" if rule.ours == "skipped" else f"{rule.ours} on both"
        return outcome, rule.words["kernel"] if rule.ours == "failed" else ""
    if "skipped" in (rule.kernel, rule.ours) or not (rule.kernel and rule.ours):
        side = "ours" if rule.kernel in ("skipped", "") else "kernel"
        where = "on ours" if side == "ours" else "in the kernel"
        return f"only {where}", rule.words.get("kernel" if side == "ours" else "ours", "")
    known: Difference | None = difference(name, rule.dialect)
    said = rule.words["kernel" if rule.kernel == "failed" else "ours"]
    if known is not None:
        return "differs by name", f"{known.kernel} ({known.why})"
    return _UNNAMED, f"{'the kernel' if rule.kernel == 'failed' else 'ours'} fails: {said}"


def _words(report: pytest.TestReport) -> str:
    """What is said of an outcome, in a line."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr or "")
    return " ".join(text.split())[:200]
