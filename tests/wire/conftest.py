"""Fixtures of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.wire.way import Way


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    way = Way()
    yield way
    await way.close()
