"""Backup, restore and quarantine as an operator types them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.sandbox import serve
from gateway.service.load import load
from gateway.service.open import opened
from tests.api.house import KEYS, housed
from tests.api.test_quarantine import restored
from tests.cli.conftest import Run
from tests.cli.gateway_folder import prepare
from tests.riverbank_simulator import RiverbankSimulator


async def test_a_backup_is_taken_put_back_and_announces_the_quarantine(
    run: Run, folder: Path, riverbank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await serve(RiverbankSimulator, folder / "bank") as bank:
        configuration = load(prepare(folder, bank, 0))
        async with opened(configuration):
            made = await asyncio.to_thread(run, "backup", "first")
            running = await asyncio.to_thread(run, "restore", "first")
        refused = await asyncio.to_thread(run, "restore", "first")
        put_back = await asyncio.to_thread(run, "restore", "first", "--replace")
        async with opened(configuration) as gateway:
            held = list(gateway.quarantine.standing())

    assert "verified" in made.output
    assert running.exit_code == 2 and "is open in another process" in running.output
    assert refused.exit_code == 2 and "a newer store stands there" in refused.output
    assert "lendgate quarantine clear" in put_back.output
    assert held == ["riverbank"]


async def test_an_operator_sees_why_and_clears_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "house").mkdir()
    async with housed(tmp_path / "house") as house:
        as_operator = ("--url", house.url, "--key", KEYS["operator"])
        nothing = await asyncio.to_thread(run, "quarantine", "show", *as_operator)
        await restored(house)
        shown = await asyncio.to_thread(run, "quarantine", "show", *as_operator)
        cleared = await asyncio.to_thread(run, "quarantine", "clear", "--reason", "compared", *as_operator)
        again = await asyncio.to_thread(run, "quarantine", "clear", "--reason", "compared", *as_operator)

    assert nothing.output == "Nothing is in quarantine.\n"
    assert "riverbank" in shown.output and "the store was put back" in shown.output
    assert "Cleared on your word" in cleared.output
    assert again.exit_code == 1 and "There is nothing to clear" in again.output
