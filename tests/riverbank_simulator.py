"""Riverbank as a bank: the simulated institution behind `tests/riverbank.py`, with its own code for the signature.

Amounts in cents decide what happens: …13 is declined, …17 stays pending until `/_sandbox/settle`, …19 asks the payer to
scan and is paid by `/_sandbox/pay`. Everything else is paid at once. A key is executed once; the same key with another
amount answers DUPLICATE.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.model.clock import Clock
from gateway.sandbox import Effect, Notifier, Onboarding, Simulator

SECRET = b"shared-secret-of-32-bytes-length"
KINDS = {"payments": "payment", "refunds": "refund", "transfers": "transfer"}


class RiverbankSimulator(Simulator):
    """`remembers` False: a bank that forgets keys at once and executes each request anew."""

    name = "riverbank"

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        self.orders: dict[tuple[str, str], dict[str, Any]] = {}
        self.remembers = True
        self.callback_url: str | None = None
        self.notifier = Notifier(self.clock, lambda status, body: status == 200, delays=(0.1, 0.2, 0.5))

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        (directory / "shared").write_bytes(SECRET)
        hosts = (url.removeprefix("http://"),)
        return Onboarding(settings={"url": url}, hosts=hosts, secrets={"shared": f"file:{directory / 'shared'}"})

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.post("/_sandbox/pay", self.pay),
            web.post("/_sandbox/settle", self.pay),
            web.post("/_sandbox/bounce", self.bounce),
            web.post("/{kind:payments|refunds|transfers}", self.create),
            web.get("/{kind:payments|refunds|transfers}/{reference}", self.find),
        ]

    async def create(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not hmac.compare_digest(request.headers.get("X-Signature", ""), sign(body)):
            return web.Response(status=401, text="bad signature")
        order = json.loads(body)
        kind = KINDS[request.match_info["kind"]]
        place = (kind, order["reference"])
        known = self.recalled(place)
        if known is not None:
            if (known["cents"], known["currency"]) != (order["cents"], order["currency"]):
                return self.answer({**known, "code": "DUPLICATE"})
            return self.answer(known)
        code = {13: "DECLINED", 17: "PENDING", 19: "SCAN"}.get(order["cents"] % 100, "PAID")
        made = {
            "code": code,
            "kind": kind,
            "reference": order["reference"],
            "cents": order["cents"],
            "currency": order["currency"],
            "id": f"RB{len(self.orders) + 1:08d}",
        }
        if code == "SCAN":
            made["qr"] = f"{self.url}/qr/{made['id']}"
        self.orders[place] = made
        if code in ("PAID", "PENDING"):
            self._took_effect(made)
        return self.answer(made)

    def recalled(self, place: tuple[str, str]) -> dict[str, Any] | None:
        """The order that a key stands for, as long as the bank remembers it."""
        return self.orders.get(place) if self.remembers else None

    async def find(self, request: web.Request) -> web.Response:
        known = self.orders.get((KINDS[request.match_info["kind"]], request.match_info["reference"]))
        return self.answer(known or {"code": "NONE"})

    async def pay(self, request: web.Request) -> web.Response:
        """The payer scans, or a pending order settles: `{"kind": …, "reference": …}`."""
        asked = await request.json()
        order = self.orders[asked.get("kind", "payment"), asked["reference"]]
        if order["code"] == "SCAN":
            self._took_effect(order)
        order["code"] = "PAID"
        self._tell(order)
        return self.answer(order)

    async def bounce(self, request: web.Request) -> web.Response:
        """The money of a transfer comes back: `{"reference": …}`."""
        order = self.orders["transfer", (await request.json())["reference"]]
        order["code"] = "BOUNCED"
        self._tell(order)
        return self.answer(order)

    def operation(self, request: web.Request, body: bytes) -> str:
        return f"{request.method} {request.path.split('/')[1]}"

    async def close(self) -> None:
        await self.notifier.close()

    def _took_effect(self, order: dict[str, Any]) -> None:
        amount = Decimal(order["cents"]) / 100
        self.ledger.record(Effect(order["kind"], order["reference"], self.clock.now(), amount, order["currency"]))

    def _tell(self, order: dict[str, Any]) -> None:
        if self.callback_url is not None:
            body = json.dumps(order).encode()
            self.notifier.send(self.callback_url, body, {"X-Signature": sign(body)})

    def answer(self, order: dict[str, Any]) -> web.Response:
        body = json.dumps(order).encode()
        return web.Response(body=body, headers={"X-Signature": sign(body), "Content-Type": "application/json"})


def sign(body: bytes) -> str:
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()
