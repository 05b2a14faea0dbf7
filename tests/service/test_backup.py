"""A backup is the store at one instant, and whoever puts it back starts in quarantine."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError, StorageError
from gateway.model.states import State
from gateway.sandbox import Running
from gateway.service.backup import back_up, read_manifest, restore
from gateway.service.config import Configuration
from gateway.service.open import opened
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.restored_house import ENVIRONMENT, effects, pay

NOW = datetime(2026, 3, 1, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("riverbank", "forgetful")


async def test_it_is_taken_while_the_gateway_runs_and_holds_what_is_durable(
    configuration: Configuration, tmp_path: Path
) -> None:
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
        standing = await gateway.store.standing()
        manifest = back_up(configuration, tmp_path / "first", NOW)

    assert (manifest.store, manifest.number) == (standing.identity, standing.number)
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == ["backup.json", "lendgate.db"]


async def test_it_holds_no_secret(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration):
        back_up(configuration, tmp_path / "first", NOW)

    held = b"".join(path.read_bytes() for path in (tmp_path / "first").iterdir())
    assert ENVIRONMENT["INSTALLATION"].encode() not in held
    assert bytes.fromhex(ENVIRONMENT["INSTALLATION"]) not in held
    assert json.loads((tmp_path / "first" / "backup.json").read_text())["configuration"] == configuration.places.digest


async def test_what_was_done_after_it_is_not_done_again(
    configuration: Configuration, bank: Running[RiverbankSimulator], tmp_path: Path
) -> None:
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
        back_up(configuration, tmp_path / "first", NOW)
        await pay(gateway, "P-2")

    said = restore(configuration, tmp_path / "first", NOW, replace=True)
    async with opened(configuration) as gateway:
        again = await pay(gateway, "P-2")
        held = gateway.quarantine.standing()

    assert "is kept as" in said[0]
    assert held["riverbank"][0].cause == "restored from first"
    assert again.operation.state is State.SUCCEEDED
    assert effects(bank, "payment") == 2


async def test_it_starts_a_quarantine_also_where_nothing_was_lost(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    back_up(configuration, tmp_path / "first", NOW)

    restore(configuration, tmp_path / "first", NOW)

    async with opened(configuration) as gateway:
        assert list(gateway.quarantine.standing()) == ["riverbank"]


async def test_a_newer_store_is_replaced_only_on_demand(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration) as gateway:
        back_up(configuration, tmp_path / "first", NOW)
        await pay(gateway, "P-1")

    with pytest.raises(ConfigurationError, match="a newer store stands there"):
        restore(configuration, tmp_path / "first", NOW)


async def test_nothing_is_put_under_a_running_gateway(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration):
        back_up(configuration, tmp_path / "first", NOW)

        with pytest.raises(ConfigurationError, match="is open in another process"):
            restore(configuration, tmp_path / "first", NOW, replace=True)


async def test_a_backup_that_was_changed_is_refused(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration):
        back_up(configuration, tmp_path / "first", NOW)
    file = tmp_path / "first" / "lendgate.db"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")

    with pytest.raises(StorageError, match="is not what was backed up"):
        read_manifest(tmp_path / "first")


async def test_a_folder_that_is_there_is_not_written_to(configuration: Configuration, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()

    with pytest.raises(ConfigurationError, match="is there already"):
        back_up(configuration, tmp_path / "first", NOW)
