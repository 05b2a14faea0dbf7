"""The back ends that the store's behaviours are checked on. Each gives an open, empty store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.store.interface import Store
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock


async def sqlite(folder: Path) -> Store:
    return await SQLiteStore.open(folder / "lendgate.db", ManualClock())


BACK_ENDS: dict[str, Callable[..., object]] = {"sqlite": sqlite}


@pytest.fixture(params=sorted(BACK_ENDS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await BACK_ENDS[request.param](tmp_path)  # type: ignore[misc] # each back end opens asynchronously
    yield opened
    await opened.close()
