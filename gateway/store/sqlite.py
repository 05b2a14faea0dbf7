"""The store on SQLite: one file, one process, group commit in a writer's thread.

Rules
- Commits and leases go to the writer; point reads run on the event loop over a connection of their own; what scans
  runs in a thread over a third one. WAL lets all of them read while a batch is written.
- A caller sees its own commit: the answer comes after the transaction is durable, and a read begins after the answer.
- After a failed commit the store is closed for good: writes and reads raise `StorageError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from gateway.model.clock import Clock
from gateway.model.problems import StorageError
from gateway.store import sqlite_file, sqlite_leases, sqlite_webhooks
from gateway.store.interface import (
    Claimed,
    Entry,
    EventRow,
    Row,
    StoredCallback,
    StoredToken,
)
from gateway.store.migrate import migrate
from gateway.store.operation import Operation
from gateway.store.quarantine import Quarantine, Standing
from gateway.store.sqlite_queries import Queries, load
from gateway.store.sqlite_rows import bind
from gateway.store.sqlite_writer import Job, Waiting, Writer
from gateway.store.webhooks import Delivery, DeliveryState, Due, Endpoint

__all__ = ["SQLiteStore"]

MOST_WAITING: Final = 4096
"""Commits that may wait for the writer; whoever comes then waits for room first."""

T = TypeVar("T")


class SQLiteStore:
    """A `Store` in one file. Made by `open`; used from one event loop. `writer` decides when what waits is written."""

    def __init__(
        self,
        lock: sqlite_file.FileLock,
        writing: apsw.Connection,
        point: Queries,
        scanning: Queries,
        failed: Callable[[StorageError], None] | None,
        writer: type[Writer] = Writer,
    ) -> None:
        self._lock = lock
        self._point = point
        self._scanning = scanning
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._writer = writer(writing, self._loop, self._settled)
        self._scans = ThreadPoolExecutor(1, thread_name_prefix="store scan")
        self._gathered: list[Waiting] = []
        self._room = asyncio.Semaphore(MOST_WAITING)
        self._closed: str | None = None  # why
        self._ended = False

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        failed: Callable[[StorageError], None] | None = None,
    ) -> SQLiteStore:
        """Open the database at `path`, created if need be and brought to the newest schema.

        `failed` is called once, on the loop, if a commit fails: the process should stop. Raises `ConfigurationError`
        if the file is in use, not ours, or newer, and `StorageError` if the disk refuses.
        """
        lock = sqlite_file.FileLock(path)
        opened: list[apsw.Connection] = []
        try:
            sqlite_file.create(path)
            opened.append(sqlite_file.writer(path))
            migrate(opened[0], str(path), clock.now())
            sqlite_leases.forget_leases(opened[0])
            sqlite_webhooks.forget_leases(opened[0])
            opened += [sqlite_file.reader(path), sqlite_file.reader(path)]
            return cls(lock, opened[0], Queries(opened[1]), Queries(opened[2]), failed)
        except BaseException as wrong:
            for connection in reversed(opened):
                connection.close()
            lock.release()
            if isinstance(wrong, apsw.Error):
                raise StorageError(f"{path} cannot be opened ({type(wrong).__name__}: {wrong})") from wrong
            raise

    async def close(self) -> None:
        """Write what waits, then close. A second call does nothing."""
        if self._ended:
            return
        self._ended = True
        self._hand_over()
        self._closed = self._closed or "the store is closed"
        # The writer's connection closes last: then SQLite folds the write-ahead log into the file and removes it.
        await asyncio.to_thread(self._scans.shutdown)
        self._point.close()
        self._scanning.close()
        await asyncio.to_thread(self._writer.stop)
        self._lock.release()

    # Writing

    async def commit(self, rows: Sequence[Row]) -> None:
        """See `Store.commit`."""
        await self._wait([bind(row) for row in rows], None)

    async def due(self, now: datetime, until: datetime, worker: str, limit: int) -> list[Operation]:
        found = await self._job(partial(sqlite_leases.lease_due, now=now, until=until, worker=worker, limit=limit))
        return [load(*one) for one in found]

    async def release(self, operation: str, worker: str) -> None:
        await self._job(partial(sqlite_leases.release, operation=operation, worker=worker))

    async def in_flight_to_doubt(self, now: datetime) -> int:
        count: int = await self._job(partial(sqlite_leases.in_flight_to_doubt, now=now))
        return count

    async def lease_deliveries(self, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
        held: list[Due] = await self._job(
            partial(sqlite_webhooks.lease, endpoint=endpoint, now=now, until=until, limit=limit)
        )
        return held

    async def _job(self, job: Job) -> Any:
        return await self._wait([], job)

    async def _wait(self, rows: Sequence[Any], job: Job | None) -> Any:
        await self._room.acquire()
        if self._closed is not None:
            self._room.release()
            raise StorageError(self._closed)
        waiting = Waiting(self._loop.create_future(), rows, job)
        if not self._gathered:
            # Whoever else commits in this turn of the loop goes along: one hand-over for all.
            self._loop.call_soon(self._hand_over)
        self._gathered.append(waiting)
        return await waiting.future

    def _hand_over(self) -> None:
        if self._gathered:
            callers, self._gathered = self._gathered, []
            self._writer.put(callers)

    def _settled(self, callers: list[Waiting], failure: StorageError | None) -> None:
        for caller in callers:
            self._room.release()
            if caller.future.done():
                continue  # cancelled; what it wanted is durable all the same
            if caller.error is not None:
                caller.future.set_exception(caller.error)
            else:
                caller.future.set_result(caller.result)
        if failure is not None and self._closed is None:
            self._closed = str(failure)
            if self._failed is not None:
                self._failed(failure)

    # Reading

    def _reader(self) -> Queries:
        if self._closed is not None:
            raise StorageError(self._closed)
        return self._point

    async def _scan(self, question: Callable[[Queries], T]) -> T:
        if self._closed is not None:
            raise StorageError(self._closed)
        return await self._loop.run_in_executor(self._scans, question, self._scanning)

    async def claimed(self, client: str, key: str) -> Claimed | None:
        return self._reader().claimed(client, key)

    async def operation(self, id: str, client: str | None = None) -> Operation | None:
        return self._reader().operation(id, client)

    async def operation_by_reference(self, client: str, kind: str, reference: str) -> Operation | None:
        return self._reader().by_reference(client, kind, reference)

    async def operation_by_partner_key(self, connection: str, kind: str, partner_key: str) -> Operation | None:
        return self._reader().by_partner_key(connection, kind, partner_key)

    async def operation_by_state_key(self, connection: str, state_key: str) -> Operation | None:
        return self._reader().by_state_key(connection, state_key)

    async def next_due(self) -> datetime | None:
        return self._reader().next_due()

    async def token(self, connection: str, name: str) -> StoredToken | None:
        return self._reader().token(connection, name)

    async def callback(self, id: str) -> StoredCallback | None:
        return self._reader().callback(id)

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
        return await self._scan(
            lambda ask: ask.operations(
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
        )

    async def entries(self, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        return await self._scan(lambda ask: ask.entries(after, limit))

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        return await self._scan(lambda ask: ask.leaves(after, limit))

    async def record(self, chain: str, number: int) -> Entry | None:
        return self._reader().record(chain, number)

    async def last_record(self, chain: str) -> Entry | None:
        return self._reader().last_record(chain)

    async def chain(self, chain: str) -> list[Entry]:
        return await self._scan(lambda ask: ask.chain(chain))

    async def events(
        self, client: str, *, after: int = 0, operation: str | None = None, limit: int = 100
    ) -> list[EventRow]:
        return await self._scan(lambda ask: ask.events(client, after, operation, limit))

    async def standing(self) -> Standing:
        return self._reader().standing()

    async def quarantines(self) -> list[Quarantine]:
        return self._reader().quarantines()

    async def operations_about(self, client: str, tag: str) -> list[str]:
        return self._reader().operations_about(client, tag)

    async def callbacks_about(self, operation: str) -> list[str]:
        return self._reader().callbacks_about(operation)

    # Notifications

    async def endpoint(self, id: str, client: str | None = None) -> Endpoint | None:
        return self._reader().webhooks.endpoint(id, client)

    async def endpoints(self, client: str | None = None) -> list[Endpoint]:
        return self._reader().webhooks.endpoints(client)

    async def endpoints_behind(self) -> list[Endpoint]:
        return self._reader().webhooks.behind()

    async def endpoints_due(self, now: datetime) -> list[str]:
        return self._reader().webhooks.due(now)

    async def delivery(self, endpoint: str, event: str) -> Delivery | None:
        return self._reader().webhooks.delivery(endpoint, event)

    async def deliveries(
        self, endpoint: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 50
    ) -> list[Delivery]:
        return await self._scan(lambda ask: ask.webhooks.deliveries(endpoint, state, before, limit))
