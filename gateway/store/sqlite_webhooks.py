"""Notifications on SQLite: what is written about endpoints and deliveries, who holds them, and what is asked.

Rules
- `WRITERS` and `lease` run in the writer's thread, inside its transaction; questions run over a connection that cannot
  write.
- A lease ends with the process that holds it: one process at a time has the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import apsw

from gateway.store.interface import Stale, Taken
from gateway.store.sqlite_rows import Values, microseconds, moment
from gateway.store.webhooks import (
    DeliveriesTaken,
    Delivery,
    DeliveryHeld,
    DeliveryRequested,
    DeliverySettled,
    DeliveryState,
    Due,
    Endpoint,
    EndpointAdded,
    EndpointChanged,
    EndpointRemoved,
)

__all__ = ["WRITERS", "WebhookQueries", "forget_leases", "lease", "taken_by"]

ENDPOINT: Final = "id, client, url, kinds, secrets, active, created_at, version, cursor"
DELIVERY: Final = "endpoint, cursor, event, operation, type, state, attempts, due_at, at, status, detail"

STATES: Final[Mapping[DeliveryState, str]] = {"pending": "pending", "delivered": "delivered", "dead": "dead"}

Ask = Callable[..., list[Any]]
"""Runs a question and gives all rows."""


# Writing


def _add(connection: apsw.Connection, values: Values) -> None:
    connection.execute(
        "INSERT INTO webhook_endpoints (id, client, url, kinds, secrets, active, created_at, version, cursor)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(cursor), 0) FROM events))",
        values,
    )


def _change(connection: apsw.Connection, values: Values) -> None:
    connection.execute(
        "UPDATE webhook_endpoints SET secrets = ?2, active = ?3, version = ?4 WHERE id = ?1 AND version = ?4 - 1",
        values,
    )
    if not connection.changes():
        raise Stale(values[0])


def _remove(connection: apsw.Connection, values: Values) -> None:
    connection.execute("DELETE FROM webhook_endpoints WHERE client = ?1 AND id = ?2", values)
    connection.execute(
        "DELETE FROM webhook_deliveries WHERE endpoint = ?1"
        " AND NOT EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = ?1)",
        values[1:],
    )


def _take(connection: apsw.Connection, values: Values) -> None:
    endpoint, cursor, events, at = values
    before = connection.execute("SELECT cursor FROM webhook_endpoints WHERE id = ?", (endpoint,)).get
    if before is None or before >= cursor:
        return
    # One by one, so that each sees whether an earlier one of its operation is pending.
    connection.executemany(
        "INSERT INTO webhook_deliveries"
        " (endpoint, cursor, event, operation, type, state, attempts, due_at, version, at)"
        " VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 0, CASE WHEN EXISTS (SELECT 1 FROM webhook_deliveries"
        "  WHERE endpoint = ?1 AND operation = ?4 AND state = 'pending') THEN NULL ELSE ?6 END, 1, ?6)",
        [(endpoint, *event, at) for event in events if event[0] > before],
    )
    connection.execute("UPDATE webhook_endpoints SET cursor = ? WHERE id = ?", (cursor, endpoint))


def _hold(connection: apsw.Connection, values: Values) -> None:
    endpoint, cursor, version = values
    found = connection.execute(
        "SELECT version FROM webhook_deliveries WHERE endpoint = ? AND cursor = ?", (endpoint, cursor)
    ).get
    if found != version:
        raise Stale(endpoint)


def _settle(connection: apsw.Connection, values: Values) -> None:
    endpoint, cursor, _, state, *_, at, _, _ = values
    connection.execute(
        "UPDATE webhook_deliveries SET state = ?4, attempts = ?5, due_at = ?6, at = ?7, status = ?8, detail = ?9,"
        " lease_until = NULL WHERE endpoint = ?1 AND cursor = ?2 AND version = ?3 AND state = 'pending'",
        values,
    )
    if connection.changes() and state != "pending":
        connection.execute(
            "UPDATE webhook_deliveries SET due_at = ?3 WHERE endpoint = ?1 AND due_at IS NULL AND cursor ="
            " (SELECT min(cursor) FROM webhook_deliveries WHERE endpoint = ?1 AND state = 'pending' AND operation ="
            "  (SELECT operation FROM webhook_deliveries WHERE endpoint = ?1 AND cursor = ?2))",
            (endpoint, cursor, at),
        )


def _request(connection: apsw.Connection, values: Values) -> None:
    connection.execute(
        "UPDATE webhook_deliveries SET attempts = CASE state WHEN 'pending' THEN attempts ELSE 0 END,"
        " state = 'pending', due_at = ?3, at = ?3"
        " WHERE endpoint = ?1 AND cursor = ?2 AND (state <> 'pending' OR due_at IS NOT NULL)",
        values,
    )


WRITERS: Final[Mapping[type[Any], Callable[[apsw.Connection, Values], None]]] = {
    EndpointAdded: _add,
    EndpointChanged: _change,
    EndpointRemoved: _remove,
    DeliveryHeld: _hold,
    DeliveriesTaken: _take,
    DeliverySettled: _settle,
    DeliveryRequested: _request,
}


def taken_by(connection: apsw.Connection, row: EndpointAdded) -> Taken:
    """Which endpoint of the client has this address already."""
    query = "SELECT id FROM webhook_endpoints WHERE client = ? AND url = ?"
    return Taken("endpoint", connection.execute(query, (row.endpoint.client, row.endpoint.url)).get)


def lease(connection: apsw.Connection, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
    """See `Webhooks.lease_deliveries`."""
    held: list[Any] = connection.execute(
        "UPDATE webhook_deliveries SET lease_until = ?3, version = version + 1 WHERE endpoint = ?1 AND cursor IN ("
        " SELECT cursor FROM webhook_deliveries WHERE endpoint = ?1 AND due_at <= ?2"
        " AND (lease_until IS NULL OR lease_until <= ?2) ORDER BY due_at, cursor LIMIT ?4)"
        " AND EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = ?1 AND active = 1)"
        " RETURNING due_at, cursor, version, attempts",
        (endpoint, microseconds(now), microseconds(until), limit),
    ).fetchall()
    return [_due(connection, endpoint, *rest) for _, *rest in sorted(held)]


def _due(connection: apsw.Connection, endpoint: str, cursor: int, version: int, attempts: int) -> Due:
    query = "SELECT client, id, operation, type, document FROM events WHERE cursor = ?"
    return Due(endpoint, cursor, version, attempts, *connection.execute(query, (cursor,)).get)


def forget_leases(connection: apsw.Connection) -> None:
    """After a start: whoever held a delivery is gone."""
    connection.execute("UPDATE webhook_deliveries SET lease_until = NULL WHERE lease_until IS NOT NULL")


# Asking


class WebhookQueries:
    """Questions about notifications, each one statement."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def endpoint(self, id_: str, client: str | None) -> Endpoint | None:
        query = f"SELECT {ENDPOINT} FROM webhook_endpoints WHERE id = ?1 AND (?2 IS NULL OR client = ?2)"
        return next((_endpoint(*one) for one in self._ask(query, id_, client)), None)

    def endpoints(self, client: str | None) -> list[Endpoint]:
        query = f"SELECT {ENDPOINT} FROM webhook_endpoints WHERE ?1 IS NULL OR client = ?1 ORDER BY created_at, id"
        return [_endpoint(*one) for one in self._ask(query, client)]

    def behind(self) -> list[Endpoint]:
        query = (
            f"SELECT {ENDPOINT} FROM webhook_endpoints AS one WHERE active = 1 AND EXISTS"
            " (SELECT 1 FROM events WHERE events.client = one.client AND events.cursor > one.cursor)"
        )
        return [_endpoint(*one) for one in self._ask(query)]

    def due(self, now: datetime) -> list[str]:
        query = (
            "SELECT id FROM webhook_endpoints AS one WHERE active = 1 AND EXISTS (SELECT 1 FROM webhook_deliveries"
            " WHERE endpoint = one.id AND due_at <= ?1 AND (lease_until IS NULL OR lease_until <= ?1))"
        )
        return [one for (one,) in self._ask(query, microseconds(now))]

    def delivery(self, endpoint: str, event: str) -> Delivery | None:
        query = f"SELECT {DELIVERY} FROM webhook_deliveries WHERE endpoint = ? AND event = ?"
        return next((_delivery(*one) for one in self._ask(query, endpoint, event)), None)

    def deliveries(self, endpoint: str, state: DeliveryState | None, before: int | None, limit: int) -> list[Delivery]:
        # The state is written out, so that the small index of what is dead is used.
        of_state = "" if state is None else f" AND state = '{STATES[state]}'"
        query = (
            f"SELECT {DELIVERY} FROM webhook_deliveries WHERE endpoint = ?1{of_state} AND (?2 IS NULL OR cursor < ?2)"
            " ORDER BY cursor DESC LIMIT ?3"
        )
        return [_delivery(*one) for one in self._ask(query, endpoint, before, limit)]


def _endpoint(
    id_: str, client: str, url: str, kinds: str, secrets: bytes, active: int, created_at: int, version: int, cursor: int
) -> Endpoint:
    patterns = tuple(json.loads(kinds))
    return Endpoint(id_, client, url, patterns, secrets, bool(active), moment(created_at), version, cursor)


def _delivery(
    endpoint: str,
    cursor: int,
    event: str,
    operation: str,
    type_: str,
    state: DeliveryState,
    attempts: int,
    due_at: int | None,
    at: int,
    *last: Any,
) -> Delivery:
    due = None if due_at is None else moment(due_at)
    return Delivery(endpoint, cursor, event, operation, type_, state, attempts, due, moment(at), *last)
