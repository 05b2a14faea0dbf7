"""Subject keys on SQLite: a small file of its own beside the store.

Rules
- `secure_delete`: what is deleted is overwritten with zeros in the file's pages. After a destruction the write-ahead
  log, which may hold older copies of pages, is folded into the file and cut to nothing.
- One connection writes, in a thread of its own, so that no fsync waits on the event loop; another one reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import apsw

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store import sqlite_file
from gateway.store.sqlite_rows import microseconds, moment
from gateway.store.subject_keys import StoredKey

__all__ = ["SQLiteSubjectKeys"]

APPLICATION_ID: Final = 0x6C676B73
"""Bytes 68-71 of the file's header ("lgks")."""

SCHEMA: Final = """
CREATE TABLE keys (
    id      TEXT NOT NULL PRIMARY KEY,
    wrapped BLOB NOT NULL,
    kek     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_kek ON keys (kek);
CREATE TABLE names (
    tag TEXT NOT NULL PRIMARY KEY,          -- HMAC of client and subject
    key TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX names_key ON names (key);
CREATE TABLE holds (
    tag TEXT    NOT NULL PRIMARY KEY,
    at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

T = TypeVar("T")


class SQLiteSubjectKeys:
    """`SubjectKeys` in one file. Made by `open`; `read_only` opens it beside a gateway that runs."""

    def __init__(self, writing: apsw.Connection | None, reading: apsw.Connection) -> None:
        self._writing = writing
        self._reading = reading
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="subject keys")

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> SQLiteSubjectKeys:
        """Open the file, made if need be. Raises `ConfigurationError` if it is something else, `StorageError`."""
        writing = None
        try:
            if not read_only:
                sqlite_file.create(path)
                writing = sqlite_file.writer(path)
                _prepare(writing, path)
            return cls(writing, sqlite_file.reader(path))
        except apsw.Error as wrong:
            if writing is not None:
                writing.close()
            raise StorageError(f"{path} cannot be opened ({type(wrong).__name__}: {wrong})") from wrong

    async def add(self, keys: Sequence[StoredKey]) -> None:
        rows = [(key.id, key.wrapped, key.kek) for key in keys]
        await self._write(lambda db: db.executemany("INSERT INTO keys VALUES (?, ?, ?)", rows))

    async def keys(self, ids: Sequence[str]) -> list[StoredKey]:
        with _failing():
            found = (self._reading.execute("SELECT id, wrapped, kek FROM keys WHERE id = ?", (one,)).get for one in ids)
            return [StoredKey(*row) for row in found if row is not None]

    async def named(self, tag: str) -> str | None:
        with _failing():
            found: str | None = self._reading.execute("SELECT key FROM names WHERE tag = ?", (tag,)).get
            return found

    async def name(self, tag: str, id: str) -> str:
        def write(db: apsw.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO names VALUES (?, ?)", (tag, id))
            return str(db.execute("SELECT key FROM names WHERE tag = ?", (tag,)).get)

        return await self._write(write)

    async def forget_name(self, tag: str) -> None:
        await self._write(lambda db: db.execute("DELETE FROM names WHERE tag = ?", (tag,)))

    async def destroy(self, ids: Sequence[str]) -> int:
        rows = [(one,) for one in ids]

        def write(db: apsw.Connection) -> int:
            before = db.total_changes()
            db.executemany("DELETE FROM keys WHERE id = ?", rows)
            destroyed = db.total_changes() - before
            db.executemany("DELETE FROM names WHERE key = ?", rows)
            return destroyed

        destroyed = await self._write(write)
        await self._in_thread(_cut_log)
        return destroyed

    async def wrapped_by_others(self, kek: str, limit: int) -> list[StoredKey]:
        with _failing():
            query = "SELECT id, wrapped, kek FROM keys WHERE kek <> ? LIMIT ?"
            return [StoredKey(*row) for row in self._reading.execute(query, (kek, limit))]

    async def rewrap(self, keys: Sequence[StoredKey]) -> None:
        rows = [(key.wrapped, key.kek, key.id) for key in keys]
        await self._write(lambda db: db.executemany("UPDATE keys SET wrapped = ?, kek = ? WHERE id = ?", rows))
        await self._in_thread(_cut_log)

    async def hold(self, tag: str, at: datetime) -> None:
        await self._write(lambda db: db.execute("INSERT OR IGNORE INTO holds VALUES (?, ?)", (tag, microseconds(at))))

    async def release_hold(self, tag: str) -> bool:
        def write(db: apsw.Connection) -> bool:
            db.execute("DELETE FROM holds WHERE tag = ?", (tag,))
            return db.changes() > 0

        return await self._write(write)

    async def held(self, tag: str) -> datetime | None:
        with _failing():
            at = self._reading.execute("SELECT at FROM holds WHERE tag = ?", (tag,)).get
            return None if at is None else moment(at)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)
        self._reading.close()
        if self._writing is not None:
            self._writing.close()

    async def _write(self, change: Callable[[apsw.Connection], T]) -> T:
        def transaction(db: apsw.Connection) -> T:
            with db:
                done = change(db)
            return done

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        if self._writing is None:
            raise StorageError("the subject keys were opened for reading alone")
        with _failing():
            done = await asyncio.get_running_loop().run_in_executor(self._thread, work, self._writing)
        return done


def _prepare(db: apsw.Connection, path: Path) -> None:
    application = db.execute("PRAGMA application_id").get
    if application == 0 and db.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        with db:
            db.execute(SCHEMA)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif application != APPLICATION_ID:
        raise ConfigurationError(f"{path} does not hold subject keys: name another file under [vault] keys")
    db.execute("PRAGMA secure_delete = ON")


def _cut_log(db: apsw.Connection) -> None:
    """Nothing that was deleted stays in the write-ahead log."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except apsw.Error as wrong:
        raise StorageError(f"the subject keys cannot be reached ({type(wrong).__name__}: {wrong})") from wrong
