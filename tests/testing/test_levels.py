"""The level follows from the verdicts alone."""

from __future__ import annotations

import pytest

from gateway.testing.conformance import CHECKS
from gateway.testing.levels import Verdict, level_of

GREEN = dict.fromkeys(CHECKS, Verdict.GREEN)


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        ({}, "silver"),
        ({"DOUBT-01": Verdict.RED}, "bronze"),
        ({"DOUBT-01": Verdict.NOT_RUN}, "bronze"),
        ({"CB-04": Verdict.EXEMPT, "PROOF-01": Verdict.NOT_APPLICABLE}, "silver"),
        ({"HAPPY-01": Verdict.RED}, "draft"),
    ],
)
def test_a_level_needs_all_its_checks(changed: dict[str, Verdict], level: str) -> None:
    assert level_of({**GREEN, **changed}) == level


def test_nothing_run_is_a_draft() -> None:
    assert level_of({}) == "draft"
