"""What every campaign plays on: the bank, the gateways' folders, the zygote and the shop; and how it ends.

At the end the weather calms down, the shop takes up what was left without an answer, every gateway runs on until
nothing is in doubt any more, and is told to stop. What is not settled by then counts as wrong.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.crash.bank import OxbowSimulator
from bench.crash.killing import START_SECONDS
from bench.crash.ledgers import Found, compare
from bench.crash.processes import Child, Zygote, zygote
from bench.crash.shop import Shop
from bench.crash.sites import Site, plugin_site, sites
from gateway.sandbox import Running, serve

__all__ = ["Stage", "stage"]

SETTLE_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0


@dataclass(slots=True)
class Stage:
    """Everything of one campaign."""

    bank: OxbowSimulator
    zygote: Zygote
    sites: list[Site]
    shop: Shop
    strange: list[str] = field(default_factory=list)  # what processes did that they should not
    left: int = 0  # calls that the shop took up at the end
    settled_seconds: float = 0.0

    @property
    def acting(self) -> asyncio.Event:
        """Set whenever an act arrives at the bank."""
        return self.bank.acting

    async def start(self, gateway: int) -> Child:
        """Start the process of one gateway."""
        return await self.zygote.start(self.sites[gateway].folder)

    async def end(self) -> Found:
        """Settle everything, stop the gateways and compare the ledgers."""
        self.bank.weather.calm = True
        began = time.monotonic()
        gateways = [await self.start(number) for number in range(len(self.sites))]
        for site, gateway in zip(self.sites, gateways, strict=True):
            if not await gateway.ready(START_SECONDS):
                raise RuntimeError(f"{site.name} does not start any more; see {site.folder / 'gateway.log'}")
        await self.shop.stop()
        self.left = await self.shop.take_up()
        await self._settled()
        self.settled_seconds = time.monotonic() - began
        for site, gateway in zip(self.sites, gateways, strict=True):
            await self._stop(site, gateway)
        return await asyncio.to_thread(compare, self.bank, [self.shop], self.sites)

    async def _settled(self) -> None:
        stores = self.sites if self.sites[0].database_url is None else self.sites[:1]
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            if not sum([await asyncio.to_thread(site.unsettled) for site in stores]):
                return
            await asyncio.sleep(0.25)

    async def _stop(self, site: Site, gateway: Child) -> None:
        gateway.send(signal.SIGTERM)
        status = await asyncio.wait_for(asyncio.shield(gateway.ended), STOP_SECONDS)
        if status != 0:
            self.strange.append(f"{site.name} was told to stop and ended with {status}")


@asynccontextmanager
async def stage(folder: Path, seed: int, *, database_url: str | None = None, gateways: int = 1) -> AsyncIterator[Stage]:
    """Set it up in an empty folder: the shop begins at once, and nobody is there to answer it yet."""
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a killed gateway hangs up in the middle of a word
    async with await serve(OxbowSimulator, folder / "dev" / "oxbow") as bank:
        yielded = _furnish(folder, bank, seed, database_url, gateways)
        async with yielded as ready:
            yield ready


@asynccontextmanager
async def _furnish(
    folder: Path, bank: Running[OxbowSimulator], seed: int, database_url: str | None, gateways: int
) -> AsyncIterator[Stage]:
    bank.simulator.seed(seed)
    places = sites(folder, bank, database_url, gateways)
    bank.simulator.callback_url = places[-1].callback_url()
    async with zygote(plugin_site(folder)) as forks:
        shop = Shop([place.url for place in places], places[0].api_key(), seed)
        try:
            yield Stage(bank.simulator, forks, places, shop)
        finally:
            await shop.close()
