"""The part of a gateway that notifies, and a platform that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.operations.lending_platform import Office, Platform, listening, office


@pytest.fixture
async def lender(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as opened:
        yield opened
