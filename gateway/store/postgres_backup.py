"""Backups of the PostgreSQL store, which the server's own programs make: what they are called with, and what must hold.

Rules
- The password goes to them in the environment, never in an argument, where every user of the machine could read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import asyncpg

from gateway.model.problems import StorageError
from gateway.store import postgres_quarantine
from gateway.store.quarantine import Standing

__all__ = ["DUMP", "dump_command", "environment", "restore_command", "standing"]

DUMP: Final = "lendgate.dump"

RUNNING: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lendgate' AND datname = current_database()"
)


def dump_command(url: str, target: str) -> list[str]:
    """What makes a dump of the store at `url`."""
    place, schema = _for_programs(url)
    only = [f"--schema={schema}"] if schema else []
    return ["pg_dump", "--format=custom", "--no-owner", *only, f"--file={target}", f"--dbname={place}"]


def restore_command(url: str, source: str) -> list[str]:
    """What puts a dump back, all of it or nothing."""
    options = ["--clean", "--if-exists", "--no-owner", "--single-transaction", "--exit-on-error"]
    return ["pg_restore", *options, f"--dbname={_for_programs(url)[0]}", source]


def environment(url: str) -> Mapping[str, str]:
    """The environment of both, with the password."""
    password = urlsplit(url).password
    return {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}


async def standing(url: str) -> tuple[Standing | None, int]:
    """Which store is there (None: none yet), and how many sessions of gateways it has. Raises `StorageError`."""
    try:
        connection = await asyncpg.connect(url)
        try:
            there = await connection.fetchval("SELECT to_regclass('store_identity')")
            found = await postgres_quarantine.standing(connection) if there else None
            return found, await connection.fetchval(RUNNING)
        finally:
            await connection.close()
    except (asyncpg.PostgresError, OSError, ValueError) as wrong:
        raise StorageError(f"the database cannot be reached ({type(wrong).__name__})") from None


def _for_programs(url: str) -> tuple[str, str | None]:
    """The URL without its password and without what libpq does not know, and the schema that it names."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    schema = next((value for name, value in query if name == "search_path"), None)
    left = urlencode([(name, value) for name, value in query if name != "search_path"])
    user, _, place = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"postgresql://{f'{name}@' if name else ''}{place}{parts.path}{f'?{left}' if left else ''}", schema
