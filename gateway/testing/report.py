"""Runs a plugin's conformance suite through pytest, and keeps what came out by check instead of by case."""

from __future__ import annotations

import contextlib
import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.testing.conformance.checks import CHECKS, INVARIANTS
from gateway.testing.conformance.suite import Conformance
from gateway.testing.levels import Verdict, level_of

__all__ = ["Red", "Report", "run_suite"]

SAID = re.compile(r"^(?:E\s+)?(?:Failed: )?([A-Z]+-\d\d): (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Red:
    """One case that failed: the check it fails, its name, and what was seen."""

    check: str
    case: str
    what: str


@dataclass(slots=True)
class Report:
    """What came out. `output` is pytest's own text, for when nothing could be collected."""

    adapter: str
    cases: int = 0
    seconds: float = 0.0
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reds: list[Red] = field(default_factory=list)
    exemptions: dict[str, str] = field(default_factory=dict)
    output: str = ""

    @property
    def level(self) -> str:
        return level_of(self.verdicts)


class _Collector:
    """A plugin of pytest's: only the cases of one adapter run, and each report goes to its checks."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._checks: dict[str, tuple[str, ...]] = {}
        self._seen: dict[str, set[Verdict]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if self._is_mine(item)]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def _is_mine(self, item: pytest.Item) -> bool:
        suite = getattr(item, "cls", None)
        if not (isinstance(suite, type) and issubclass(suite, Conformance)):
            return False
        if suite.adapter.name != self._report.adapter:
            return False
        self._checks[item.nodeid] = getattr(getattr(item, "function", None), "__checks__", ())
        self._report.exemptions.update(suite.exempt)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        checks, case = self._checks.get(report.nodeid, ()), report.nodeid.rpartition("::")[2]
        if report.failed:
            self._failed(checks, case, report.longreprtext)
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            verdict = Verdict.EXEMPT if "exempt: " in reason else Verdict.NOT_APPLICABLE
            self._note(checks, verdict)
        elif report.when == "call":
            self._report.cases += 1
            self._note((*checks, *INVARIANTS), Verdict.GREEN)

    def _failed(self, checks: tuple[str, ...], case: str, text: str) -> None:
        found = {id: what for id, what in SAID.findall(text) if id in CHECKS}
        if not found:
            lines = [line for line in text.splitlines() if line.strip()]
            found = dict.fromkeys(checks, lines[-1] if lines else "it failed")
        for id, what in found.items():
            self._report.reds.append(Red(id, case, what))
        self._report.cases += 1
        self._note(tuple(found), Verdict.RED)

    def _note(self, checks: tuple[str, ...], verdict: Verdict) -> None:
        for id in checks:
            self._seen.setdefault(id, set()).add(verdict)

    def conclude(self) -> None:
        """The worst of what was seen counts; green goes before what does not apply."""
        order = (Verdict.RED, Verdict.GREEN, Verdict.EXEMPT, Verdict.NOT_APPLICABLE)
        for id in CHECKS:
            seen = self._seen.get(id, set())
            self._report.verdicts[id] = next((one for one in order if one in seen), Verdict.NOT_RUN)


def run_suite(adapter: str, tests: Path) -> Report:
    """Run every case of the adapter's suite under `tests` (a file or a folder), in this process."""
    report, output, begun = Report(adapter), io.StringIO(), time.monotonic()
    collector = _Collector(report)
    places = [str(tests)] if tests.is_file() else [str(path) for path in sorted(tests.glob("test_conformance*.py"))]
    arguments: list[Any] = [*places, "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    if places:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            pytest.main(arguments, plugins=[collector])
    collector.conclude()
    report.output, report.seconds = output.getvalue(), time.monotonic() - begun
    return report
