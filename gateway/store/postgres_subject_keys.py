"""Subject keys on PostgreSQL: tables in a schema of their own, in the store's database or in another one.

Rules
- Nothing else stands in the schema, so that a backup can leave it out, or take it alone.
- PostgreSQL keeps a deleted row in its file until a vacuum, and in its write-ahead log until that is recycled. So a
  destruction vacuums the table; what is left in the log and in standby servers goes with their retention.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import asyncpg

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store.postgres_queries import FAILURES
from gateway.store.subject_keys import StoredKey

__all__ = ["PostgresSubjectKeys"]

SCHEMA: Final = "SELECT CASE current_schema() WHEN 'public' THEN 'lendgate' ELSE current_schema() END || '_keys'"
"""`lendgate_keys`; where the URL names another schema than `public`, the one named after that."""

LOCK: Final = 0x6C676B73
"""The advisory lock of whoever makes the tables ("lgks")."""

TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.keys (
    id      text  COLLATE "C" PRIMARY KEY,
    wrapped bytea NOT NULL,
    kek     text  COLLATE "C" NOT NULL
);
CREATE INDEX IF NOT EXISTS keys_kek ON {schema}.keys (kek);
CREATE TABLE IF NOT EXISTS {schema}.names (
    tag text COLLATE "C" PRIMARY KEY,       -- HMAC of client and subject
    key text COLLATE "C" NOT NULL
);
CREATE INDEX IF NOT EXISTS names_key ON {schema}.names (key);
CREATE TABLE IF NOT EXISTS {schema}.holds (
    tag text COLLATE "C" PRIMARY KEY,
    at  timestamptz NOT NULL
);
"""
SESSIONS: Final = 4
ANSWER_SECONDS: Final = 30.0


class PostgresSubjectKeys:
    """`SubjectKeys` in a PostgreSQL database. Made by `open`."""

    def __init__(self, pool: Any, schema: str) -> None:
        self._pool = pool
        self._schema = schema

    @classmethod
    async def open(cls, dsn: str) -> PostgresSubjectKeys:
        """Open it; the tables are made if need be. Raises `ConfigurationError`, `StorageError`."""
        pool = None
        try:
            pool = await asyncpg.create_pool(dsn, min_size=1, max_size=SESSIONS, command_timeout=ANSWER_SECONDS)
            async with pool.acquire() as one, one.transaction():
                await one.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
                schema = await one.fetchval(SCHEMA)
                await one.execute(TABLES.format(schema=schema))
            return cls(pool, schema)
        except ValueError:  # its text may quote the password
            what = "the URL of the subject keys cannot be understood: write postgresql://user:password@host/database"
            raise ConfigurationError(what) from None
        except (*FAILURES, asyncpg.PostgresError) as wrong:
            if pool is not None:
                pool.terminate()
            raise StorageError(f"the subject keys cannot be opened ({type(wrong).__name__}: {wrong})") from wrong

    async def add(self, keys: Sequence[StoredKey]) -> None:
        columns = ([one.id for one in keys], [one.wrapped for one in keys], [one.kek for one in keys])
        await self._run(
            "INSERT INTO {0}.keys SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[])",
            *columns,
        )

    async def keys(self, ids: Sequence[str]) -> list[StoredKey]:
        found = await self._all("SELECT id, wrapped, kek FROM {0}.keys WHERE id = ANY($1::text[])", list(ids))
        return [StoredKey(*row) for row in found]

    async def named(self, tag: str) -> str | None:
        found = await self._all("SELECT key FROM {0}.names WHERE tag = $1", tag)
        return found[0][0] if found else None

    async def name(self, tag: str, id: str) -> str:
        await self._run("INSERT INTO {0}.names VALUES ($1, $2) ON CONFLICT DO NOTHING", tag, id)
        named = await self.named(tag)
        if named is None:  # somebody erased it in between
            return await self.name(tag, id)
        return named

    async def forget_name(self, tag: str) -> None:
        await self._run("DELETE FROM {0}.names WHERE tag = $1", tag)

    async def destroy(self, ids: Sequence[str]) -> int:
        found = await self._all("DELETE FROM {0}.keys WHERE id = ANY($1::text[]) RETURNING id", list(ids))
        await self._run("DELETE FROM {0}.names WHERE key = ANY($1::text[])", list(ids))
        if found:
            await self._run("VACUUM {0}.keys")
        return len(found)

    async def wrapped_by_others(self, kek: str, limit: int) -> list[StoredKey]:
        found = await self._all("SELECT id, wrapped, kek FROM {0}.keys WHERE kek <> $1 LIMIT $2", kek, limit)
        return [StoredKey(*row) for row in found]

    async def rewrap(self, keys: Sequence[StoredKey]) -> None:
        columns = ([one.id for one in keys], [one.wrapped for one in keys], [one.kek for one in keys])
        await self._run(
            "UPDATE {0}.keys SET wrapped = new.wrapped, kek = new.kek"
            " FROM unnest($1::text[], $2::bytea[], $3::text[]) AS new (id, wrapped, kek) WHERE keys.id = new.id",
            *columns,
        )

    async def hold(self, tag: str, at: datetime) -> None:
        await self._run("INSERT INTO {0}.holds VALUES ($1, $2) ON CONFLICT DO NOTHING", tag, at)

    async def release_hold(self, tag: str) -> bool:
        return bool(await self._all("DELETE FROM {0}.holds WHERE tag = $1 RETURNING tag", tag))

    async def held(self, tag: str) -> datetime | None:
        found = await self._all("SELECT at FROM {0}.holds WHERE tag = $1", tag)
        return found[0][0] if found else None

    async def close(self) -> None:
        await self._pool.close()

    async def _all(self, query: str, *values: Any) -> list[Any]:
        with _failing():
            found: list[Any] = await self._pool.fetch(query.format(self._schema), *values)
            return found

    async def _run(self, query: str, *values: Any) -> None:
        with _failing():
            await self._pool.execute(query.format(self._schema), *values)


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except (*FAILURES, asyncpg.PostgresError) as wrong:
        raise StorageError(f"the subject keys cannot be reached ({type(wrong).__name__}: {wrong})") from wrong
