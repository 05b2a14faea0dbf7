"""The store of a story: the real SQL over a database in memory, written when the seed says so.

Rules
- A commit takes virtual time, in two parts: until it is durable, and until those who wait hear of it. A crash in the
  first part drops it, one in the second leaves it durable and untold.
- Several gateways may share one database, as they would share a server: each has a store object, a writer and numbers
  of its own, which it asks for again after somebody else has written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, cast

import apsw

from gateway.model.problems import StorageError
from gateway.store import sqlite_file, sqlite_leases, sqlite_webhooks
from gateway.store.migrate import migrate
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_batch import Batch
from gateway.store.sqlite_queries import Queries
from gateway.store.sqlite_writer import Waiting, Writer
from tests.simulation.clock import EPOCH
from tests.simulation.loop import Life

__all__ = ["Database"]

Settled = Callable[[list[Waiting], StorageError | None], None]
NUMBERED = (("row", "operations"), ("position", "records"), ("cursor", "events"))
_empty: list[bytes] = []


def _template() -> bytes:
    """A migrated database without a row; made once a process, because migrations take longer than a story."""
    if not _empty:
        connection = apsw.Connection(":memory:")
        migrate(connection, "the simulated store", EPOCH)
        _empty.append(connection.serialize("main"))
    return _empty[0]


class _NoLock:
    """Nobody else can open what is in memory."""

    def release(self) -> None:
        """There is nothing to release."""


class _SeededWriter(Writer):
    """The real transaction, without the thread: when it is written is up to the database."""

    def __init__(self, database: Database, life: Life, settled: Settled) -> None:  # the real one starts its thread
        self._connection = database.connection
        self._batch = Batch(database.connection)
        self._failure = None
        self._database = database
        self.life = life
        self.settled = settled

    def put(self, callers: list[Waiting]) -> None:
        self._database.put(self, callers)

    def write(self, callers: list[Waiting], *, overtaken: bool) -> None:
        """Make them durable, or say why not, in `callers` themselves."""
        if overtaken:
            last = (f"SELECT max({number}) FROM {table}" for number, table in NUMBERED)
            self._batch.numbers.overtaken(*(self._connection.execute(query).get or 0 for query in last))
        self._write(callers)

    def stop(self) -> None:
        """A crash is the only end."""


class Database:
    """A database server in memory. `leased(life)` is told whenever somebody was handed work."""

    def __init__(self, chance: Random, leased: Callable[[Life], None]) -> None:
        self.connection = apsw.Connection(":memory:", statementcachesize=256)
        self.connection.deserialize("main", _template())
        self._chance = chance
        self._leased = leased
        self._waiting: list[tuple[_SeededWriter, list[Waiting]]] = []
        self._life = Life("database")
        self._last: _SeededWriter | None = None

    def open(self, life: Life) -> SQLiteStore:
        """A store object for one process."""

        def port(connection: apsw.Connection, loop: asyncio.AbstractEventLoop, settled: Settled) -> Writer:
            return _SeededWriter(self, life, settled)

        return SQLiteStore(
            cast(sqlite_file.FileLock, _NoLock()),
            self.connection,
            Queries(self.connection),
            Queries(self.connection),
            None,
            cast(type[Writer], port),
        )

    def crash(self) -> None:
        """Power is cut: what was not committed is gone; a new start forgets leases, as the real one does."""
        self._life.alive = False
        self._life = Life("database")
        self._waiting.clear()
        sqlite_leases.forget_leases(self.connection)
        sqlite_webhooks.forget_leases(self.connection)

    def one(self, query: str, *values: Any) -> Any:
        """The first row of an oracle's question (its only value where there is one column), or None."""
        return self.connection.execute(query, values).get

    def all(self, query: str, *values: Any) -> list[Any]:
        """All rows of an oracle's question."""
        return self.connection.execute(query, values).fetchall()

    def put(self, writer: _SeededWriter, callers: list[Waiting]) -> None:
        """Let them wait for the next transaction."""
        if not self._waiting:
            pause = self._chance.choice((0.0005, 0.002, 0.002, 0.02, 0.2))
            asyncio.get_running_loop().call_later(pause, self._write, context=self._life.context)
        self._waiting.append((writer, callers))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if self._chance.random() < 0.3:  # what a process asked for just before it died, may get lost on the way
            waiting = [one for one in waiting if one[0].life.alive]
        batches: dict[_SeededWriter, list[Waiting]] = {}
        for writer, callers in waiting:
            batches.setdefault(writer, []).extend(callers)
        for writer, batch in batches.items():
            writer.write(batch, overtaken=self._last is not writer)
            self._last = writer
        pause = self._chance.choice((0.0, 0.001, 0.001, 0.05))
        asyncio.get_running_loop().call_later(pause, self._tell, batches, context=self._life.context)

    def _tell(self, batches: dict[_SeededWriter, list[Waiting]]) -> None:
        for writer, callers in batches.items():
            if writer.life.alive:
                writer.settled(
                    callers, next((one.error for one in callers if isinstance(one.error, StorageError)), None)
                )
            if any(caller.job is not None and caller.result for caller in callers):
                self._leased(writer.life)
