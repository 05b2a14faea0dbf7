"""Which cells of the retry table and of the state table the stories reached; and why the others cannot be.

The two pure functions that read the tables are watched while the gateway calls them; nothing is changed by that.
"""

from __future__ import annotations

from collections import Counter

from gateway.model import states
from gateway.operations import facts
from gateway.wire import repeating, retry
from gateway.wire.observed import Observed

__all__ = ["UNREACHABLE", "Reached", "watch"]

UNREACHABLE: dict[tuple[str, str], str] = {}
"""Cells of the state table that no story can reach, and why."""

Reached = Counter[tuple[str, str, str]]
"""(table, row, column) to how often."""


def watch() -> Reached:
    """Count from now on. Call it once a process."""
    reached: Reached = Counter()

    def decide(repeat: retry.Repeat, observed: Observed) -> retry.Decision:
        reached["retry", repeat.name.lower(), observed.name.lower()] += 1
        return retry.decide(repeat, observed)

    def step(state: states.State, meaning: states.Meaning) -> states.Step:
        reached["state", state.value, meaning.value] += 1
        return states.step(state, meaning)

    repeating.decide = decide  # type: ignore[attr-defined]  # the name under which the module reads the table
    facts.step = step  # type: ignore[attr-defined]  # the name under which the module reads the table
    return reached


def cells() -> list[tuple[str, str, str]]:
    """Every cell of both tables."""
    retries = [("retry", repeat.name.lower(), observed.name.lower()) for repeat, observed in retry.DECISIONS]
    return retries + [("state", state.value, meaning.value) for state, meaning in states.TRANSITIONS]


def report(reached: Reached) -> list[str]:
    """Lines for people: how many cells were reached, and each that never was."""
    lines = []
    for table in ("retry", "state"):
        all_ = [cell for cell in cells() if cell[0] == table]
        never = [cell for cell in all_ if not reached[cell]]
        lines.append(f"{table} table: {len(all_) - len(never)} of {len(all_)} cells reached")
        for _, row, column in never:
            why = UNREACHABLE.get((row, column), "NEVER REACHED, and it should be")
            lines.append(f"  {row} x {column}: {why}")
    return lines
