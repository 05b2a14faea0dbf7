"""What a run of the suite says about an adapter: a verdict for each check, and the level that follows.

Rules
- A level is computed, never awarded. It goes only as far as there are checks: above silver there are none yet.
- What did not run is not green. What does not apply, or is exempt with a reason, stands in nobody's way and is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gateway.testing.conformance.checks import CHECKS

__all__ = ["Verdict", "level_of"]


class Verdict(StrEnum):
    """What was found for one check."""

    GREEN = "green"
    RED = "red"
    EXEMPT = "exempt"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


PASSES = frozenset({Verdict.GREEN, Verdict.EXEMPT, Verdict.NOT_APPLICABLE})


def level_of(verdicts: Mapping[str, Verdict]) -> str:
    """draft, bronze or silver."""
    reached = "draft"
    for level in ("bronze", "silver"):
        wanted = [one.id for one in CHECKS.values() if one.level == level]
        if any(verdicts.get(id, Verdict.NOT_RUN) not in PASSES for id in wanted):
            break
        reached = level
    return reached
