"""The fictional bank's plugin as if installed, the bank itself, and a gateway's configuration with both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.sandbox import Running, serve
from gateway.service.config import Configuration
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.installed import RIVERBANK, installed
from tests.service.restored_house import configured


@pytest.fixture
def riverbank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "site").mkdir()
    with installed(tmp_path / "site", monkeypatch, riverbank=RIVERBANK):
        yield


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Running[RiverbankSimulator]]:
    async with await serve(RiverbankSimulator, tmp_path / "bank") as running:
        yield running


@pytest.fixture
def forgetful(bank: Running[RiverbankSimulator]) -> None:
    bank.simulator.remembers = False  # whatever is sent twice moves money twice


@pytest.fixture
def configuration(tmp_path: Path, bank: Running[RiverbankSimulator]) -> Configuration:
    return configured(tmp_path, bank)
