"""What the store is asked. Each question is one statement, over whichever connection of the pool is free.

Rules
- An operation is its document; `reserved` and `version` are the columns', because follow-ups and leases change them
  without touching the document.
- A question whose connection is lost is asked once more over another one: asking changes nothing.
- A question that fails is `StorageError`, and says nothing about what was written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg

from gateway.model.problems import StorageError
from gateway.model.states import OPEN
from gateway.store.interface import Claimed, Entry, EventRow, StoredCallback, StoredToken
from gateway.store.operation import Operation
from gateway.store.postgres_webhooks import WebhookQueries

__all__ = ["FAILURES", "Queries", "load", "reading"]

FAILURES: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
"""What a connection raises; a timeout is an `OSError`."""

LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    ConnectionError,
)

OPERATION: Final = "SELECT document, reserved, version FROM operations"
ENTRY: Final = "position, id, chain, number, client, kind, at, leaf, hash, digest, content, body"


def load(document: str, reserved: int, version: int) -> Operation:
    """The operation as it stands."""
    operation = Operation.model_validate_json(document)
    if (operation.reserved, operation.version) == (reserved, version):
        return operation
    return operation.model_copy(update={"reserved": reserved, "version": version})


@contextmanager
def reading() -> Iterator[None]:
    """Turns what a connection raises into `StorageError`."""
    try:
        yield
    except FAILURES as wrong:
        raise StorageError(f"the store cannot be read ({type(wrong).__name__}: {wrong})") from wrong


class Queries:
    """Questions over a pool. Raises `StorageError` if the database cannot be read."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.webhooks = WebhookQueries(self._all)

    async def _first(self, query: str, *values: Any) -> Any:
        return await self._ask(self._pool.fetchrow, query, values)

    async def _all(self, query: str, *values: Any) -> list[Any]:
        found: list[Any] = await self._ask(self._pool.fetch, query, values)
        return found

    @staticmethod
    async def _ask(fetch: Callable[..., Awaitable[Any]], query: str, values: Sequence[Any]) -> Any:
        with reading():
            try:
                return await fetch(query, *values)
            except LOST:
                return await fetch(query, *values)

    async def claimed(self, client: str, key: str) -> Claimed | None:
        """What a key stands for."""
        query = "SELECT fingerprint, operation FROM keys WHERE client = $1 AND key = $2"
        found = await self._first(query, client, key)
        return Claimed(*found) if found else None

    async def operation(self, where: str, *values: Any) -> Operation | None:
        """The one operation of which `where` holds."""
        found = await self._first(f"{OPERATION} WHERE {where}", *values)
        return load(*found) if found else None

    async def operations(
        self,
        *,
        link: tuple[str, str] | None,
        attention: bool,
        before: str | None,
        limit: int,
        **columns: str | None,
    ) -> list[Operation]:
        """Newest first. `columns` are compared, where they are not None."""
        values: list[Any] = []

        def bound(value: Any) -> str:
            values.append(value)
            return f"${len(values)}"

        where = [f"{name} = {bound(value)}" for name, value in columns.items() if value is not None]
        client = columns.get("client")
        few = link is not None or any(columns.get(name) is not None for name in ("reference", "parent"))
        if columns.get("state") in OPEN and not few:
            where.append("open")
            few = True  # what is open is little, whatever the table's size
        if attention:
            where.append("attention")
        if link is not None:
            same_client = f" AND client = {bound(client)}" if client is not None else ""
            found = f"SELECT operation FROM links WHERE name = {bound(link[0])} AND value = {bound(link[1])}"
            where.append(f"opened IN ({found}{same_client})")
        if before is not None:
            where.append(f"opened < (SELECT opened FROM operations WHERE id = {bound(before)})")
        # The sum keeps PostgreSQL from walking the whole table in order where few rows can match.
        order = "opened + 0" if few else "opened"
        query = f"{OPERATION} WHERE {' AND '.join(where) or 'true'} ORDER BY {order} DESC LIMIT {bound(limit)}"
        return [load(*one) for one in await self._all(query, *values)]

    async def next_due(self) -> datetime | None:
        """Of what nobody holds the earliest, and of what is held the earliest end of a lease."""
        found = await self._first(
            "SELECT least("
            " (SELECT min(next_inquiry_at) FROM operations WHERE next_inquiry_at IS NOT NULL AND lease_until IS NULL),"
            " (SELECT min(greatest(next_inquiry_at, lease_until)) FROM operations"
            "  WHERE lease_until IS NOT NULL AND next_inquiry_at IS NOT NULL)) AS due"
        )
        due: datetime | None = found["due"]
        return due

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """Records in the order of the store."""
        query = f"SELECT {ENTRY} FROM records WHERE position > $1 ORDER BY position LIMIT $2"
        return [Entry(*found) for found in await self._all(query, after, limit)]

    async def leaves(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Positions and leaves, in the order of the store."""
        query = "SELECT position, leaf FROM records WHERE position > $1 ORDER BY position LIMIT $2"
        return [(found[0], found[1]) for found in await self._all(query, after, limit)]

    async def record(self, chain: str, number: int) -> Entry | None:
        """One record of a chain."""
        found = await self._first(f"SELECT {ENTRY} FROM records WHERE chain = $1 AND number = $2", chain, number)
        return Entry(*found) if found else None

    async def last_record(self, chain: str) -> Entry | None:
        """The newest of a chain, without its body."""
        bare = ENTRY.replace(", body", ", NULL")
        found = await self._first(f"SELECT {bare} FROM records WHERE chain = $1 ORDER BY number DESC LIMIT 1", chain)
        return Entry(*found) if found else None

    async def chain(self, chain: str) -> list[Entry]:
        """Records of one chain, in order."""
        query = f"SELECT {ENTRY} FROM records WHERE chain = $1 ORDER BY number"
        return [Entry(*found) for found in await self._all(query, chain)]

    async def events(self, client: str, after: int, operation: str | None, limit: int) -> list[EventRow]:
        """Events of a client behind a cursor."""
        query = "SELECT cursor, id, client, operation, type, at, document FROM events WHERE client = $1 AND cursor > $2"
        values: tuple[Any, ...] = (client, after, limit)
        if operation is not None:
            query, values = f"{query} AND operation = $4", (*values, operation)
        return [EventRow(*found) for found in await self._all(f"{query} ORDER BY cursor LIMIT $3", *values)]

    async def token(self, connection: str, name: str) -> StoredToken | None:
        """A token, sealed."""
        query = "SELECT sealed, expires_at FROM tokens WHERE connection = $1 AND name = $2"
        found = await self._first(query, connection, name)
        return StoredToken(*found) if found else None

    async def callback(self, id_: str) -> StoredCallback | None:
        """A callback as it came."""
        query = "SELECT id, connection, at, message, verdict FROM callbacks WHERE id = $1"
        found = await self._first(query, id_)
        return StoredCallback(*found) if found else None
