"""The table of checks: what is on the page, and whether each check is really made."""

from __future__ import annotations

import sys

import pytest

from gateway.testing.conformance import CHECKS, Conformance, conformance
from gateway.testing.conformance.checks import INVARIANTS, as_markdown
from tests.riverbank import Riverbank
from tests.riverbank_simulator import RiverbankSimulator
from tests.sources import ROOT
from tests.testing.riverbank_scenarios import SCENARIOS

PAGE = ROOT / "docs" / "adapters" / "checks.md"


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == as_markdown(), "run `python tests/testing/test_checks.py --write`"


def test_every_check_of_the_table_is_made_and_none_else() -> None:
    tests = [getattr(Conformance, name) for name in dir(Conformance) if name.startswith("test_")]

    made = {id for test in tests for id in test.__checks__} | set(INVARIANTS)

    assert made == set(CHECKS)
    assert all(test.__checks__ for test in tests)


@pytest.mark.parametrize(("id", "reason"), [("CB-04", " "), ("CB-99", "Riverbank sends no callbacks")])
def test_an_exemption_names_a_check_and_a_reason(id: str, reason: str) -> None:
    with pytest.raises(ValueError, match="exempt"):
        conformance(Riverbank, simulator=RiverbankSimulator, scenarios=SCENARIOS, exempt={id: reason})


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(as_markdown(), encoding="utf-8")
