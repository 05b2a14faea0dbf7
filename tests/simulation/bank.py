"""The story's bank: takes exact bytes, keeps a ledger, forgets keys after their life, and lies to nobody.

Rules
- It imports nothing of its adapter: bytes in, bytes out, its own code for the signature.
- `ledger` is the truth that the oracles go by: an effect for each time that money moved.
- What it decides about an order is drawn by the seed: paid at once, pending, to be scanned, declined, not executed, an
  answer in words that nobody declared, or not known to itself for a while. All of that is settled within a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import parse_qs

__all__ = ["SECRET", "Arrival", "Bank", "Effect", "Order", "Said", "sign"]

SECRET = b"shared-secret-of-32-bytes-length"
MEMORY_SECONDS = 365.0  # a little longer than it promises
TOKEN_SECONDS = 150
KINDS = {"payments": "payment", "refunds": "refund", "transfers": "transfer"}
CODES = ("PAID", "PENDING", "SCAN", "DECLINED", "REFUSED", "LATER", "ODD", "UNSURE")
FATES = {
    "payment": (40, 12, 14, 9, 4, 5, 6, 5),
    "refund": (60, 12, 0, 9, 4, 5, 5, 5),
    "transfer": (50, 12, 0, 9, 6, 6, 5, 5),
}
"""How likely each code is as the first answer about an order."""


@dataclass
class Effect:
    """Money that moved. `standing` False: it came back later."""

    kind: str
    key: str
    cents: int
    of: str | None
    at: float
    late: bool = False  # after the bank had said that it would not move
    standing: bool = True


@dataclass
class Order:
    """What the bank knows under one key."""

    kind: str
    key: str
    cents: int
    of: str | None
    id: str
    code: str
    at: float
    visible_at: float
    says_seen: bool  # to a repetition it says only that it has seen it
    effect: Effect | None = None


@dataclass(frozen=True)
class Said:
    """A reply of the bank."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True)
class Arrival:
    """A request to move money, as it came."""

    at: float
    kind: str
    key: str
    cents: int
    executed: bool  # or refused, or answered from memory


@dataclass
class Bank:
    """`later(seconds, do)` schedules, `tell(order)` sends a callback, `arrived` sees every request."""

    chance: Random
    now: Callable[[], float]
    later: Callable[[float, Callable[[], None]], None]
    tell: Callable[[Order, str], None]
    arrived: Callable[[str], None]
    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    ledger: list[Effect] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    refuses_tokens: bool = False
    busy: bool = False
    _tokens: dict[str, float] = field(default_factory=dict)

    def handle(self, raw: bytes) -> Said:
        """Answer one request, given as the bytes that left the gateway."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        digest = hashlib.sha256(b"\n".join((method.encode(), target.encode("latin-1"), body))).hexdigest()
        self.arrived(digest)
        if target == "/token":
            return self._token(body)
        if not hmac.compare_digest(headers.get("x-signature", ""), sign(body)):
            return self.says({"code": "REFUSED"}, 400)
        if self.refuses_tokens or not self._valid(headers.get("authorization", "")):
            return self.says({"code": "TOKEN"}, 401)
        _, path, *rest = target.split("/")
        if method == "GET":
            return self._find(KINDS[path], rest[0])
        return self._create(KINDS[path], json.loads(body))

    def effects(self, kind: str, key: str) -> list[Effect]:
        """Every time that money moved under this key."""
        return [effect for effect in self.ledger if (effect.kind, effect.key) == (kind, key)]

    def says(self, members: dict[str, Any], status: int = 200, **headers: str) -> Said:
        """A signed reply."""
        body = json.dumps(members).encode()
        more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return Said(status, (("Content-Type", "application/json"), ("X-Signature", sign(body)), *more), body)

    def shown(self, order: Order, **other: Any) -> dict[str, Any]:
        """An order in the bank's words; `other` replaces members."""
        members: dict[str, Any] = {
            "code": order.code,
            "kind": order.kind,
            "reference": order.key,
            "cents": order.cents,
            "currency": "CNY",
            "id": order.id,
        }
        if order.code == "SCAN":
            members["qr"] = f"http://127.0.0.1:9/qr/{order.id}"
        return {**members, **other}

    def _token(self, body: bytes) -> Said:
        if parse_qs(body.decode()).get("client_secret") != ["opensesame"]:
            return self.says({"error": "invalid_client"}, 401)
        token = f"t{len(self._tokens)}-{self.chance.getrandbits(32):08x}"
        self._tokens[token] = self.now() + TOKEN_SECONDS
        stated = TOKEN_SECONDS if self.chance.random() < 0.6 else 10 * TOKEN_SECONDS  # it may die before its time
        return self.says({"access_token": token, "expires_in": stated})

    def _valid(self, authorization: str) -> bool:
        return self.now() < self._tokens.get(authorization.removeprefix("Bearer "), 0.0)

    def _find(self, kind: str, key: str) -> Said:
        order = self.orders.get((kind, key))
        if order is None or self.now() < order.visible_at:
            return self.says({"code": "NONE"})
        return self.says(self.shown(order))

    def _create(self, kind: str, asked: dict[str, Any]) -> Said:
        now, key, cents = self.now(), asked["reference"], asked["cents"]
        if self.busy:
            return self.says({"code": "LATER"}, 503, Retry_After="1")
        known = self.orders.get((kind, key))
        if known is not None and kind != "transfer" and now - known.at < MEMORY_SECONDS:
            self.arrivals.append(Arrival(now, kind, key, cents, executed=False))
            if known.says_seen or known.cents != cents:
                return self.says(self.shown(known, code="DUPLICATE"))
            return self.says(self.shown(known))
        code = self.chance.choices(CODES, FATES[kind])[0]
        self.arrivals.append(Arrival(now, kind, key, cents, executed=code not in ("REFUSED", "LATER")))
        if code in ("REFUSED", "LATER"):
            status = 200 if code == "REFUSED" else self.chance.choice((200, 429, 503))
            return self.says({"code": code}, status)
        hidden = self.chance.uniform(1, 45) if self.chance.random() < 0.15 else 0.0
        order = Order(
            *(kind, key, cents, asked.get("of"), f"SM{len(self.orders) + 1:06d}", code, now, now + hidden),
            says_seen=self.chance.random() < 0.2,
        )
        self.orders[kind, key] = order
        self._begin(order)
        return self.says(self.shown(order))

    def _begin(self, order: Order) -> None:
        """Draw what becomes of it: most pending things are paid or declined, and a few take a turn on the way."""
        chance, code = self.chance, order.code
        if code == "PAID" or (code == "ODD" and chance.random() < 0.5):
            self._move(order)
        if code in ("PAID", "DECLINED"):
            if chance.random() < 0.3:
                self.tell(order, code)
            self._afterwards(order)
            return
        ends = "PAID" if order.effect or chance.random() < 0.5 else "DECLINED"
        if code in ("SCAN", "PENDING") and ends == "DECLINED" and chance.random() < 0.6:
            ends = "EXPIRED"
        at = chance.uniform(2, 60)
        if code == "SCAN" and chance.random() < 0.3:
            between = chance.choice(("ODD", "PENDING"))
            self.later(at / 2, lambda: self._become(order, between))
        self.later(at, lambda: self._end(order, ends))

    def _become(self, order: Order, code: str) -> None:
        order.code = code

    def _end(self, order: Order, code: str) -> None:
        before, order.code = order.code, code
        if code == "PAID" and order.effect is None:
            self._move(order, late=before in ("DECLINED", "EXPIRED"))
        self.tell(order, before)
        self._afterwards(order)

    def _move(self, order: Order, *, late: bool = False) -> None:
        order.effect = Effect(order.kind, order.key, order.cents, order.of, self.now(), late)
        self.ledger.append(order.effect)

    def _afterwards(self, order: Order) -> None:
        """Money may come back; and what was declined may turn out to have been paid."""
        odds = 0.1 if order.kind == "payment" else 0.2
        if order.effect is not None and order.effect.late:
            odds = 0.5
        if order.code == "PAID" and self.chance.random() < odds:
            self.later(self.chance.uniform(1, 50), lambda: self._bounce(order))
        elif order.code in ("DECLINED", "EXPIRED") and order.kind != "refund" and self.chance.random() < 0.12:
            self.later(self.chance.uniform(5, 40), lambda: self._end(order, "PAID"))

    def _bounce(self, order: Order) -> None:
        order.code = "BOUNCED"
        for effect in self.effects(order.kind, order.key):
            effect.standing = False
        self.tell(order, "PAID")


def sign(body: bytes) -> str:
    """What stands in X-Signature."""
    return hmac.new(SECRET, body, hashlib.sha256).hexdigest()
