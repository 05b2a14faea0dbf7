"""The three ledgers, compared: what the bank did, what the gateways recorded, what the shop was told.

In this order
  1. effects: none twice, none that no operation knows, and each operation's end is what the bank did
  2. what the shop was told is there, under its reference, and a final state that it was told still stands
  3. refunds of a payment never exceed it
  4. requests: each that arrived has its durable intent; a transfer arrived at most once; nothing was sent again when
     the bank could have forgotten its key
  5. the log verifies
The bank's ledger is the judge: it is kept by other code in another process than the gateways'.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bench.crash.bank import KEY_LIFE, OxbowSimulator
from bench.crash.shop import Shop, Told
from bench.crash.sites import Site
from gateway.service.load import load
from gateway.service.offline import verify_records
from gateway.store.interface import Entry

__all__ = ["Found", "compare"]

FINAL = frozenset({"succeeded", "failed", "cancelled", "returned"})
ON_ITS_WAY = timedelta(seconds=1)
"""How long after it was sent a request may arrive, on a busy machine."""


@dataclass(slots=True)
class Found:
    """What the comparison counted, and what was wrong (nothing should be)."""

    operations: int = 0
    states: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    effects: int = 0
    acts: int = 0  # requests that act, as they arrived
    resent: int = 0  # of them, those that had arrived before
    questions: int = 0
    intents: int = 0
    unknown: int = 0  # operations that were in doubt for a while
    open_at_death: list[int] = field(default_factory=list)  # of each life that was recorded, intents without an outcome
    duplicates: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)
    without_intent: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return [*self.duplicates, *self.outcomes, *self.without_intent, *self.requests, *self.log]


def compare(bank: OxbowSimulator, shops: Iterable[Shop], sites: Sequence[Site]) -> Found:
    """Compare all three, for gateways that have been stopped. Not to be called on a running loop."""
    found = Found()
    stores = sites if sites[0].database_url is None else sites[:1]
    operations = {row[0]: row[1:] for site in stores for row in site.operations()}
    calls = [(shop, call) for shop in shops for call in shop.calls]
    _effects(found, bank, operations)
    _told(found, calls, operations)
    _refunds(found, [call for _, call in calls], operations)
    intents: Counter[str] = Counter()
    for site in stores:
        intents += _records(found, site.records())
    _arrivals(found, bank, intents)
    for site in stores:
        report = verify_records(load(site.folder / "lendgate.toml"))
        if not report.passed:
            found.log.append(f"the log of {site.name} does not verify: {report}")
    return found


def _effects(found: Found, bank: OxbowSimulator, operations: dict[str, tuple[str, str, str, str]]) -> None:  # 1.
    effects = bank.ledger.count()
    found.effects = sum(effects.values())
    found.operations = len(operations)
    known = set()
    for (kind, key), count in effects.items():
        if count > 1:
            found.duplicates.append(f"{kind} {key} took effect {count} times")
    for id_, (kind, key, state, _) in operations.items():
        known.add((kind, key))
        found.states[state] += 1
        found.kinds[kind] += 1
        happened = effects[kind, key]
        if state not in FINAL:
            found.outcomes.append(f"{id_} was not settled: it is {state}, and the bank's ledger has {happened}")
        elif (state == "succeeded") != bool(happened):
            found.outcomes.append(f"{id_} is {state}, but the bank's ledger has {happened}")
    found.outcomes.extend(f"the bank did {kind} {key}, which no operation knows" for kind, key in set(effects) - known)


def _told(
    found: Found, calls: Iterable[tuple[Shop, Told]], operations: dict[str, tuple[str, str, str, str]]
) -> None:  # 2.
    for shop, call in calls:
        if call.operation is None:
            if not call.answered:
                found.outcomes.append(f"{shop.reference(call)} never got an answer")
            continue
        kept = operations.get(call.operation)
        if kept is None:
            found.outcomes.append(f"the shop was told of {call.operation}, which is lost")
        elif kept[3] != shop.reference(call) or kept[0] != call.kind:
            found.outcomes.append(f"{call.operation} was told for {shop.reference(call)} and is {kept[0]} {kept[3]}")
        elif call.state in FINAL and call.state != kept[2]:
            found.outcomes.append(f"the shop was told that {call.operation} {call.state}, and it is {kept[2]}")


def _refunds(found: Found, calls: Iterable[Told], operations: dict[str, tuple[str, str, str, str]]) -> None:  # 3.
    back: Counter[str] = Counter()
    paid = {call.operation: call.cents for call in calls if call.kind == "payment" and call.operation}
    for call in calls:
        if call.kind == "refund" and call.operation and operations.get(call.operation, ("",) * 4)[2] == "succeeded":
            back[call.parent or ""] += call.cents
    found.outcomes.extend(
        f"{payment} was {paid[payment]} and {cents} went back"
        for payment, cents in back.items()
        if cents > paid[payment]
    )


def _records(found: Found, records: Iterable[Entry]) -> Counter[str]:
    """Count what the records tell: the digests of intents, doubt, and what each life left open."""
    digests: Counter[str] = Counter()
    lives: dict[str, set[str]] = {}
    doubted = set()
    for entry in records:
        if entry.kind == "intent":
            digests[entry.digest or ""] += 1
        leaf = json.loads(entry.leaf)
        life = lives.setdefault(leaf["process"], set())
        if entry.kind == "intent":
            life.add(entry.id)
        elif entry.kind == "outcome":
            life.discard(leaf["intent"])
        elif entry.kind == "change" and leaf["after"] == "unknown":
            doubted.add(leaf["operation"])
    found.intents += sum(digests.values())
    found.unknown += len(doubted)
    found.open_at_death.extend(len(life) for life in lives.values())
    return digests


def _arrivals(found: Found, bank: OxbowSimulator, intents: Counter[str]) -> None:  # 4.
    first: dict[str, datetime] = {}
    arrived: Counter[str] = Counter()
    for arrival in bank.ledger.arrivals:
        arrived[arrival.digest] += 1
        if arrival.method != "POST":
            found.questions += 1
            continue
        found.acts += 1
        since = first.setdefault(arrival.digest, arrival.at)
        if arrived[arrival.digest] == 1:
            continue
        found.resent += 1
        if arrival.operation == "POST transfers":
            found.requests.append(f"a transfer {arrival.digest[:12]} arrived {arrived[arrival.digest]} times")
        elif arrival.at > since + KEY_LIFE + ON_ITS_WAY:
            found.requests.append(f"{arrival.operation} {arrival.digest[:12]} was sent again after its key's life")
    for digest, count in (arrived - intents).items():
        found.without_intent.append(f"{count} requests {digest[:12]} arrived without an intent")
