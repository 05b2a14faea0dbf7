"""What really happened at a simulated institution: the truth that tests compare the gateway with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

__all__ = ["Arrival", "Effect", "Ledger", "digest"]


def digest(method: str, target: str, body: bytes) -> str:
    """SHA-256, in hex, of method, request target and body exactly as they stood on the socket."""
    return hashlib.sha256(b"\n".join((method.encode(), target.encode("latin-1"), body))).hexdigest()


@dataclass(frozen=True, slots=True)
class Effect:
    """One act that cannot be taken back: money moved, a policy issued, a chargeable report pulled."""

    kind: str  # payment, refund, transfer, policy, claim, report, ...
    key: str  # the key under which the partner was asked
    at: datetime
    amount: Decimal | None = None  # in major units
    currency: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One HTTP request as it arrived, before anything was done about it."""

    operation: str  # what the simulator calls it: "trade.query", "POST /token"
    method: str
    target: str
    digest: str
    at: datetime


class Ledger:
    """Effects and arrivals of one simulator, in order. Nothing is ever removed."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.arrivals: list[Arrival] = []

    def record(self, effect: Effect) -> None:
        self.effects.append(effect)

    def count(self, kind: str | None = None) -> Counter[tuple[str, str]]:
        """How often each (kind, key) took effect."""
        return Counter((e.kind, e.key) for e in self.effects if kind in (None, e.kind))

    def total(self, kind: str, currency: str) -> Decimal:
        """The sum of all effects of one kind in one currency, in major units."""
        matching = (e.amount for e in self.effects if (e.kind, e.currency) == (kind, currency))
        return sum((amount for amount in matching if amount is not None), Decimal(0))
