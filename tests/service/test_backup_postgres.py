"""Backup, restore and quarantine on PostgreSQL, by the server's own programs."""

from __future__ import annotations

import os
from asyncio import to_thread
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError
from gateway.model.states import State
from gateway.sandbox import Running
from gateway.service.backup import back_up, restore
from gateway.service.config import Configuration
from gateway.service.open import opened
from gateway.store.postgres_backup import dump_command, environment
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.restored_house import configured, effects, pay
from tests.store.postgres_server import PostgresServer, installation

NOW = datetime(2026, 3, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("riverbank", "forgetful")


@pytest.fixture
def configuration(tmp_path: Path, bank: Running[RiverbankSimulator]) -> Iterator[Configuration]:
    server = PostgresServer()
    yield configured(tmp_path, bank, gateway=f'database_url = "file:{_written(tmp_path, server.dsn())}"')
    server.stop()


def _written(folder: Path, url: str) -> Path:
    place = folder / "database"
    place.write_text(url)
    return place


async def test_what_was_done_after_the_dump_is_not_done_again(
    configuration: Configuration,
    bank: Running[RiverbankSimulator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", f"{installation() / 'bin'}{os.pathsep}{os.environ['PATH']}")
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
        await to_thread(back_up, configuration, tmp_path / "first", NOW)
        await pay(gateway, "P-2")
        with pytest.raises(ConfigurationError, match="stop all of them first"):
            await to_thread(restore, configuration, tmp_path / "first", NOW, replace=True)
    with pytest.raises(ConfigurationError, match="a newer store stands there"):
        await to_thread(restore, configuration, tmp_path / "first", NOW)

    await to_thread(restore, configuration, tmp_path / "first", NOW, replace=True)
    async with opened(configuration) as gateway:
        again = await pay(gateway, "P-2")
        held = gateway.quarantine.standing()

    assert held["riverbank"][0].cause == "restored from first"
    assert again.operation.state is State.SUCCEEDED
    assert effects(bank, "payment") == 2


async def test_where_its_programs_are_missing_the_command_is_told(
    configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(configuration):
        pass
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConfigurationError, match="pg_dump is not installed here; where it is, run:\n  pg_dump "):
        await to_thread(back_up, configuration, tmp_path / "first", NOW)

    assert not list(tmp_path.glob("first*"))


def test_the_password_is_in_no_argument() -> None:
    url = "postgresql://lendgate:s%40cret@db.example/lendgate?sslmode=verify-full&search_path=ours"

    command = dump_command(url, "x")

    assert command[-1] == "--dbname=postgresql://lendgate@db.example/lendgate?sslmode=verify-full"
    assert "--schema=ours" in command
    assert environment(url)["PGPASSWORD"] == "s@cret"
