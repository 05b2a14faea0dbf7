"""What platforms and operators do about webhook endpoints: add, remove, renew the secret, test, ask for a redelivery.

Rules
- Every act is recorded, under the authenticated key of whoever did it, in the same commit as what it changes.
- A secret is given back once, where it is made.
- An address is used once by a client: adding it again, after an answer was lost, is refused and names the endpoint; its
  secret can then be renewed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Final, get_args

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.problems import Conflicting, FieldError, Invalid, NotFound, Retry
from gateway.model.states import State
from gateway.operations.endpoint_places import Places
from gateway.operations.endpoint_secrets import Secrets
from gateway.operations.notifications import wants
from gateway.operations.receivers import Message, Receivers, Sent
from gateway.store.interface import Recorded, Row, Stale, Store, Taken
from gateway.store.operation import Kind
from gateway.store.webhooks import (
    Delivery,
    DeliveryRequested,
    Endpoint,
    EndpointAdded,
    EndpointChanged,
    EndpointRemoved,
)
from gateway.store.work import Work

__all__ = ["ENDPOINTS_AT_MOST", "EVENT_TYPES", "TEST", "Endpoints", "WithSecret"]

ENDPOINTS_AT_MOST: Final = 16
"""Endpoints of one client."""

EVENT_TYPES: Final = (
    *(f"{kind}.{name}" for kind in get_args(Kind) for name in (*(state.value for state in State), "attention")),
    "partner.drift",
)
"""What a platform can be told."""

TEST: Final = "webhook.test"
"""The type of what `test` sends. It tells of nothing and stands in no feed."""


@dataclass(frozen=True, slots=True)
class WithSecret:
    """An endpoint, and its new secret in clear."""

    endpoint: Endpoint
    secret: str


class Endpoints:
    """Where platforms and operators act."""

    def __init__(
        self,
        store: Store,
        receivers: Receivers,
        places: Places,
        secrets: Secrets,
        journal: Journal,
        clock: Clock,
        ids: Identifiers,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._places = places
        self._secrets = secrets
        self._journal = journal
        self._clock = clock
        self._ids = ids

    async def add(self, client: str, actor: str, url: str, kinds: tuple[str, ...]) -> WithSecret:
        """Tell `client` at `url` what happens from now on. Raises `Invalid`, `Conflicting`."""
        self._places.check(url)
        _check_kinds(kinds)
        if len(await self._store.endpoints(client)) >= ENDPOINTS_AT_MOST:
            raise Conflicting(f"a client has at most {ENDPOINTS_AT_MOST} endpoints; remove one first")
        id_ = self._ids.new("whe")
        secret, sealed = self._secrets.first(id_)
        endpoint = Endpoint(id_, client, url, kinds, sealed, True, self._clock.now())
        try:
            await self._store.commit([EndpointAdded(endpoint), self._act(actor, "add", endpoint)])
        except Taken as taken:
            raise Conflicting(
                f"{taken.operation} is at this address already; renew its secret if you do not hold it",
                members={"endpoint": taken.operation},
            ) from None
        return WithSecret(endpoint, secret)

    async def find(self, id_: str, client: str | None) -> Endpoint:
        """One endpoint; `client` None finds anybody's. Raises `NotFound`."""
        endpoint = await self._store.endpoint(id_, client)
        if endpoint is None:
            raise NotFound(f"there is no webhook endpoint {id_!r}")
        return endpoint

    async def renew_secret(self, endpoint: Endpoint, actor: str, *, immediately: bool) -> WithSecret:
        """A new secret; the old one signs beside it for a while, or stops `immediately`. Raises `Conflicting`."""
        secret, sealed = self._secrets.renewed(endpoint, self._clock.now(), immediately=immediately)
        changed = replace(endpoint, secrets=sealed, version=endpoint.version + 1)
        what = "renew the secret immediately of" if immediately else "renew the secret of"
        await self._change(changed, self._act(actor, what, endpoint))
        return WithSecret(changed, secret)

    async def remove(self, endpoint: Endpoint, actor: str) -> None:
        """Tell it nothing any more, and forget its deliveries."""
        gone = EndpointRemoved(endpoint.client, endpoint.id)
        await self._store.commit([gone, self._act(actor, "remove", endpoint)])
        await self._receivers.forget(endpoint.id)

    async def test(self, endpoint: Endpoint, actor: str) -> Sent:
        """Send a message that tells of nothing, once, now. An endpoint that takes it is active from then on."""
        id_, at = self._ids.new("evt"), self._clock.now()
        said = {"id": id_, "type": TEST, "at": at.isoformat().replace("+00:00", "Z"), "data": {}}
        work = Work(self._store)
        work.add(self._act(actor, "test", endpoint))
        sent = await self._receivers.send(endpoint, Message(id_, json.dumps(said).encode(), id_), work)
        await work.commit()
        if sent.delivered and not endpoint.active:
            changed = replace(endpoint, active=True, version=endpoint.version + 1)
            await self._change(changed, self._act(actor, "activate", endpoint))
        return sent

    async def redeliver(self, endpoint: Endpoint, event: str, actor: str) -> Delivery:
        """Deliver an event now: again, or sooner than its schedule says. Raises `NotFound`, `Conflicting`."""
        delivery = await self._delivery(endpoint, event)
        if not endpoint.active:
            raise Conflicting(f"{endpoint.id} is not active: test it first, then what waits is delivered")
        asked = DeliveryRequested(endpoint.id, delivery.cursor, self._clock.now())
        await self._store.commit([asked, self._act(actor, f"redeliver {event} to", endpoint)])
        return await self._delivery(endpoint, event)

    async def _delivery(self, endpoint: Endpoint, event: str) -> Delivery:
        delivery = await self._store.delivery(endpoint.id, event)
        if delivery is None:
            raise NotFound(f"there is no delivery of {event!r} to {endpoint.id}")
        return delivery

    async def _change(self, changed: Endpoint, act: Row) -> None:
        try:
            await self._store.commit([EndpointChanged(changed), act])
        except Stale:
            raise Conflicting(
                f"{changed.id} was changed at the same moment", retry=Retry.AFTER, retry_after_seconds=1
            ) from None

    def _act(self, actor: str, what: str, endpoint: Endpoint) -> Recorded:
        return Recorded(self._journal.act(actor=actor, what=f"{what} {endpoint.id}", client=endpoint.client))


def _check_kinds(kinds: tuple[str, ...]) -> None:
    """Raises `Invalid` naming each pattern that no event can match."""
    wrong = [
        FieldError(
            f"kinds.{index}", "matches no event; write a type such as payment.succeeded, or payment.* or *.failed"
        )
        for index, kind in enumerate(kinds)
        if not any(wants((kind,), type_) for type_ in EVENT_TYPES)
    ]
    if wrong:
        raise Invalid(f"{len(wrong)} of `kinds` match no event", fields=wrong)
