"""The ways to the platforms' endpoints, and one message sent.

Rules
- Every endpoint has a channel of its own: its own host, connections and breaker, so that none is hurt by another. All
  of them stand in the records as the connection `webhooks`. No redirect is followed.
- A message is a question to the wire: it may be repeated, because its id stays the same. It is sent once a time here;
  when to try again is decided by `notifications`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.crypto.webhooks import StandardWebhooks
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Asked, Request
from gateway.model.problems import AdapterError, ConfigurationError, NotSent, PartnerError
from gateway.model.terms import Proof
from gateway.operations.endpoint_places import Places
from gateway.operations.endpoint_secrets import Secrets
from gateway.store.interface import Store
from gateway.store.webhooks import Endpoint
from gateway.store.work import Work
from gateway.wire.breaker import Breaker
from gateway.wire.channel import Channel
from gateway.wire.exchange import Conduct, Exchange
from gateway.wire.limits import Limit
from gateway.wire.retry import Pace, Repeat
from gateway.wire.transport import Transport

__all__ = ["AT_ONCE", "SEND_SECONDS", "Message", "Receivers", "Sent"]

CONNECTION: Final = "webhooks"
VERB: Final = "deliver_event"

AT_ONCE: Final = 8
"""Messages that are under way to one endpoint."""

SEND_SECONDS: Final = 15.0
"""How long an endpoint may take to answer."""

REPLY_BYTES_AT_MOST: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """What is told. `chain` is where its records stand: the operation's id, or an id of its own."""

    id: str
    body: bytes
    chain: str
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """How it ended. `tried` False: nothing was even attempted, because the endpoint is left alone for a while."""

    delivered: bool
    tried: bool
    status: int | None
    detail: str
    retry_after: float | None = None


class Receivers:
    """Sends messages to endpoints, each over a channel of its own."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        sealer: Sealer,
        clock: Clock,
        ids: Identifiers,
        places: Places,
        secrets: Secrets,
        seconds: float = SEND_SECONDS,
    ) -> None:
        self._store = store
        self._journal = journal
        self._sealer = sealer
        self._clock = clock
        self._ids = ids
        self._places = places
        self._secrets = secrets
        self._seconds = seconds
        self._open: dict[str, tuple[int, Channel]] = {}  # endpoint to the version that it was opened for
        self._replaced: list[Channel] = []  # something may still be under way on them

    async def send(self, endpoint: Endpoint, message: Message, work: Work) -> Sent:
        """Send once; the record of how it ended waits in `work`. Raises `Stale`, `StorageError`."""
        exchange = self._exchange(endpoint, message, work)
        try:
            reply = await self._channel(endpoint).send(self._asked(endpoint, message), exchange)
        except (PartnerError, AdapterError, ConfigurationError) as failure:
            return self._failed(exchange, failure)
        delivered = 200 <= reply.status < 300
        return Sent(delivered, True, reply.status, f"answered {reply.status}", exchange.attempts[-1].retry_after)

    def describe(self, endpoint: str) -> Mapping[str, object]:
        """What the endpoint's channel says about itself."""
        known = self._open.get(endpoint)
        return known[1].describe() if known else {}

    async def forget(self, endpoint: str) -> None:
        """It is gone: close the way to it."""
        known = self._open.pop(endpoint, None)
        if known is not None:
            await known[1].close()

    async def close(self) -> None:
        """Close every connection. What is under way fails."""
        for channel in (*self._replaced, *(channel for _, channel in self._open.values())):
            await channel.close()

    def _failed(self, exchange: Exchange, failure: Exception) -> Sent:
        if not exchange.attempts:
            return Sent(False, not isinstance(failure, NotSent), None, str(failure))
        last = exchange.attempts[-1]
        detail = f"answered {last.status}" if last.status else last.detail or last.observed.value
        return Sent(False, True, last.status, detail, last.retry_after)

    def _asked(self, endpoint: Endpoint, message: Message) -> Asked:
        names = tuple(self._secrets.in_force(endpoint, self._clock.now()))
        headers = (("Content-Type", "application/json"), ("webhook-id", message.id))
        request = Request("POST", endpoint.url, headers, message.body, StandardWebhooks(secrets=names))
        return Asked(request, None, effect=False)

    def _exchange(self, endpoint: Endpoint, message: Message, work: Work) -> Exchange:
        conduct = Conduct(
            repeat=Repeat.SAFE,
            key_until=None,
            codes={},
            code=lambda reply: None,
            proof=Proof.CHANNEL,
            deadline=self._clock.monotonic() + self._seconds,
            effects=False,
            expected_content=None,
            consent=None,
            purpose=None,
        )
        return Exchange(work, conduct, message.chain, endpoint.client, message.operation, VERB)

    def _channel(self, endpoint: Endpoint) -> Channel:
        known = self._open.get(endpoint.id)
        if known is not None and known[0] == endpoint.version:
            return known[1]
        if known is not None:
            self._replaced.append(known[1])
        channel = self._opened(endpoint)
        self._open[endpoint.id] = (endpoint.version, channel)
        return channel

    def _opened(self, endpoint: Endpoint) -> Channel:
        origin = Request("POST", endpoint.url).origin
        held = self._secrets.in_force(endpoint, self._clock.now())
        keys = KeyRing.load(endpoint.id, secrets={name: [value] for name, value in held.items()})
        transport = Transport(
            CONNECTION,
            [origin],
            self._clock,
            tls=self._places.tls(origin),
            allowed=self._places.judge(origin),
            connections=AT_ONCE + 1,
            reply_bytes_at_most=REPLY_BYTES_AT_MOST,
        )
        return Channel.open(
            connection=CONNECTION,
            partner="platform",
            scheme=StandardWebhooks(),
            keys=keys,
            transport=transport,
            store=self._store,
            sealer=self._sealer,
            journal=self._journal,
            clock=self._clock,
            ids=self._ids,
            secrets=keys.reveal,
            pace=Pace(attempts=1, attempt_seconds=self._seconds),
            breaker=Breaker(endpoint.id, self._clock),
            limit=Limit(endpoint.id, at_once=AT_ONCE + 1),
        )
