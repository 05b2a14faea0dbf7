"""Which store a configuration means: one SQLite file, or a PostgreSQL database that several processes share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.model.clock import Clock, SystemClock
from gateway.model.problems import ConfigurationError, StorageError
from gateway.service.config import Configuration
from gateway.store.interface import Entry, Store
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_file import reader
from gateway.store.sqlite_queries import Queries

__all__ = ["entries", "open_store", "operations_under", "place_of"]

PAGE = 1000

Failed = Callable[[StorageError], None]


async def open_store(configuration: Configuration, clock: Clock, failed: Failed | None = None) -> Store:
    """Open it. Raises `ConfigurationError` if it cannot be used as it is, `StorageError` if it cannot be reached."""
    url = configuration.gateway.database_url
    if url is not None:
        try:
            # The driver is an extra: whoever runs on SQLite does not need it.
            from gateway.store.postgres import PostgresStore
        except ImportError:
            what = "PostgreSQL needs its driver; pip install 'lendgate[postgres]'"
            raise ConfigurationError(configuration.places.say(("gateway", "database_url"), what)) from None
        return await PostgresStore.open(url.get_secret_value(), clock, failed=failed)
    folder = configuration.database.parent
    if not folder.is_dir():
        what = f"the folder {folder} does not exist; make it, for the gateway's user alone"
        raise ConfigurationError(configuration.places.say(("gateway", "database"), what))
    return await SQLiteStore.open(configuration.database, clock, failed=failed)


def place_of(configuration: Configuration) -> str:
    """Where the store is, for people; a URL may hold a password and is not shown."""
    return str(configuration.database) if configuration.gateway.database_url is None else "the PostgreSQL database"


def entries(configuration: Configuration) -> Iterator[Entry]:
    """Every record in the order of the store, also while gateways run on it.

    Raises `ConfigurationError` if there is no store yet, `StorageError` if it cannot be read.
    """
    if configuration.gateway.database_url is not None:
        return _from_postgres(configuration)
    return _from_sqlite(configuration)


def operations_under(configuration: Configuration, reference: str) -> list[str]:
    """The ids of the operations that platforms gave this reference, also while gateways run on the store.

    Raises `ConfigurationError` if there is no store yet, `StorageError` if it cannot be read.
    """
    if configuration.gateway.database_url is not None:
        return asyncio.run(_under(configuration, reference))
    connection = reader(_file(configuration))
    try:
        found = Queries(connection).operations(
            client=None,
            kind=None,
            state=None,
            connection=None,
            reference=reference,
            link=None,
            parent=None,
            attention=False,
            before=None,
            limit=PAGE,
        )
    finally:
        connection.close()
    return [operation.id for operation in found]


async def _under(configuration: Configuration, reference: str) -> list[str]:
    store = await open_store(configuration, SystemClock())
    try:
        return [operation.id for operation in await store.operations(reference=reference, limit=PAGE)]
    finally:
        await store.close()


def _file(configuration: Configuration) -> Path:
    if not configuration.database.is_file():
        raise ConfigurationError(
            f"there is no database {configuration.database}; has a gateway run with this configuration?"
        )
    return configuration.database


def _from_sqlite(configuration: Configuration) -> Iterator[Entry]:
    """Straight from the file: the lock that a gateway holds is not needed to read."""
    connection = reader(_file(configuration))
    try:
        queries = Queries(connection)
        page = queries.entries(0, PAGE)
        while page:
            yield from page
            page = queries.entries(page[-1].position, PAGE)
    finally:
        connection.close()


def _from_postgres(configuration: Configuration) -> Iterator[Entry]:
    with asyncio.Runner() as runner:
        store = runner.run(open_store(configuration, SystemClock()))
        try:
            page = runner.run(store.entries(limit=PAGE))
            while page:
                yield from page
                page = runner.run(store.entries(after=page[-1].position, limit=PAGE))
        finally:
            runner.run(store.close())
