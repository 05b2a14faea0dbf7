"""What changes operations beside a commit of rows: leases, and what a crash left in the middle.

Rules
- Runs in the writer's thread, inside its transaction.
- A lease says who asks next. Handing an operation out counts as a write: its version goes up, so that whoever held it
  before can neither change it nor, with `Unchanged` beside an intent, send anything about it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import apsw

from gateway.store.operation import Operation
from gateway.store.sqlite_queries import load
from gateway.store.sqlite_rows import microseconds

__all__ = ["forget_leases", "in_flight_to_doubt", "lease_due", "release"]


def lease_due(
    connection: apsw.Connection, now: datetime, until: datetime, worker: str, limit: int
) -> list[tuple[str, int, int]]:
    """Document, reserved amount and version of what is due and now held by `worker`, the longest due first."""
    found: list[Any] = connection.execute(
        "UPDATE operations SET lease_holder = ?1, lease_until = ?2, version = version + 1 WHERE row IN ("
        " SELECT row FROM operations WHERE next_inquiry_at <= ?3 AND (lease_until IS NULL OR lease_until <= ?3)"
        " ORDER BY next_inquiry_at LIMIT ?4)"
        " RETURNING next_inquiry_at, row, document, reserved, version",
        (worker, microseconds(until), microseconds(now), limit),
    ).fetchall()
    return [tuple(rest) for _, _, *rest in sorted(found)]


def release(connection: apsw.Connection, operation: str, worker: str) -> None:
    """Let go, unless somebody else holds it by now."""
    connection.execute(
        "UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE id = ? AND lease_holder = ?",
        (operation, worker),
    )


def forget_leases(connection: apsw.Connection) -> None:
    """After a start: whoever held something is gone, because one process at a time has the file."""
    connection.execute("UPDATE operations SET lease_holder = NULL, lease_until = NULL WHERE lease_until IS NOT NULL")


def in_flight_to_doubt(connection: apsw.Connection, now: datetime) -> int:
    """Make every open operation that was in the middle of a call due at `now`; says how many."""
    found: list[Any] = connection.execute(
        "SELECT document, reserved, version FROM operations WHERE in_flight = 1 AND open = 1"
    ).fetchall()
    for document, reserved, version in found:
        _make_due(connection, load(document, reserved, version), now)
    connection.execute("UPDATE operations SET in_flight = 0 WHERE in_flight = 1")
    return len(found)


def _make_due(connection: apsw.Connection, operation: Operation, now: datetime) -> None:
    changed = operation.changed(now, next_inquiry_at=now)
    connection.execute(
        "UPDATE operations SET version = ?, next_inquiry_at = ?, document = ? WHERE id = ?",
        (changed.version, microseconds(now), changed.model_dump_json(), changed.id),
    )
