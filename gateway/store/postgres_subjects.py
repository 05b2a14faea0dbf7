"""Persons' tags and matched callbacks on PostgreSQL.

Rules
- `WRITERS` run inside the writer's transaction, which holds the lock on the numbers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from gateway.store.postgres_rows import Values
from gateway.store.subjects import CallbackMatched, Forgotten, SubjectTagged

__all__ = ["WRITERS", "callbacks_about", "operations_about"]


async def _tag(connection: Any, values: Values) -> None:
    query = "INSERT INTO subject_tags (client, tag, operation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
    await connection.execute(query, *values)


async def _matched(connection: Any, values: Values) -> None:
    query = "INSERT INTO callback_matches (operation, callback) VALUES ($2, $1) ON CONFLICT DO NOTHING"
    await connection.execute(query, *values)


async def _forget(connection: Any, values: Values) -> None:
    about = "SELECT callback FROM callback_matches WHERE operation = $1"
    await connection.execute(
        f"UPDATE records SET digest = NULL, content = NULL WHERE chain = $1 OR chain IN ({about})", *values
    )
    await connection.execute(f"UPDATE callbacks SET digest = id WHERE id IN ({about})", *values)


WRITERS: Final[Mapping[type[Any], Callable[[Any, Values], Awaitable[None]]]] = {
    SubjectTagged: _tag,
    CallbackMatched: _matched,
    Forgotten: _forget,
}


async def operations_about(connection: Any, client: str, tag: str) -> list[str]:
    """See `Subjects.operations_about`."""
    query = "SELECT operation FROM subject_tags WHERE client = $1 AND tag = $2 ORDER BY operation"
    return [one for (one,) in await connection.fetch(query, client, tag)]


async def callbacks_about(connection: Any, operation: str) -> list[str]:
    """See `Subjects.callbacks_about`."""
    found = await connection.fetch("SELECT callback FROM callback_matches WHERE operation = $1", operation)
    return [one for (one,) in found]
