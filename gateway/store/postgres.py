"""The store on PostgreSQL: several processes and machines on one database, group commit in each process.

Rules
- Commits go to the process's one writer; everything else runs over a pool.
- A caller sees its own commit: the answer comes after the transaction is durable, and a read begins after the answer.
- After a failed commit or a lost writing session the store is closed for good: writes and reads raise `StorageError`.
- Sessions must last: connect to the server itself, or through a pooler in session mode.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from gateway.model.clock import Clock
from gateway.model.problems import ConfigurationError, StorageError
from gateway.store import postgres_leases, postgres_quarantine, postgres_subjects, postgres_webhooks
from gateway.store.interface import Claimed, Entry, EventRow, Row, StoredCallback, StoredToken
from gateway.store.operation import Operation
from gateway.store.postgres_queries import FAILURES, Queries, reading
from gateway.store.postgres_rows import bind
from gateway.store.postgres_schema import prepare
from gateway.store.postgres_writer import Waiting, Writer
from gateway.store.quarantine import Quarantine, Standing
from gateway.store.webhooks import Delivery, DeliveryState, Due, Endpoint

__all__ = ["PostgresStore"]

MOST_WAITING: Final = 4096
"""Commits that may wait for the writer; whoever comes then waits for room first."""

READERS: Final = 8
"""Connections of the pool at most; the writer has one of its own."""

ANSWER_SECONDS: Final = 30.0
"""How long a statement may take. A batch that takes longer fails the store."""

SILENT_SECONDS: Final = 30.0
"""After so long without a word the server ends the writer's session; it says one three times as often."""

HELD_SECONDS: Final = 10.0
"""After so long of silence inside a transaction the server ends it: a paused process must not hold up the others."""


class PostgresStore:
    """A `Store` in a PostgreSQL database. Made by `open`; used from one event loop."""

    def __init__(
        self,
        writing: Any,
        pool: Any,
        process: int,
        silent_seconds: float,
        failed: Callable[[StorageError], None] | None,
    ) -> None:
        self._pool = pool
        self._process = process
        self._failed = failed
        self._queries = Queries(pool)
        self._writer = Writer(writing, process, self._settled, silent_seconds / 3)
        self._leasing = asyncio.Lock()
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._closed: str | None = None  # why
        self._ended = False

    @classmethod
    async def open(
        cls,
        dsn: str,
        clock: Clock,
        *,
        failed: Callable[[StorageError], None] | None = None,
        silent_seconds: float = SILENT_SECONDS,
        held_seconds: float = HELD_SECONDS,
    ) -> PostgresStore:
        """Open the database at `dsn`, brought to the newest schema.

        `dsn` is a URL (`postgresql://user:password@host/database?sslmode=verify-full`), as libpq takes it.
        `failed` is called once, on the loop, if a commit fails or the session is lost: the process should stop. Raises
        `ConfigurationError` if the database cannot be used as it is, and `StorageError` if it cannot be reached.
        """
        place = _place(dsn)
        process = secrets.randbits(63)
        opened: list[Any] = []
        try:
            settings = _settings(held_seconds)
            silence = {"idle_session_timeout": f"{silent_seconds * 1000:.0f}"}
            writing = await asyncpg.connect(dsn, command_timeout=ANSWER_SECONDS, server_settings=settings | silence)
            opened.append(writing)
            await prepare(writing, place, clock.now())
            await postgres_leases.begin_life(writing, process)
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=READERS,
                reset=_as_it_is,
                command_timeout=ANSWER_SECONDS,
                server_settings=settings,
            )
            return cls(writing, pool, process, silent_seconds, failed)
        except BaseException as wrong:
            for connection in opened:
                connection.terminate()
            if isinstance(wrong, ValueError):  # its text may quote the password
                raise ConfigurationError(
                    "the database's URL cannot be understood: write postgresql://user:password@host:port/database,"
                    " and :, /, @ or % in a name or password as %3A, %2F, %40, %25"
                ) from None
            if isinstance(wrong, _UNUSABLE):
                raise ConfigurationError(f"{place} cannot be opened: {wrong}") from None
            if isinstance(wrong, FAILURES):
                raise StorageError(f"{place} cannot be opened ({type(wrong).__name__}: {wrong})") from wrong
            raise

    async def close(self) -> None:
        """Write what waits, then close. A second call does nothing."""
        if self._ended:
            return
        self._ended = True
        self._closed = self._closed or "the store is closed"
        await self._writer.stop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._pool.close()
        except FAILURES:
            self._pool.terminate()  # nothing in it waits to be written

    # Writing

    async def commit(self, rows: Sequence[Row]) -> None:
        """See `Store.commit`."""
        bound = [bind(row) for row in rows]
        await self._room.acquire()
        if self._closed is not None:
            self._room.release()
            raise StorageError(self._closed)
        waiting = Waiting(asyncio.get_running_loop().create_future(), bound)
        self._writer.put(waiting)
        await waiting.future

    def _settled(self, callers: Sequence[Waiting], failure: StorageError | None) -> None:
        for caller in callers:
            self._room.release()
            if caller.future.done():
                continue  # cancelled; what it wanted is durable all the same
            if caller.error is not None:
                caller.future.set_exception(caller.error)
            else:
                caller.future.set_result(None)
        if failure is not None and self._closed is None:
            self._closed = str(failure)
            if self._failed is not None:
                self._failed(failure)

    async def due(self, now: datetime, until: datetime, worker: str, limit: int) -> list[Operation]:
        async with self._leasing:  # in the order of asking
            self._reader()
            with reading():
                holder = postgres_leases.holder(self._process, worker)
                return await postgres_leases.lease_due(self._pool, now, until, holder, limit)

    async def release(self, operation: str, worker: str) -> None:
        self._reader()
        with reading():
            await postgres_leases.release(self._pool, operation, postgres_leases.holder(self._process, worker))

    async def lease_deliveries(self, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
        self._reader()
        with reading():
            return await postgres_webhooks.lease(self._pool, endpoint, now, until, limit)

    async def in_flight_to_doubt(self, now: datetime) -> int:
        self._reader()
        with reading():
            async with self._pool.acquire() as connection:
                return await postgres_leases.in_flight_to_doubt(connection, now, self._process)

    # Reading

    def _reader(self) -> Queries:
        if self._closed is not None:
            raise StorageError(self._closed)
        return self._queries

    async def claimed(self, client: str, key: str) -> Claimed | None:
        return await self._reader().claimed(client, key)

    async def operation(self, id: str, client: str | None = None) -> Operation | None:
        return await self._reader().operation("id = $1 AND ($2::text IS NULL OR client = $2)", id, client)

    async def operation_by_reference(self, client: str, kind: str, reference: str) -> Operation | None:
        where = "client = $1 AND kind = $2 AND reference = $3"
        return await self._reader().operation(where, client, kind, reference)

    async def operation_by_partner_key(self, connection: str, kind: str, partner_key: str) -> Operation | None:
        where, key = "connection = $1 AND kind = $2 AND partner_key = $3 AND state", (connection, kind, partner_key)
        holder = await self._reader().operation(f"{where} NOT IN ('failed', 'cancelled')", *key)
        past = f"{where} IN ('failed', 'cancelled') ORDER BY opened DESC LIMIT 1"
        return holder or await self._reader().operation(past, *key)

    async def operation_by_state_key(self, connection: str, state_key: str) -> Operation | None:
        return await self._reader().operation("connection = $1 AND state_key = $2", connection, state_key)

    async def operations(
        self,
        *,
        client: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        connection: str | None = None,
        reference: str | None = None,
        link: tuple[str, str] | None = None,
        parent: str | None = None,
        attention: bool = False,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Operation]:
        return await self._reader().operations(
            client=client,
            kind=kind,
            state=state,
            connection=connection,
            reference=reference,
            link=link,
            parent=parent,
            attention=attention,
            before=before,
            limit=limit,
        )

    async def next_due(self) -> datetime | None:
        return await self._reader().next_due()

    async def entries(self, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        return await self._reader().entries(after, limit)

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        return await self._reader().leaves(after, limit)

    async def record(self, chain: str, number: int) -> Entry | None:
        return await self._reader().record(chain, number)

    async def last_record(self, chain: str) -> Entry | None:
        return await self._reader().last_record(chain)

    async def chain(self, chain: str) -> list[Entry]:
        return await self._reader().chain(chain)

    async def events(
        self, client: str, *, after: int = 0, operation: str | None = None, limit: int = 100
    ) -> list[EventRow]:
        return await self._reader().events(client, after, operation, limit)

    async def token(self, connection: str, name: str) -> StoredToken | None:
        return await self._reader().token(connection, name)

    async def callback(self, id: str) -> StoredCallback | None:
        return await self._reader().callback(id)

    async def standing(self) -> Standing:
        self._reader()
        with reading():
            return await postgres_quarantine.standing(self._pool)

    async def quarantines(self) -> list[Quarantine]:
        self._reader()
        with reading():
            return await postgres_quarantine.quarantines(self._pool)

    async def operations_about(self, client: str, tag: str) -> list[str]:
        self._reader()
        with reading():
            return await postgres_subjects.operations_about(self._pool, client, tag)

    async def callbacks_about(self, operation: str) -> list[str]:
        self._reader()
        with reading():
            return await postgres_subjects.callbacks_about(self._pool, operation)

    # Notifications

    async def endpoint(self, id: str, client: str | None = None) -> Endpoint | None:
        return await self._reader().webhooks.endpoint(id, client)

    async def endpoints(self, client: str | None = None) -> list[Endpoint]:
        return await self._reader().webhooks.endpoints(client)

    async def endpoints_behind(self) -> list[Endpoint]:
        return await self._reader().webhooks.behind()

    async def endpoints_due(self, now: datetime) -> list[str]:
        return await self._reader().webhooks.due(now)

    async def delivery(self, endpoint: str, event: str) -> Delivery | None:
        return await self._reader().webhooks.delivery(endpoint, event)

    async def deliveries(
        self, endpoint: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 50
    ) -> list[Delivery]:
        return await self._reader().webhooks.deliveries(endpoint, state, before, limit)


_UNUSABLE: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,  # there is no such database
    asyncpg.InsufficientPrivilegeError,
)


def _settings(held_seconds: float) -> dict[str, str]:
    """What every session runs with, whatever the database's own defaults are."""
    return {
        "application_name": "lendgate",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "off",
        "synchronous_commit": "on",
        "idle_in_transaction_session_timeout": f"{held_seconds * 1000:.0f}",
        "jit": "off",  # our statements are short
    }


async def _as_it_is(connection: Any) -> None:
    """What the pool does to a connection before the next one takes it: nothing, for nobody changes its session."""


def _place(dsn: str) -> str:
    """The database's name for people, without what is secret."""
    parts = urlsplit(dsn)
    # A password with a bare slash ends up in the path.
    return "the database" if "@" in parts.path else f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"
