"""A journal with repeatable time and chance, a real store, and a small history in it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.journal import Journal
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(os.urandom(32))


@pytest.fixture
def journal(clock: ManualClock, sealer: Sealer) -> Journal:
    return Journal(Identifiers(clock.now), clock, "sandbox", "proc_1", sealer.seal)


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[SQLiteStore]:
    opened = await SQLiteStore.open(tmp_path / "lendgate.db", clock)
    yield opened
    await opened.close()
