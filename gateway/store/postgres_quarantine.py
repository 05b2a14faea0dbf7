"""The store's identity and its quarantines on PostgreSQL.

Rules
- `WRITERS` run inside the writer's transaction, which holds the lock on the numbers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from gateway.store.postgres_rows import Values
from gateway.store.quarantine import (
    Quarantine,
    QuarantineBegan,
    QuarantineCleared,
    QuarantinePrepared,
    Standing,
    StoreMarked,
)

__all__ = ["WRITERS", "quarantines", "standing"]

QUARANTINE: Final = "id, began_at, cause, before, number, mark, lost_since, prepared"
STANDING: Final = (
    "SELECT store_identity.id, marked, coalesce(last.position, 0), last.at FROM store_identity"
    " LEFT JOIN (SELECT position, at FROM records ORDER BY position DESC LIMIT 1) AS last ON true"
)
QUARANTINES: Final = (
    f"SELECT {QUARANTINE}, ARRAY(SELECT connection FROM quarantine_clearances WHERE quarantine = id) AS cleared"
    " FROM quarantines ORDER BY began_at, id"
)


async def _begin(connection: Any, values: Values) -> None:
    identity, *quarantine = values
    await connection.execute(
        f"INSERT INTO quarantines ({QUARANTINE}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", *quarantine
    )
    await connection.execute("UPDATE store_identity SET id = $1", identity)


async def _prepared(connection: Any, values: Values) -> None:
    await connection.execute("UPDATE quarantines SET prepared = true WHERE id = $1", *values)


async def _clear(connection: Any, values: Values) -> None:
    await connection.execute(
        "INSERT INTO quarantine_clearances (quarantine, connection, at, actor) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT DO NOTHING",
        *values,
    )


async def _mark(connection: Any, values: Values) -> None:
    await connection.execute("UPDATE store_identity SET marked = true WHERE NOT marked")


WRITERS: Final[Mapping[type[Any], Callable[[Any, Values], Awaitable[None]]]] = {
    QuarantineBegan: _begin,
    QuarantinePrepared: _prepared,
    QuarantineCleared: _clear,
    StoreMarked: _mark,
}


async def standing(connection: Any) -> Standing:
    """See `Quarantines.standing`."""
    return Standing(*await connection.fetchrow(STANDING))


async def quarantines(connection: Any) -> list[Quarantine]:
    """See `Quarantines.quarantines`."""
    found = await connection.fetch(QUARANTINES)
    return [
        Quarantine(id_, began_at, cause, before, number, mark, lost_since, prepared, frozenset(cleared))
        for id_, began_at, cause, before, number, mark, lost_since, prepared, cleared in map(tuple, found)
    ]
