"""Rows as the engine would write them, with only what a test cares about spelled out."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.model.states import State
from gateway.store.interface import (
    Draft,
    EventStaged,
    KeyClaimed,
    OperationChanged,
    OperationOpened,
    Recorded,
    Row,
    Store,
    Taken,
)
from gateway.store.operation import Operation

NOW = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)
_serial = itertools.count(1)


def serial() -> int:
    return next(_serial)


def an_operation(**fields: Any) -> Operation:
    number = serial()
    return Operation(
        **{
            "id": f"pay_{number:032x}",
            "client": "shop",
            "kind": "payment",
            "mode": "sandbox",
            "partner": "riverbank",
            "connection": "riverbank-main",
            "verb": "create_payment",
            "state": State.PROCESSING,
            "reference": f"order-{number}",
            "partner_key": f"PK{number}",
            "created_at": NOW,
            "updated_at": NOW,
            **fields,
        }
    )


def opened(siblings: str = "", despite: tuple[str, ...] = (), **fields: Any) -> OperationOpened:
    return OperationOpened(an_operation(**fields), siblings, despite)


def changed(operation: Operation, in_flight: bool = False, **fields: Any) -> OperationChanged:
    return OperationChanged(operation.changed(NOW, **fields), in_flight)


def a_key(operation: Operation, key: str = "", fingerprint: str = "f1") -> KeyClaimed:
    return KeyClaimed(operation.client, key or f"key-{serial()}", fingerprint, operation.id, NOW)


@dataclass
class Finished:
    """Finishes a leaf in the simplest way, and remembers the places that it was given."""

    id: str
    places: list[tuple[int, str, int]] = field(default_factory=list)

    def __call__(self, number: int, previous: str, counter: int) -> tuple[bytes, str]:
        self.places.append((number, previous, counter))
        leaf = json.dumps([self.id, number, previous, counter]).encode()
        return leaf, hashlib.sha256(leaf).hexdigest()


def a_record(chain: str, kind: str = "intent", **fields: Any) -> Recorded:
    id_ = f"rec_{serial():032x}"
    return Recorded(Draft(id_, chain, "shop", kind, NOW, Finished(id_), **fields))


def an_event(operation: Operation, type_: str = "payment.succeeded") -> EventStaged:
    return EventStaged(f"evt_{serial():032x}", operation.client, operation.id, type_, NOW, "{}")


async def all_at_once(store: Store, commits: Iterable[Sequence[Row]]) -> list[BaseException | None]:
    """What each of the commits ended with; None for a success."""
    return await asyncio.gather(*(store.commit(rows) for rows in commits), return_exceptions=True)


def tally(results: Iterable[BaseException | None]) -> Counter[str | None]:
    return Counter(error.what if isinstance(error, Taken) else error and repr(error) for error in results)
