"""The database: whether it can keep what we promise, whether it is ours, and its schema.

Rules
- Whatever would make a commit mean less than "it is on disk" is refused at the start: fsync off, a standby.
- Migrations run one process at a time (advisory lock) and all in one transaction: it is the new schema or the old one.
- The schema is that which the connection's search path names first; a database of a newer version, or a schema with
  tables of something else, is refused before anything is touched.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from gateway.model.problems import ConfigurationError
from gateway.store.migrate import migrations

__all__ = ["prepare"]

OLDEST_SERVER: Final = 140000
"""PostgreSQL 14, which can end a session that falls silent."""

MIGRATION_LOCK: Final = 0x6C677465
"""The advisory lock of whoever migrates ("lgte")."""

SETTINGS: Final = (
    "SELECT current_setting('server_version_num')::int AS version, current_setting('fsync') AS fsync,"
    " current_setting('full_page_writes') AS full_page_writes, current_setting('server_encoding') AS encoding,"
    " pg_is_in_recovery() AS standby, current_schema() AS schema"
)
TABLES: Final = (
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(quote_ident($1))"
)
VERSIONS: Final = "CREATE TABLE lendgate_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL)"


async def prepare(connection: Any, place: str, now: datetime) -> None:
    """Check the database at `place` and bring it up to date.

    Raises `ConfigurationError` if it cannot keep what we promise, is not ours, or is newer.
    """
    schema = await _checked(connection, place)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        await _migrate(connection, place, schema, now)


async def _checked(connection: Any, place: str) -> str:
    """The schema to work in."""
    found = await connection.fetchrow(SETTINGS)
    if found["version"] < OLDEST_SERVER:
        raise ConfigurationError(f"{place} is PostgreSQL {found['version'] // 10000}: lendgate needs 14 or newer")
    if found["standby"]:
        raise ConfigurationError(f"{place} is a standby that cannot be written: name the primary")
    for setting in ("fsync", "full_page_writes"):
        if found[setting] != "on":
            raise ConfigurationError(f"{place} runs with {setting} = {found[setting]}: what it promises can be lost")
    if found["encoding"] != "UTF8":
        raise ConfigurationError(f"{place} is encoded in {found['encoding']}: make it with ENCODING 'UTF8'")
    if found["schema"] is None:
        raise ConfigurationError(f"{place} has no schema on the search path: create it, or name another")
    return str(found["schema"])


async def _migrate(connection: Any, place: str, schema: str, now: datetime) -> None:
    steps = migrations("postgres")
    version = await _version(connection, place, schema)
    if version > len(steps):
        raise ConfigurationError(
            f"{place} was written by a newer lendgate (schema {version}; this one knows {len(steps)}):"
            " start that version, or restore a backup made before the upgrade"
        )
    for step in steps[version:]:
        if step.version == 1:
            await connection.execute(VERSIONS)
        await connection.execute(step.sql)
        await connection.execute("INSERT INTO lendgate_schema VALUES ($1, $2)", step.version, now)


async def _version(connection: Any, place: str, schema: str) -> int:
    """The version that the schema has; 0 if it is empty."""
    tables = {name for (name,) in await connection.fetch(TABLES, schema)}
    if not tables:
        return 0
    if "lendgate_schema" not in tables:
        raise ConfigurationError(
            f"the schema {schema} of {place} holds tables of something else:"
            " give lendgate a database or a schema of its own"
        )
    version: int = await connection.fetchval("SELECT max(version) FROM lendgate_schema")
    return version
