"""What happens otherwise: the naive gateway under the same accidents and kills, with two kinds of clients.

- The careful client keeps its key and reference over all attempts. `bench/naive_gateway.py` does everything that its
  documentation teaches (key, unique reference, signature, intent on disk), but after a crash or a lost reply it never
  asks the bank what became of a payment: the money has moved, and nobody who called ever learns it.
- The blind client takes a new key and a new reference for each attempt, so that something comes back at all: it pays
  again what had been paid.

Its bank takes each order once, under the number that the gateway gives it, and its ledger counts by what the shop
wanted.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bench.crash.bank import Weather
from bench.crash.killing import Killed, Killer
from bench.crash.processes import Child, Zygote, zygote
from bench.crash.shop import Shop, Told
from gateway.model.clock import Clock
from gateway.sandbox import Effect, Onboarding, Simulator, rsa_key, serve

__all__ = ["Otherwise", "installed", "otherwise", "show"]

KEY: Final = "naive-key"


def installed() -> bool:
    """Whether the naive gateway can run (the extra `bench`)."""
    return all(find_spec(name) is not None for name in ("aiosqlite", "fastapi", "httpx", "uvicorn"))


class CounterSimulator(Simulator):
    """Takes orders as `bench/naive_gateway.py` signs them. The subject of an order says what the shop wanted."""

    name = "counter"

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        self.acting = asyncio.Event()
        self._private = rsa_key(directory / "partner-private.pem")
        self._orders: set[str] = set()

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        rsa_key(directory / "own.pem")
        rsa_key(directory / "partner-private.pem")
        (directory / "partner.pem").write_bytes((directory / "partner-private.pub").read_bytes())
        return Onboarding(settings={}, hosts=(url.removeprefix("http://"),))

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.post("/payments", self.take)]

    def operation(self, request: web.Request, body: bytes) -> str:
        self.acting.set()
        return "POST payments"

    async def take(self, request: web.Request) -> web.Response:
        order = json.loads(await request.read())
        if order["order"] not in self._orders:
            self._orders.add(order["order"])
            amount = Decimal(order["cents"]) / 100
            self.ledger.record(Effect("payment", order["subject"], self.clock.now(), amount, order["currency"]))
        said = json.dumps({"code": "PAID", "transaction": order["order"]}).encode()
        signature = self._private.sign(said, padding.PKCS1v15(), hashes.SHA256())
        return web.Response(body=said, headers={"X-Signature": base64.b64encode(signature).decode()})


class NaiveShop(Shop):
    """The shop of the campaigns, with payments only. `blind`: each attempt is a new call."""

    def __init__(self, seed: int, *, blind: bool) -> None:
        self.address = "http://127.0.0.1:1"  # until the first gateway has said where it listens
        self._blind = blind
        super().__init__([], KEY, seed)

    def url(self) -> str:
        return self.address

    def key(self, call: Told) -> str:
        return f"{super().key(call)}-{call.attempts}" if self._blind else super().key(call)

    def body(self, call: Told) -> dict[str, Any]:
        wanted = self.reference(call)
        reference = f"{wanted}-{call.attempts}" if self._blind else wanted
        return {**super().body(call), "reference": reference, "description": wanted}

    def _call(self) -> Told:
        return Told(len(self.calls) + 1, "payment", "/v1/payments", self._chance.randrange(1, 90) * 100)


@dataclass(slots=True)
class NaiveScene:
    """What a killer plays on."""

    zygote: Zygote
    folder: Path
    partner: str
    bank: CounterSimulator
    shop: NaiveShop
    strange: list[str] = field(default_factory=list)

    @property
    def acting(self) -> asyncio.Event:
        """Set whenever an order arrives at the bank."""
        return self.bank.acting

    async def start(self, gateway: int) -> Child:
        """The naive gateway; it takes another port each time."""
        child = await self.zygote.start(self.folder, (self.partner, str(self.folder), KEY), program="naive")
        child.said.add_done_callback(self._listens)
        return child

    def _listens(self, said: asyncio.Future[str]) -> None:
        if not said.cancelled():
            self.shop.address = f"http://127.0.0.1:{said.result()}"


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What one client got from the naive gateway."""

    client: str
    kills: int
    calls: int
    twice: int  # wanted once, paid twice or more often
    untold: int  # paid, and the shop never heard that it was
    in_vain: int  # of all calls, those that never got an answer


async def otherwise(folder: Path, seed: int, kills: int, *, blind: bool) -> Otherwise:
    """Kill the naive gateway under one kind of client, in an empty folder."""
    async with _scene(folder, seed, blind=blind) as scene:
        killed = Killed()
        await Killer(scene, 0, seed, killed).run(kills)
        # A last one lives on, and whoever still waits for an answer gets one if there is one to be had.
        await (await scene.start(0)).ready(60)
        await scene.shop.stop()
        effects = {wanted: count for (_, wanted), count in scene.bank.ledger.count().items()}
        told = {scene.shop.reference(call): call for call in scene.shop.calls}
        return Otherwise(
            client="that retries blindly" if blind else "that keeps its key",
            kills=killed.kills,
            calls=len(told),
            twice=sum(1 for count in effects.values() if count > 1),
            untold=sum(1 for wanted in effects if told[wanted].state != "succeeded"),
            in_vain=sum(1 for call in told.values() if not call.answered),
        )


@asynccontextmanager
async def _scene(folder: Path, seed: int, *, blind: bool) -> AsyncIterator[NaiveScene]:
    async with await serve(CounterSimulator, folder) as bank:
        bank.simulator.faults = Weather(random.Random(f"bank {seed}"))
        async with zygote(folder) as forks:
            shop = NaiveShop(seed, blind=blind)
            try:
                yield NaiveScene(forks, folder, f"{bank.url}/payments", bank.simulator, shop)
            finally:
                await shop.close()


def show(results: Iterable[Otherwise]) -> None:
    """Print them."""
    print("what happens otherwise: the naive gateway under the same accidents and kills")
    for one in results:
        print(f"  a client {one.client}: {one.kills} kills, {one.calls:,} payments")
        print(f"    paid twice or more often         {one.twice:8,}")
        print(f"    paid, and the shop never learnt  {one.untold:8,}")
        print(f"    never got an answer              {one.in_vain:8,}")
