"""A bank that forgets: Riverbank's protocol with short terms, and accidents drawn from a seed.

Rules of the bank
- Payments and refunds are executed once a key, while it remembers the key: `KEY_LIFE` by its terms and `GRACE` longer
  in fact. After that the same request is executed anew, and the money moves twice.
- A transfer has no key that protects it: each request that arrives moves money.
- Amounts decide: …13 is declined, …17 stays pending for a moment, …19 waits until the payer scans, which happens soon.
- A request may lie for up to two seconds before it is executed, also when whoever sent it is dead by then, and nothing
  is found of it before. So "no such act" is right after `SETTLE_WINDOW`, and wrong if it is believed at once.

The adapter asks about refunds by running them again while the key lives and by key afterwards, so a replay that comes
too late pays twice. Everything else is asked by key.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from gateway import (
    ByKey,
    PaymentFact,
    PaymentInitiation,
    RefundFact,
    RefundInitiation,
    Remembered,
    Replay,
    TransferFact,
    TransferInitiation,
    Wire,
    payment_terms,
    refund_terms,
    seconds,
    transfer_terms,
)
from gateway.model.clock import Clock
from gateway.sandbox import Fault, Faults, Point
from tests.riverbank import TOLD, Riverbank
from tests.riverbank_simulator import KINDS, RiverbankSimulator

DEADLINE_SECONDS: Final = 3.0
KEY_LIFE: Final = seconds(5)
GRACE: Final = seconds(2)
SETTLE_WINDOW: Final = seconds(5)
RHYTHM: Final = (0.5, 1.0, 2.0)
LONGEST_WAIT_SECONDS: Final = 2.0
"""Between a request's arrival and its execution."""

PLUGIN: Final = """\
from gateway import hookimpl


@hookimpl
def adapters():
    from bench.crash.bank import Oxbow

    return [Oxbow]
"""
"""The module of the plugin that the gateway finds."""


class Oxbow(Riverbank):
    """Riverbank's protocol on short terms."""

    name = "oxbow"
    title = "Oxbow"

    @payment_terms(
        methods={"wallet_qr"},
        currencies={"CNY"},
        key=Remembered(KEY_LIFE),
        inquiry=(ByKey(),),
        settle_window=SETTLE_WINDOW,
        rhythm=RHYTHM,
        codes=TOLD,
    )
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        return await super().create_payment(payment, wire)

    @refund_terms(
        key=Remembered(KEY_LIFE),
        inquiry=(Replay(), ByKey()),
        settle_window=SETTLE_WINDOW,
        rhythm=RHYTHM,
        codes=TOLD,
    )
    async def create_refund(self, refund: RefundInitiation, wire: Wire) -> RefundFact:
        return await super().create_refund(refund, wire)

    @transfer_terms(currencies={"CNY"}, inquiry=(ByKey(),), settle_window=SETTLE_WINDOW, rhythm=RHYTHM, codes=TOLD)
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
        return await super().create_transfer(transfer, wire)


class Weather(Faults):
    """Accidents by chance: acts, transfers and questions are struck with a probability each.

    Transfers meet more of them, because nothing but an inquiry settles what became of one.
    """

    POINTS: Final = tuple(Point)

    def __init__(
        self, chance: random.Random, acts: float = 0.12, transfers: float = 0.3, questions: float = 0.06
    ) -> None:
        super().__init__()
        self.calm = False
        self.struck: Counter[str] = Counter()
        self._chance = chance
        self._shares = {"POST": acts, "POST transfers": transfers, "GET": questions}

    def strike(self, operation: str) -> Fault | None:
        share = self._shares.get(operation, self._shares[operation.partition(" ")[0]])
        if self.calm or self._chance.random() >= share:
            return None
        point = self._chance.choice(self.POINTS)
        self.struck[point.value] += 1
        longest = LONGEST_WAIT_SECONDS if point is Point.DELAY_BEFORE else 0.4
        return Fault(point, seconds=self._chance.uniform(0.02, longest))


class OxbowSimulator(RiverbankSimulator):
    """The bank. `acting` is set whenever an act arrives, so that a campaign can aim at it."""

    name = "oxbow"

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        self.acting = asyncio.Event()
        self.chance = random.Random(0)
        self.weather = self.faults = Weather(self.chance)
        self._first: dict[tuple[str, str], datetime] = {}
        self._moments: set[asyncio.Task[None]] = set()

    def seed(self, seed: int) -> None:
        """Draw all that follows from `seed`."""
        self.chance.seed(f"bank {seed}")

    async def create(self, request: web.Request) -> web.Response:
        order = json.loads(await request.read())
        place = (KINDS[request.match_info["kind"]], str(order["reference"]))
        before = self.orders.get(place)
        self._first.setdefault(place, self.clock.now())
        answer = await super().create(request)
        made = self.orders.get(place)
        if made is not None and made is not before and made["code"] in ("PENDING", "SCAN"):
            self._later(self._paid(made))
        return answer

    def recalled(self, place: tuple[str, str]) -> dict[str, Any] | None:
        known = self.orders.get(place)
        if known is None or place[0] == "transfer":
            return None
        remembered: timedelta = KEY_LIFE + GRACE
        return known if self.clock.now() < self._first[place] + remembered else None

    def operation(self, request: web.Request, body: bytes) -> str:
        if request.method == "POST":
            self.acting.set()
        return super().operation(request, body)

    async def close(self) -> None:
        for moment in tuple(self._moments):
            moment.cancel()
        await asyncio.gather(*self._moments, return_exceptions=True)
        await super().close()

    async def _paid(self, order: dict[str, Any]) -> None:
        """The payer scans, or the bank has finished; it tells the gateway, which may be dead."""
        await asyncio.sleep(self.chance.uniform(0.1, 1.0))
        if order["code"] == "SCAN":
            self._took_effect(order)
        order["code"] = "PAID"
        self._tell(order)

    def _later(self, moment: Any) -> None:
        task = asyncio.create_task(moment)
        self._moments.add(task)
        task.add_done_callback(self._moments.discard)
