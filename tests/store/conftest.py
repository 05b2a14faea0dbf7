"""The back ends that the store's behaviours are checked on. Each gives an open, empty store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.store.interface import Store
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from tests.store.postgres_server import PostgresServer


async def sqlite(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path")
    return await SQLiteStore.open(folder / "lendgate.db", ManualClock())


async def postgres(request: pytest.FixtureRequest) -> Store:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return await PostgresStore.open(await server.schema(), ManualClock())


BACK_ENDS: dict[str, Callable[..., object]] = {"sqlite": sqlite, "postgres": postgres}


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for each process that runs tests, started by the first test that needs it."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture
async def dsn(postgres_server: PostgresServer) -> str:
    """The URL of an empty PostgreSQL schema."""
    return await postgres_server.schema()


@pytest.fixture(params=sorted(BACK_ENDS))
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    opened = await BACK_ENDS[request.param](request)  # type: ignore[misc] # each back end opens asynchronously
    yield opened
    await opened.close()
