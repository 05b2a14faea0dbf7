"""Notifications on PostgreSQL: what is written about endpoints and deliveries, who holds them, and what is asked.

Rules
- `WRITERS` run inside the writer's transaction, which holds the lock on the numbers: no two of them are at work at
  once, and no event that is still to come has a smaller cursor than one that is there.
- `lease` waits for nobody (SKIP LOCKED), so no writer waits for somebody who waits for it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from gateway.store.interface import Stale
from gateway.store.postgres_rows import ManyRows, Values
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

__all__ = ["TAKEN_BY", "WRITERS", "WebhookQueries", "lease"]

ENDPOINT: Final = "id, client, url, kinds, secrets, active, created_at, version, cursor"
DELIVERY: Final = "endpoint, cursor, event, operation, type, state, attempts, due_at, at, status, detail"

STATES: Final[Mapping[DeliveryState, str]] = {"pending": "pending", "delivered": "delivered", "dead": "dead"}

TAKEN_BY: Final = "SELECT id FROM webhook_endpoints WHERE client = $1 AND url = $2"

ADD: Final = (
    "INSERT INTO webhook_endpoints (id, client, url, kinds, secrets, active, created_at, version, cursor)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, (SELECT coalesce(max(cursor), 0) FROM events))"
)
CHANGE: Final = (
    "UPDATE webhook_endpoints SET secrets = $2, active = $3, version = $4 WHERE id = $1 AND version = $4 - 1"
)
REMOVE: Final = (
    "WITH gone AS (DELETE FROM webhook_endpoints WHERE client = $1 AND id = $2 RETURNING id)"
    " DELETE FROM webhook_deliveries USING gone WHERE endpoint = gone.id"
)
# Only the first of an operation is due, and only where none is pending already.
TAKE: Final = ManyRows(
    "INSERT INTO webhook_deliveries (endpoint, cursor, event, operation, type, state, attempts, due_at, version, at)"
    " SELECT one.id, new.cursor, new.event, new.operation, new.type, 'pending', 0,"
    " CASE WHEN row_number() OVER (PARTITION BY new.operation ORDER BY new.cursor) = 1 AND NOT EXISTS"
    "  (SELECT FROM webhook_deliveries AS earlier WHERE earlier.endpoint = one.id"
    "   AND earlier.operation = new.operation AND earlier.state = 'pending') THEN $2::timestamptz END, 1, $2"
    " FROM webhook_endpoints AS one,",
    "bigint text text text",
    "AS new (cursor, event, operation, type) WHERE one.id = $1 AND new.cursor > one.cursor",
    first=3,
)
MOVE: Final = "UPDATE webhook_endpoints SET cursor = greatest(cursor, $2) WHERE id = $1"
HELD: Final = "SELECT FROM webhook_deliveries WHERE endpoint = $1 AND cursor = $2 AND version = $3"
SETTLE: Final = (
    "WITH settled AS (UPDATE webhook_deliveries SET state = $4, attempts = $5, due_at = $6, at = $7, status = $8,"
    " detail = $9, lease_until = NULL WHERE endpoint = $1 AND cursor = $2 AND version = $3 AND state = 'pending'"
    " RETURNING endpoint, cursor, operation)"
    " UPDATE webhook_deliveries AS next SET due_at = $7 FROM settled WHERE $4::text <> 'pending'"
    " AND next.endpoint = settled.endpoint AND next.due_at IS NULL AND next.cursor ="
    " (SELECT min(cursor) FROM webhook_deliveries AS later WHERE later.endpoint = settled.endpoint"
    "  AND later.operation = settled.operation AND later.state = 'pending' AND later.cursor <> settled.cursor)"
)
REQUEST: Final = (
    "UPDATE webhook_deliveries SET attempts = CASE state WHEN 'pending' THEN attempts ELSE 0 END,"
    " state = 'pending', due_at = $3, at = $3"
    " WHERE endpoint = $1 AND cursor = $2 AND (state <> 'pending' OR due_at IS NOT NULL)"
)
LEASE: Final = (
    "WITH due AS MATERIALIZED (SELECT endpoint, cursor FROM webhook_deliveries WHERE endpoint = $1 AND due_at <= $2"
    " AND (lease_until IS NULL OR lease_until <= $2)"
    " AND EXISTS (SELECT FROM webhook_endpoints WHERE id = $1 AND active)"
    " ORDER BY due_at, cursor LIMIT $4 FOR UPDATE SKIP LOCKED)"
    " UPDATE webhook_deliveries AS held SET lease_until = $3, version = held.version + 1"
    " FROM due, events WHERE held.endpoint = due.endpoint AND held.cursor = due.cursor AND events.cursor = due.cursor"
    " RETURNING held.due_at, held.cursor, held.version, held.attempts, events.client, events.id, events.operation,"
    " events.type, events.document"
)


# Writing


async def _add(connection: Any, values: Values) -> None:
    await connection.execute(ADD, *values)


async def _change(connection: Any, values: Values) -> None:
    if await connection.execute(CHANGE, *values) == "UPDATE 0":
        raise Stale(values[0])


async def _remove(connection: Any, values: Values) -> None:
    await connection.execute(REMOVE, *values)


async def _take(connection: Any, values: Values) -> None:
    endpoint, cursor, events, at = values
    if events:
        await connection.execute(TAKE.text, endpoint, at, *ManyRows.arrays(events))
    await connection.execute(MOVE, endpoint, cursor)


async def _hold(connection: Any, values: Values) -> None:
    if await connection.fetchrow(HELD, *values) is None:
        raise Stale(values[0])


async def _settle(connection: Any, values: Values) -> None:
    await connection.execute(SETTLE, *values)


async def _request(connection: Any, values: Values) -> None:
    await connection.execute(REQUEST, *values)


WRITERS: Final[Mapping[type[Any], Callable[[Any, Values], Awaitable[None]]]] = {
    EndpointAdded: _add,
    EndpointChanged: _change,
    EndpointRemoved: _remove,
    DeliveryHeld: _hold,
    DeliveriesTaken: _take,
    DeliverySettled: _settle,
    DeliveryRequested: _request,
}


async def lease(connection: Any, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
    """See `Webhooks.lease_deliveries`."""
    held = await connection.fetch(LEASE, endpoint, now, until, limit)
    return [Due(endpoint, *rest) for _, *rest in sorted(tuple(one) for one in held)]


# Asking


class WebhookQueries:
    """Questions about notifications, each one statement; `ask` runs it and gives all rows."""

    def __init__(self, ask: Callable[..., Awaitable[list[Any]]]) -> None:
        self._ask = ask

    async def endpoint(self, id_: str, client: str | None) -> Endpoint | None:
        query = f"SELECT {ENDPOINT} FROM webhook_endpoints WHERE id = $1 AND ($2::text IS NULL OR client = $2)"
        return next((_endpoint(*one) for one in await self._ask(query, id_, client)), None)

    async def endpoints(self, client: str | None) -> list[Endpoint]:
        query = (
            f"SELECT {ENDPOINT} FROM webhook_endpoints WHERE $1::text IS NULL OR client = $1 ORDER BY created_at, id"
        )
        return [_endpoint(*one) for one in await self._ask(query, client)]

    async def behind(self) -> list[Endpoint]:
        query = (
            f"SELECT {ENDPOINT} FROM webhook_endpoints AS one WHERE active AND EXISTS"
            " (SELECT FROM events WHERE events.client = one.client AND events.cursor > one.cursor)"
        )
        return [_endpoint(*one) for one in await self._ask(query)]

    async def due(self, now: datetime) -> list[str]:
        query = (
            "SELECT id FROM webhook_endpoints AS one WHERE active AND EXISTS (SELECT FROM webhook_deliveries"
            " WHERE endpoint = one.id AND due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1))"
        )
        return [one for (one,) in await self._ask(query, now)]

    async def delivery(self, endpoint: str, event: str) -> Delivery | None:
        query = f"SELECT {DELIVERY} FROM webhook_deliveries WHERE endpoint = $1 AND event = $2"
        return next((Delivery(*one) for one in await self._ask(query, endpoint, event)), None)

    async def deliveries(
        self, endpoint: str, state: DeliveryState | None, before: int | None, limit: int
    ) -> list[Delivery]:
        # The state is written out, so that the small index of what is dead is used.
        of_state = "" if state is None else f" AND state = '{STATES[state]}'"
        query = (
            f"SELECT {DELIVERY} FROM webhook_deliveries WHERE endpoint = $1{of_state}"
            " AND ($2::bigint IS NULL OR cursor < $2) ORDER BY cursor DESC LIMIT $3"
        )
        return [Delivery(*one) for one in await self._ask(query, endpoint, before, limit)]


def _endpoint(id_: str, client: str, url: str, kinds: str, *rest: Any) -> Endpoint:
    return Endpoint(id_, client, url, tuple(json.loads(kinds)), *rest)
