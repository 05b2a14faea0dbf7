"""Rows as SQLite takes them: what is bound, and statements that take many rows at once.

Rules
- Pure: nothing here touches a connection. Binding happens before a row waits for the writer, so that a value that
  cannot be stored fails its own caller at once.
- Each statement costs the writer's thread a hand-over of the interpreter's lock; that is why one carries many rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from gateway.store.interface import (
    CallbackSettled,
    CallbackStored,
    EventStaged,
    KeyClaimed,
    OperationChanged,
    OperationOpened,
    Recorded,
    Released,
    Reserved,
    Row,
    TokenDropped,
    TokenKept,
    Unchanged,
)
from gateway.store.quarantine import QuarantineBegan, QuarantineCleared, QuarantinePrepared, StoreMarked
from gateway.store.subjects import CallbackMatched, Forgotten, SubjectTagged
from gateway.store.values import as_it_is
from gateway.store.webhooks import (
    DeliveriesTaken,
    DeliveryHeld,
    DeliveryRequested,
    DeliverySettled,
    EndpointAdded,
    EndpointChanged,
    EndpointRemoved,
)

__all__ = ["Bound", "ManyRows", "Values", "bind", "microseconds", "moment"]

Values = tuple[Any, ...]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (at - EPOCH) // MICROSECOND


def moment(value: int) -> datetime:
    """The moment of so many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=value)


class Bound(NamedTuple):
    """A row and its values in the order of its statement; a record gets its values only in its place."""

    row: Row
    values: Values


class ManyRows:
    """A statement that takes any number of rows, in portions that are powers of two (so that few are prepared)."""

    LARGEST: Final = 64

    def __init__(self, before: str, columns: int, after: str = "") -> None:
        row = "(" + ",".join("?" * columns) + ")"
        sizes = [2**n for n in range(self.LARGEST.bit_length())]
        self._statements = {size: before + ",".join([row] * size) + after for size in sizes}

    def portions(self, rows: Sequence[Values]) -> Iterator[tuple[str, list[Any], int]]:
        """Statement, its bindings, and how many rows they are."""
        start, count = 0, len(rows)
        while start < count:
            size = min(self.LARGEST, 1 << (count - start).bit_length() - 1)
            yield self._statements[size], [value for row in rows[start : start + size] for value in row], size
            start += size


KEYS: Final = ManyRows("INSERT INTO keys (client, key, fingerprint, operation, at) VALUES ", 5)
OPERATIONS: Final = ManyRows(
    "INSERT INTO operations (row, id, client, kind, connection, state, open, reference, partner_key, state_key,"
    " siblings, parent, version, next_inquiry_at, attention, in_flight, reservable, document) VALUES ",
    18,
)
LINKS: Final = ManyRows("INSERT INTO links (name, value, client, operation) VALUES ", 4)
CHANGES: Final = ManyRows(
    "WITH new (id, version, state, open, next_inquiry_at, attention, in_flight, reservable, document) AS (VALUES ",
    9,
    ") UPDATE operations SET version = new.version, state = new.state, open = new.open,"
    " next_inquiry_at = new.next_inquiry_at, attention = new.attention, in_flight = new.in_flight,"
    " reservable = new.reservable, document = new.document"
    " FROM new WHERE operations.id = new.id AND operations.version = new.version - 1",
)
RECORDS: Final = ManyRows(
    "INSERT INTO records (position, id, chain, number, client, kind, at, leaf, hash, digest, content, body) VALUES ", 12
)
EVENTS: Final = ManyRows("INSERT INTO events (cursor, id, client, operation, type, at, document) VALUES ", 7)
CALLBACKS: Final = ManyRows("INSERT INTO callbacks (id, connection, digest, at, message) VALUES ", 5)


def _optional(at: datetime | None) -> int | None:
    return None if at is None else microseconds(at)


def _key(row: KeyClaimed) -> Values:
    return (row.client, row.key, row.fingerprint, row.operation, microseconds(row.at))


def _opened(row: OperationOpened) -> Values:
    one = row.operation
    return (
        one.id,
        one.client,
        one.kind,
        one.connection,
        one.state,
        one.open,
        one.reference,
        one.partner_key,
        row.state_key,
        row.siblings,
        one.parent,
        one.version,
        _optional(one.next_inquiry_at),
        bool(one.attention),
        row.in_flight,
        one.reservable,
        one.model_dump_json(exclude_none=True),
    )


def _changed(row: OperationChanged) -> Values:
    one = row.operation
    return (
        one.id,
        one.version,
        one.state,
        one.open,
        _optional(one.next_inquiry_at),
        bool(one.attention),
        row.in_flight,
        one.reservable,
        one.model_dump_json(exclude_none=True),
    )


def _reserved(row: Reserved) -> Values:
    if row.amount < 0:
        raise ValueError("a reservation holds an amount; give it back with Released")
    return (row.amount, row.parent, row.client)


def _released(row: Released) -> Values:
    return (row.amount, row.parent, row.client)


def _record(row: Recorded) -> Values:
    return ()


def _event(row: EventStaged) -> Values:
    return (row.id, row.client, row.operation, row.type, microseconds(row.at), row.document)


def _callback(row: CallbackStored) -> Values:
    return (row.id, row.connection, row.digest, microseconds(row.at), row.message)


def _settled(row: CallbackSettled) -> Values:
    return (row.verdict, row.id)


def _kept(row: TokenKept) -> Values:
    return (row.connection, row.name, row.sealed, _optional(row.expires_at))


def _endpoint(row: EndpointAdded) -> Values:
    one = row.endpoint
    kinds, created = json.dumps(one.kinds), microseconds(one.created_at)
    return (one.id, one.client, one.url, kinds, one.secrets, one.active, created, one.version)


def _endpoint_changed(row: EndpointChanged) -> Values:
    return (row.endpoint.id, row.endpoint.secrets, row.endpoint.active, row.endpoint.version)


def _endpoint_removed(row: EndpointRemoved) -> Values:
    return (row.client, row.id)


def _deliveries(row: DeliveriesTaken) -> Values:
    return (row.endpoint, row.cursor, row.events, microseconds(row.at))


def _delivery_held(row: DeliveryHeld) -> Values:
    return (row.endpoint, row.cursor, row.version)


def _delivery_settled(row: DeliverySettled) -> Values:
    due = _optional(row.due_at)
    held = (row.endpoint, row.cursor, row.version)
    return (*held, row.state, row.attempts, due, microseconds(row.at), row.status, row.detail)


def _delivery_requested(row: DeliveryRequested) -> Values:
    return (row.endpoint, row.cursor, microseconds(row.at))


def _quarantine_began(row: QuarantineBegan) -> Values:
    one = row.quarantine
    lost, began = _optional(one.lost_since), microseconds(one.began_at)
    return (row.identity, one.id, began, one.cause, one.before, one.number, one.mark, lost, one.prepared)


def _quarantine_cleared(row: QuarantineCleared) -> Values:
    return (row.quarantine, row.connection, microseconds(row.at), row.actor)


_BINDERS: Final[dict[type[Any], Callable[[Any], Values]]] = {
    KeyClaimed: _key,
    OperationOpened: _opened,
    OperationChanged: _changed,
    Reserved: _reserved,
    Released: _released,
    Recorded: _record,
    EventStaged: _event,
    CallbackStored: _callback,
    CallbackSettled: _settled,
    TokenKept: _kept,
    TokenDropped: as_it_is,
    Unchanged: as_it_is,
    EndpointAdded: _endpoint,
    EndpointChanged: _endpoint_changed,
    EndpointRemoved: _endpoint_removed,
    DeliveriesTaken: _deliveries,
    DeliveryHeld: _delivery_held,
    DeliverySettled: _delivery_settled,
    DeliveryRequested: _delivery_requested,
    QuarantineBegan: _quarantine_began,
    QuarantinePrepared: as_it_is,
    QuarantineCleared: _quarantine_cleared,
    StoreMarked: as_it_is,
    SubjectTagged: as_it_is,
    CallbackMatched: as_it_is,
    Forgotten: as_it_is,
}


def bind(row: Row) -> Bound:
    """The row with what will be bound. Raises what serialising it raises."""
    return Bound(row, _BINDERS[type(row)](row))
