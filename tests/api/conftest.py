"""The house that most tests of the API call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.house import Caller, House, housed


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as open_house:
        yield open_house


@pytest.fixture
def shop(house: House) -> Caller:
    return house.caller("shop")
