"""Rows as PostgreSQL takes them: what is bound, and statements that take any number of rows, one array for each column.

Rules
- Pure: nothing here touches a connection. Binding happens before a row waits for the writer, so that a value that
  cannot be serialised fails its own caller at once.
- One statement a kind of row: each is a journey to the server while the lock on the numbers is held.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
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

__all__ = ["Bound", "ManyRows", "Values", "bind"]

Values = tuple[Any, ...]


class Bound(NamedTuple):
    """A row and its values in the order of its statement; a record gets its values only in its place."""

    row: Row
    values: Values


class ManyRows:
    """A statement over `unnest`. `columns` are the types of its arrays, `first` the number of the first parameter."""

    def __init__(self, before: str, columns: str, after: str = "", first: int = 1) -> None:
        arrays = ", ".join(f"${n}::{type_}[]" for n, type_ in enumerate(columns.split(), first))
        self.text = f"{before} unnest({arrays}) {after}".rstrip()

    @staticmethod
    def arrays(rows: Sequence[Values]) -> list[list[Any]]:
        """What is bound to the arrays."""
        return [list(column) for column in zip(*rows, strict=True)]


KEYS: Final = ManyRows(
    "INSERT INTO keys (client, key, fingerprint, operation, at) SELECT * FROM", "text text text text timestamptz"
)
# $1 is the process: whose call is in flight.
OPERATIONS: Final = ManyRows(
    "INSERT INTO operations (opened, id, client, kind, connection, state, open, reference, partner_key, state_key,"
    " siblings, parent, version, next_inquiry_at, attention, in_flight, reservable, document)"
    " SELECT opened, id, client, kind, connection, state, open, reference, partner_key, state_key, siblings, parent,"
    " version, next_inquiry_at, attention, CASE WHEN in_flight THEN $1::bigint END, reservable, document FROM",
    "bigint text text text text text bool text text text text text bigint timestamptz bool bool bigint text",
    "AS new (opened, id, client, kind, connection, state, open, reference, partner_key, state_key, siblings, parent,"
    " version, next_inquiry_at, attention, in_flight, reservable, document)",
    first=2,
)
LINKS: Final = ManyRows("INSERT INTO links (name, value, client, operation) SELECT * FROM", "text text text bigint")
SIBLINGS: Final = ManyRows(
    "SELECT asked.opener - 1, other.id FROM",
    "text text text text",
    "WITH ORDINALITY AS asked (client, kind, siblings, id, opener) JOIN operations AS other ON other.open"
    " AND other.client = asked.client AND other.kind = asked.kind AND other.siblings = asked.siblings"
    " AND other.id <> asked.id ORDER BY asked.opener, other.opened",
)
CHANGES: Final = ManyRows(
    "UPDATE operations SET version = new.version, state = new.state, open = new.open,"
    " next_inquiry_at = new.next_inquiry_at, attention = new.attention,"
    " in_flight = CASE WHEN new.in_flight THEN $1::bigint END, reservable = new.reservable, document = new.document"
    " FROM",
    "text bigint text bool timestamptz bool bool bigint text",
    "AS new (id, version, state, open, next_inquiry_at, attention, in_flight, reservable, document)"
    " WHERE operations.id = new.id AND operations.version = new.version - 1",
    first=2,
)
UNCHANGED: Final = ManyRows(
    "SELECT asked.id FROM",
    "text bigint",
    "AS asked (id, version) WHERE NOT EXISTS"
    " (SELECT FROM operations AS stored WHERE stored.id = asked.id AND stored.version = asked.version) LIMIT 1",
)
# A chain's end is asked for one by one from the end of the index, however long the chain is.
ENDS: Final = (
    "SELECT last.chain, last.number, last.hash FROM unnest($1::text[]) AS asked (chain) CROSS JOIN LATERAL"
    " (SELECT chain, number, hash FROM records WHERE records.chain = asked.chain ORDER BY number DESC LIMIT 1) AS last"
)
RECORDS: Final = ManyRows(
    "INSERT INTO records (position, id, chain, number, client, kind, at, leaf, hash, digest, content, body)"
    " SELECT * FROM",
    "bigint text text bigint text text timestamptz bytea text text text bytea",
)
EVENTS: Final = ManyRows(
    "INSERT INTO events (cursor, id, client, operation, type, at, document) SELECT * FROM",
    "bigint text text text text timestamptz text",
)
CALLBACKS: Final = ManyRows(
    "INSERT INTO callbacks (id, connection, digest, at, message) SELECT * FROM", "text text text timestamptz bytea"
)
RESERVE: Final = (
    "UPDATE operations SET reserved = reserved + $1 WHERE id = $2 AND client = $3 AND state = 'succeeded'"
    " AND reserved + $1 <= reservable"
)
RELEASE: Final = "UPDATE operations SET reserved = reserved - $1 WHERE id = $2 AND client = $3"
SETTLE_CALLBACK: Final = "UPDATE callbacks SET verdict = $1 WHERE id = $2"
KEEP_TOKEN: Final = (
    "INSERT INTO tokens (connection, name, sealed, expires_at) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (connection, name) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at"
)
DROP_TOKEN: Final = "DELETE FROM tokens WHERE connection = $1 AND name = $2"


def _key(row: KeyClaimed) -> Values:
    return (row.client, row.key, row.fingerprint, row.operation, row.at)


def _opened(row: OperationOpened) -> Values:
    one = row.operation
    return (
        one.id,
        one.client,
        one.kind,
        one.connection,
        one.state.value,
        one.open,
        one.reference,
        one.partner_key,
        row.state_key,
        row.siblings,
        one.parent,
        one.version,
        one.next_inquiry_at,
        bool(one.attention),
        row.in_flight,
        one.reservable,
        one.model_dump_json(),
    )


def _changed(row: OperationChanged) -> Values:
    one = row.operation
    return (
        one.id,
        one.version,
        one.state.value,
        one.open,
        one.next_inquiry_at,
        bool(one.attention),
        row.in_flight,
        one.reservable,
        one.model_dump_json(),
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
    return (row.id, row.client, row.operation, row.type, row.at, row.document)


def _callback(row: CallbackStored) -> Values:
    return (row.id, row.connection, row.digest, row.at, row.message)


def _settled(row: CallbackSettled) -> Values:
    return (row.verdict, row.id)


def _kept(row: TokenKept) -> Values:
    return (row.connection, row.name, row.sealed, row.expires_at)


def _endpoint(row: EndpointAdded) -> Values:
    one = row.endpoint
    return (one.id, one.client, one.url, json.dumps(one.kinds), one.secrets, one.active, one.created_at, one.version)


def _endpoint_changed(row: EndpointChanged) -> Values:
    return (row.endpoint.id, row.endpoint.secrets, row.endpoint.active, row.endpoint.version)


def _endpoint_removed(row: EndpointRemoved) -> Values:
    return (row.client, row.id)


def _deliveries(row: DeliveriesTaken) -> Values:
    return (row.endpoint, row.cursor, row.events, row.at)


def _delivery_held(row: DeliveryHeld) -> Values:
    return (row.endpoint, row.cursor, row.version)


def _delivery_settled(row: DeliverySettled) -> Values:
    held = (row.endpoint, row.cursor, row.version)
    return (*held, row.state, row.attempts, row.due_at, row.at, row.status, row.detail)


def _delivery_requested(row: DeliveryRequested) -> Values:
    return (row.endpoint, row.cursor, row.at)


def _quarantine_began(row: QuarantineBegan) -> Values:
    one = row.quarantine
    numbers = (one.number, one.mark)
    return (row.identity, one.id, one.began_at, one.cause, one.before, *numbers, one.lost_since, one.prepared)


_BINDERS: Final[dict[type[Any], Callable[[Any], Values]]] = {
    KeyClaimed: _key,
    OperationOpened: _opened,
    OperationChanged: _changed,
    Unchanged: as_it_is,
    Reserved: _reserved,
    Released: _released,
    Recorded: _record,
    EventStaged: _event,
    CallbackStored: _callback,
    CallbackSettled: _settled,
    TokenKept: _kept,
    TokenDropped: as_it_is,
    EndpointAdded: _endpoint,
    EndpointChanged: _endpoint_changed,
    EndpointRemoved: _endpoint_removed,
    DeliveriesTaken: _deliveries,
    DeliveryHeld: _delivery_held,
    DeliverySettled: _delivery_settled,
    DeliveryRequested: _delivery_requested,
    QuarantineBegan: _quarantine_began,
    QuarantinePrepared: as_it_is,
    QuarantineCleared: as_it_is,
    StoreMarked: as_it_is,
    SubjectTagged: as_it_is,
    CallbackMatched: as_it_is,
    Forgotten: as_it_is,
}


def bind(row: Row) -> Bound:
    """The row with what will be bound. Raises what serialising it raises."""
    return Bound(row, _BINDERS[type(row)](row))
