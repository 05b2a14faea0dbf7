"""A channel with everything real below it: a store on disk, a journal, keys, and a partner on a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

from gateway.audit.journal import Journal
from gateway.audit.record import SALT_BYTES, sealing_context
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.model.message import Asked, Grant, Handoff, Reply, Request, Scheme
from gateway.model.states import BUSY, FAILED, NOT_PROCESSED, SUCCEEDED, TOKEN_REFUSED, Meaning
from gateway.model.terms import Proof
from gateway.store.interface import Entry
from gateway.store.sqlite import SQLiteStore
from gateway.store.work import Work
from gateway.testing.clock import ManualClock
from gateway.wire.channel import Channel
from gateway.wire.exchange import Attempt, Conduct, Exchange
from gateway.wire.retry import Repeat
from gateway.wire.transport import Transport
from tests.riverbank import BodyHMAC, signature
from tests.wire.partner import Behaviour, Partner, answer

SECRETS = {"shared": "shared-secret-of-32-bytes-length", "client_secret": 'h&sh"h', "api_key": "k-1234567890123456"}
HANDOFF = Handoff("state", "nonce", "verifier-of-43-characters", "https://shop.example/back", "https://shop.example/cb")
CODES: Mapping[str, Meaning] = {
    "PAID": SUCCEEDED,
    "DECLINED": FAILED,
    "BUSY": BUSY,
    "NOT_DONE": NOT_PROCESSED,
    "TOKEN": TOKEN_REFUSED,
}


class RecordingClock(ManualClock):
    """Sleeps without waiting and remembers for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(round(seconds, 3))
        await super().sleep(seconds)


class Rig:
    """Put together for one test by `async with`."""

    def __init__(self, folder: Path, partner: Partner, scheme: Scheme | None = None, **settings: Any) -> None:
        self.partner = partner
        self.clock = RecordingClock()
        self.keys = KeyRing.load("connection riverbank-main", secrets=SECRETS)
        self.sealer = Sealer(bytes(32))
        self._path = folder / "store.db"
        self._scheme = scheme or BodyHMAC()
        self._settings = settings
        self._entropy = count()
        self.secrets: Callable[[str], str] = self.keys.reveal

    async def __aenter__(self) -> Rig:
        self.store = await SQLiteStore.open(self._path, self.clock)
        self.ids = Identifiers(self.clock.now, lambda size: next(self._entropy).to_bytes(size, "big"))
        self.channel = self.another_channel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.close()
        await self.store.close()

    def another_channel(self) -> Channel:
        return Channel.open(
            connection="riverbank-main",
            partner="riverbank",
            scheme=self._scheme,
            keys=self.keys,
            transport=Transport("riverbank-main", [self.partner.host], self.clock),
            store=self.store,
            sealer=self.sealer,
            journal=Journal(self.ids, self.clock, "sandbox", "process-1", self.sealer.seal),
            clock=self.clock,
            ids=self.ids,
            secrets=self.secrets,
            **{"chance": lambda: 0.5, **self._settings},
        )

    def exchange(self, repeat: Repeat = Repeat.ONCE, **changes: Any) -> Exchange:
        conduct: dict[str, Any] = {
            "repeat": repeat,
            "key_until": None,
            "codes": CODES,
            "code": code_of,
            "proof": Proof.SIGNATURE,
            "deadline": self.clock.monotonic() + 25,
            "effects": True,
            "expected_content": None,
            "consent": None,
            "purpose": None,
        }
        handed = {name: changes.pop(name) for name in ("code", "handoff", "verb") if name in changes}
        return Exchange(
            work=Work(self.store),
            conduct=Conduct(**{**conduct, **changes}),
            chain="op_1",
            client="shop",
            operation="op_1",
            **{"verb": "create_payment", **handed},
        )

    def act(self, body: bytes = b'{"cents":100}', grant: Grant | None = None, **headers: str) -> Asked:
        request = Request.post(self.partner.url("/payments"), body, **headers)
        return Asked(request, grant, effect=True)

    def ask(self, path: str = "/payments/1", grant: Grant | None = None) -> Asked:
        return Asked(Request.get(self.partner.url(path)), grant, effect=False)

    async def records(self, exchange: Exchange) -> list[dict[str, Any]]:
        """Leaves of the exchange, what waits included."""
        await exchange.work.commit()
        return [json.loads(entry.leaf) for entry in await self.store.chain(exchange.chain)]

    def exact(self, entry: Entry) -> bytes:
        """What is sealed with a record."""
        assert entry.body is not None
        return self.sealer.open(entry.body, sealing_context(entry.kind, entry.id))[SALT_BYTES:]

    def later(self, seconds: float) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)


def code_of(reply: Reply) -> str | None:
    found: str | None = reply.json()["code"]
    return found


def said(code: str, status: int = 200, **headers: str) -> Behaviour:
    """A reply that the partner signed."""
    body = json.dumps({"code": code}).encode()
    return answer(body, status, X_Signature=signature(body), **headers)


def unsigned(status: int = 502, body: bytes = b"<html>Bad gateway</html>", **headers: str) -> Behaviour:
    """A reply that something in between made."""
    return answer(body, status, **headers)


def names(attempts: Sequence[Attempt]) -> list[str]:
    """What was observed, attempt by attempt."""
    return [attempt.observed.name for attempt in attempts]
