"""Numbered migrations: a database is brought to the schema that this version knows, or refused.

Rules
- A migration is `migrations/<back end>/NNNN_<what>.sql`; once released it is never changed.
- Each runs in a transaction of its own, together with the row that says so.
- A database of a newer version, or one that is not ours, is refused before anything is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Final

import apsw

from gateway.model.problems import ConfigurationError

__all__ = ["APPLICATION_ID", "Migration", "migrate", "migrations"]

APPLICATION_ID: Final = 0x6C677465
"""Bytes 68-71 of the file's header ("lgte"), by which `file` and we know a database as ours."""

VERSIONS: Final = "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    version: int
    name: str
    sql: str


def migrations(back_end: str) -> list[Migration]:
    """All steps for `back_end`, in order, numbered from 1 without a gap."""
    folder = resources.files("gateway.store") / "migrations" / back_end
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    found = [Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")) for file in files]
    assert [one.version for one in found] == list(range(1, len(found) + 1)), "a migration is missing or numbered twice"
    return found


def migrate(connection: apsw.Connection, place: str, now: datetime) -> None:
    """Bring the database at `place` up to date. Raises `ConfigurationError` if it is not ours, or newer."""
    steps = migrations("sqlite")
    version = _version(connection, place)
    if version > len(steps):
        raise ConfigurationError(
            f"{place} was written by a newer lendgate (schema {version}; this one knows {len(steps)}):"
            " start that version, or restore a backup made before the upgrade"
        )
    for step in steps[version:]:
        with connection:
            if step.version == 1:
                connection.execute(VERSIONS)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(step.sql)
            connection.execute("INSERT INTO schema_version VALUES (?, ?)", (step.version, now.isoformat()))


def _version(connection: apsw.Connection, place: str) -> int:
    """The schema that the database has; 0 if it is empty."""
    application = connection.execute("PRAGMA application_id").get
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if application == 0 and tables == 0:
        return 0
    if application != APPLICATION_ID:
        raise ConfigurationError(f"{place} is a database of something else: name another file")
    version: int = connection.execute("SELECT max(version) FROM schema_version").get
    return version
