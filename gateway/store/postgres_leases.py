"""What changes operations beside a commit of rows: leases, and what a crash left in the middle.

Rules
- Nothing here waits for a row: what somebody else holds is skipped (SKIP LOCKED), and each act is one transaction. So
  the writers, who hold the lock on the numbers, never wait for somebody who waits for them.
- A lease says who asks next. Handing an operation out counts as a write: its version goes up, so that whoever held it
  before can neither change it nor, with `Unchanged` beside an intent, send anything about it.
- A process lives as long as its writer's session holds the advisory lock that is its number. What a living process is
  in the middle of is left to it, and so is what it has leased; leases of the dead are free at the next start.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from gateway.store.operation import Operation
from gateway.store.postgres_queries import load
from gateway.store.postgres_rows import ManyRows

__all__ = ["begin_life", "holder", "in_flight_to_doubt", "lease_due", "release"]

LEASE_DUE: Final = (
    "WITH due AS MATERIALIZED (SELECT opened FROM operations"
    " WHERE next_inquiry_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)"
    " ORDER BY next_inquiry_at LIMIT $4 FOR UPDATE SKIP LOCKED)"
    " UPDATE operations AS leased SET lease_holder = $2, lease_until = $3, version = version + 1"
    " FROM due WHERE leased.opened = due.opened"
    " RETURNING next_inquiry_at, leased.opened, document, reserved, version"
)
RELEASE: Final = "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE id = $1 AND lease_holder = $2"
LIVING: Final = (
    "SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks"
    "  WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
    "  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
CUT: Final = (
    "SELECT id, open, document, reserved, version FROM operations WHERE in_flight IS NOT NULL AND"
    f" (in_flight = $1 OR in_flight NOT IN ({LIVING}))"
    " ORDER BY opened FOR UPDATE OF operations SKIP LOCKED"
)
FREE: Final = (
    "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE opened IN (SELECT opened FROM operations"
    f" WHERE lease_until IS NOT NULL AND split_part(lease_holder, ' ', 1) NOT IN (SELECT one::text FROM ({LIVING})"
    " AS living (one)) FOR UPDATE SKIP LOCKED)"
)
MAKE_DUE: Final = ManyRows(
    "UPDATE operations SET version = new.version, next_inquiry_at = new.next_inquiry_at, document = new.document FROM",
    "text bigint timestamptz text",
    "AS new (id, version, next_inquiry_at, document) WHERE operations.id = new.id",
)
LAND: Final = "UPDATE operations SET in_flight = NULL WHERE id = ANY($1::text[])"


async def begin_life(connection: Any, process: int) -> None:
    """Let other processes see, as long as the session lasts, that this one lives. `process` has 63 random bits."""
    await connection.execute("SELECT pg_advisory_lock($1)", process)


def holder(process: int, worker: str) -> str:
    """Who holds a lease: a worker of a process that lives or not."""
    return f"{process} {worker}"


async def lease_due(connection: Any, now: datetime, until: datetime, holder: str, limit: int) -> list[Operation]:
    """What is due and now held by `holder`, the longest due first."""
    found = await connection.fetch(LEASE_DUE, now, holder, until, limit)
    return [load(*rest) for _, _, *rest in sorted(tuple(one) for one in found)]


async def release(connection: Any, operation: str, holder: str) -> None:
    """Let go, unless somebody else holds it by now."""
    await connection.execute(RELEASE, operation, holder)


async def in_flight_to_doubt(connection: Any, now: datetime, process: int) -> int:
    """Make every open operation due at `now` that this process, or one that is gone, left in the middle of a call.

    What a process that is gone was asking about is free to be asked about again.
    """
    async with connection.transaction():
        found = await connection.fetch(CUT, process)
        cut = [load(*rest).changed(now, next_inquiry_at=now) for _, open_, *rest in found if open_]
        if cut:
            rows = [(one.id, one.version, now, one.model_dump_json()) for one in cut]
            await connection.execute(MAKE_DUE.text, *ManyRows.arrays(rows))
        await connection.execute(LAND, [id_ for id_, *_ in found])
        await connection.execute(FREE)
    return len(cut)
