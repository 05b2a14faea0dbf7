"""The platform that works with the gateways while they are killed: it retries as Stripe's client libraries do.

- One Idempotency-Key a call, kept over all its attempts, and the same body.
- Sent again after a connection that failed, a timeout, 409, 429 and every 5xx, unless the answer itself says that a
  repetition is of no use (`retry: new_reference | never`), as Stripe's `Stripe-Should-Retry: false` does.
- Exponential pauses with jitter, bounded attempts. Pauses are a tenth of Stripe's, as gateways come back within a
  second here. What got no answer in its attempts is left, and taken up under its old key at the very end.
- With several gateways each attempt goes to one of them by chance.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import aiohttp

__all__ = ["Shop", "Told"]

ATTEMPTS: Final = 8
FIRST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 8.0
RECENT: Final = 60
USELESS: Final = frozenset({"new_reference", "never"})


@dataclass(slots=True)
class Told:
    """One call, and the last that the shop was told of it."""

    number: int
    kind: str
    path: str
    cents: int
    parent: str | None = None
    operation: str | None = None
    state: str | None = None
    refused: str | None = None
    attempts: int = 0

    @property
    def answered(self) -> bool:
        return self.operation is not None or self.refused is not None


class Shop:
    """`shoppers` calls at a time, until `stop`."""

    def __init__(self, urls: Sequence[str], api_key: str, seed: int, shoppers: int = 12) -> None:
        self.calls: list[Told] = []
        self.attempts: Counter[int] = Counter()  # of answered calls
        self.answers = 0
        self._urls = urls
        self._chance = random.Random(f"shop {seed}")
        self._paid: deque[Told] = deque(maxlen=RECENT)
        self._stopping = False
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )
        self._tasks = [asyncio.create_task(self._shop()) for _ in range(shoppers)]

    def fail_loudly(self) -> None:
        """Raise what ended a shopper by mistake: a campaign without its client proves nothing."""
        for task in self._tasks:
            if task.done() and not self._stopping:
                task.result()

    async def stop(self) -> None:
        """Begin no new call, and wait for those that run."""
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def take_up(self) -> int:
        """Go on with every call that was left without an answer, under its old key. How many there were."""
        left = [call for call in self.calls if not call.answered]
        for call in left:
            async with asyncio.timeout(60):
                while not call.answered:
                    await self._until_answered(call)
        return len(left)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def _shop(self) -> None:
        while not self._stopping:
            call = self._call()
            self.calls.append(call)
            await self._until_answered(call)
            if call.kind == "payment" and call.state == "succeeded":
                self._paid.append(call)

    def _call(self) -> Told:
        number, chance = len(self.calls) + 1, self._chance.random()
        special = self._chance.random()
        cents = self._chance.randrange(1, 90) * 100 + (13 if special < 0.04 else 17 if special < 0.12 else 0)
        if chance < 0.2 and self._paid:
            paid = self._chance.choice(self._paid)
            return Told(
                number, "refund", f"/v1/payments/{paid.operation}/refunds", paid.cents * 6 // 100 * 10, paid.operation
            )
        if chance < 0.45:
            return Told(number, "transfer", "/v1/transfers", cents)
        return Told(number, "payment", "/v1/payments", cents + 19 if special > 0.97 else cents)

    def body(self, call: Told) -> dict[str, Any]:
        """The same for every attempt."""
        amount = {"amount": f"{Decimal(call.cents) / 100:.2f}", "currency": "CNY"}
        body: dict[str, Any] = {"connection": "oxbow", "reference": self.reference(call), "amount": amount}
        if call.kind == "transfer":
            account = {"scheme": "bank_card", "identification": "6222000000000000"}
            body["creditor"] = {"name": "A Seller", "account": account}
        elif call.kind == "payment":
            body |= {"method": {"type": "wallet_qr"}, "description": "a coat"}
        return body

    def reference(self, call: Told) -> str:
        """The shop's own business key."""
        return f"REF-{call.number}"

    def key(self, call: Told) -> str:
        """The Idempotency-Key, the same for every attempt."""
        return f"key-{call.number}"

    def url(self) -> str:
        """Where the next attempt goes."""
        return self._chance.choice(self._urls)

    async def _until_answered(self, call: Told) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            call.attempts += 1
            with suppress(aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                if await self._ask(call):
                    self.answers += 1
                    self.attempts[call.attempts] += 1
                    return
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
            await asyncio.sleep(pause * (0.5 + 0.5 * self._chance.random()))

    async def _ask(self, call: Told) -> bool:
        """One attempt. False: it is to be sent again."""
        headers = {"Idempotency-Key": self.key(call)}
        async with self._session.post(self.url() + call.path, json=self.body(call), headers=headers) as answer:
            said = json.loads(await answer.read())
        shown = said if answer.status < 400 else said.get("operation")
        if answer.status >= 400 and said.get("retry") not in USELESS and answer.status in (409, 429, *range(500, 600)):
            return False
        if isinstance(shown, dict):
            call.operation, call.state = str(shown["id"]), str(shown["state"])
        else:
            call.refused = str(said.get("type", answer.status)).rpartition("/")[2]
        return True
