"""A process's clock: virtual time, and how far its wall clock is off."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["EPOCH", "VirtualClock"]

EPOCH = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)


class VirtualClock:
    """Reads the loop's time. `skew` is what the wall clock is off by, in seconds; it may jump."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew
        self._loop = asyncio.get_running_loop()

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.time() + self.skew)

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
