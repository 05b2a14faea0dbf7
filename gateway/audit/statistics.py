"""Counts what a published log holds, as an auditor counts a population before sampling from it.

Rules
- Counted from the leaves alone. Time is the leaves' own.
- Completeness of each process is counted too: its counters run from 1 without a gap, and its last record is its stop.
- A data call is one that asks about a person: an account's contents, a bureau's knowledge. Its intent names the consent
  (or what stands for it) and the purpose; one that names none is listed, whoever made it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.audit.reading import Wanted
from gateway.audit.tiles import Read, entries

__all__ = ["DATA_VERBS", "Run", "Statistics", "data_calls", "statistics", "without_consent"]

DATA_VERBS: Final = frozenset(
    {
        *("list_accounts", "fetch_balances", "fetch_transactions"),
        *("check_threshold", "request_score", "request_report", "fetch_report", "continue_report"),
    }
)


@dataclass(slots=True)
class Run:
    """One run of a process: its counters, and the first and last time in its records."""

    first: str
    last: str
    records: int = 0
    highest: int = 0
    stopped: bool = False

    @property
    def missing(self) -> int:
        """How many of its records the log lacks between the first and the last that it has."""
        return self.highest - self.records


@dataclass(slots=True)
class Statistics:
    """What the entries from `begin` up to `size` hold."""

    size: int
    begin: int
    first_at: str = ""
    last_at: str = ""
    kinds: Counter[str] = field(default_factory=Counter)
    days: Counter[str] = field(default_factory=Counter)
    partners: Counter[str] = field(default_factory=Counter)
    observed: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    operations: int = 0
    unanswered: int = 0
    data_calls: int = 0
    runs: dict[str, Run] = field(default_factory=dict)


def statistics(read: Read, size: int, begin: int = 0) -> Statistics:
    """Count. Raises `MissingTile` where an entry cannot be read."""
    counted = Statistics(size, begin)
    intents: set[str] = set()
    operations: set[str] = set()
    for _, leaf in entries(read, size, begin):
        members = json.loads(leaf)
        _count(counted, members)
        if members.get("operation"):
            operations.add(members["operation"])
        if members["kind"] == "intent":
            intents.add(members["id"])
        elif members["kind"] == "outcome":
            intents.discard(members.get("intent", ""))
    counted.operations, counted.unanswered = len(operations), len(intents)
    return counted


def _count(counted: Statistics, members: dict[str, Any]) -> None:
    kind, at = members["kind"], members["at"]
    counted.first_at = min(counted.first_at or at, at)
    counted.last_at = max(counted.last_at, at)
    counted.kinds[kind] += 1
    counted.days[at[:10]] += 1
    if kind == "intent":
        counted.partners[members["partner"]] += 1
        counted.data_calls += members["verb"] in DATA_VERBS
    elif kind == "outcome":
        counted.observed[members["observed"]] += 1
    elif kind == "change":
        counted.states[members["after"]] += 1
    run = counted.runs.setdefault(members["process"], Run(at, at))
    run.last = at
    run.records += 1
    run.highest = max(run.highest, members["place"]["counter"])
    run.stopped = kind == "system" and members.get("what") == "stop"


def data_calls(read: Read, size: int, begin: int = 0) -> Iterator[Wanted]:
    """The intents that ask about a person. Raises `MissingTile`."""
    for index, leaf in entries(read, size, begin):
        if b'"kind":"intent"' in leaf:
            members = json.loads(leaf)
            if members["kind"] == "intent" and members["verb"] in DATA_VERBS:
                yield Wanted(index, leaf, members)


def without_consent(call: Wanted) -> str | None:
    """What a data call's leaf lacks, in words; None if it names both its consent and its purpose."""
    missing = [name for name in ("consent", "purpose") if not call.members.get(name)]
    return f"names no {' and no '.join(missing)}" if missing else None
