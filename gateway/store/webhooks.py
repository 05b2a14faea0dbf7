"""What the store keeps for notifications: endpoints, how far each has been told, and what is still to be delivered.

The outbox is the table of events itself, written in the transaction of what they tell. An endpoint has a cursor in it:
every event of its client up to there has its delivery, if the endpoint wants it. `DeliveriesTaken` makes deliveries and
moves the cursor in one commit.

Rules
- Of an operation the earliest delivery that is pending has a `due_at`, the later ones wait for it without one; whoever
  settles a delivery makes the next one due. So order costs no search, and what is due may be sent.
- `lease_deliveries` raises the version of what it hands out. `DeliveryHeld` beside an intent, and `DeliverySettled`,
  count only under that version: whoever lost a lease sends and settles nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

__all__ = [
    "DeliveriesTaken",
    "Delivery",
    "DeliveryHeld",
    "DeliveryRequested",
    "DeliverySettled",
    "DeliveryState",
    "Due",
    "Endpoint",
    "EndpointAdded",
    "EndpointChanged",
    "EndpointRemoved",
    "WebhookRow",
    "Webhooks",
]

DeliveryState = Literal["pending", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client wants to be told, and what. `kinds` are patterns of event types; none means every event.

    `secrets` are sealed. `cursor` is how far it has been told, and is only ever moved by the store.
    """

    id: str
    client: str
    url: str
    kinds: tuple[str, ...]
    secrets: bytes
    active: bool
    created_at: datetime
    version: int = 1
    cursor: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `due_at` None: it has ended, or waits for an earlier one.

    `attempts` counts since it was made or asked for again; `status` and `detail` tell how the last one ended.
    """

    endpoint: str
    cursor: int
    event: str
    operation: str
    type: str
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    at: datetime  # when it last changed
    status: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is held until its lease ends, with the event that it carries."""

    endpoint: str
    cursor: int
    version: int
    attempts: int
    client: str
    event: str
    operation: str
    type: str
    document: str


@dataclass(frozen=True, slots=True)
class EndpointAdded:
    """A new endpoint; it is told what happens from this commit on. Unique: (client, url)."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class EndpointChanged:
    """Its next version: secrets and whether it is active. `Stale` unless the stored one is exactly one older."""

    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class EndpointRemoved:
    """It is gone, with every delivery to it."""

    client: str
    id: str


@dataclass(frozen=True, slots=True)
class DeliveriesTaken:
    """The endpoint's events up to `cursor` were looked at, and it wants `events` of them (cursor, id, operation, type).

    What was taken before, by whomever, is not taken again; for an endpoint that is gone this does nothing.
    """

    endpoint: str
    cursor: int
    events: tuple[tuple[int, str, str, str], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryHeld:
    """The commit is refused as `Stale` unless the delivery is still held under this version."""

    endpoint: str
    cursor: int
    version: int


@dataclass(frozen=True, slots=True)
class DeliverySettled:
    """How an attempt ended; it is no longer held. Does nothing if it was handed to somebody else meanwhile.

    `pending` comes with the moment of the next attempt; otherwise the operation's next delivery is due at `at`.
    """

    endpoint: str
    cursor: int
    version: int
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    at: datetime
    status: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRequested:
    """Somebody wants it delivered now: what has ended is pending again, what is due later is due at `at`.

    What waits for an earlier one goes on waiting.
    """

    endpoint: str
    cursor: int
    at: datetime


WebhookRow = (
    EndpointAdded
    | EndpointChanged
    | EndpointRemoved
    | DeliveriesTaken
    | DeliveryHeld
    | DeliverySettled
    | DeliveryRequested
)


class Webhooks(Protocol):
    """What a store answers about notifications; every back end does."""

    async def endpoint(self, id: str, client: str | None = None) -> Endpoint | None:
        """One endpoint; `client` None reads across clients."""

    async def endpoints(self, client: str | None = None) -> list[Endpoint]:
        """Endpoints, the oldest first."""

    async def endpoints_behind(self) -> list[Endpoint]:
        """Active endpoints with events of their client behind their cursor."""

    async def endpoints_due(self, now: datetime) -> list[str]:
        """Ids of active endpoints with a delivery that is due and that nobody holds."""

    async def lease_deliveries(self, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
        """Deliveries to an active endpoint that are due, the longest due first; they are held until `until`."""

    async def delivery(self, endpoint: str, event: str) -> Delivery | None:
        """The delivery of one event."""

    async def deliveries(
        self, endpoint: str, *, state: DeliveryState | None = None, before: int | None = None, limit: int = 50
    ) -> list[Delivery]:
        """Newest first; `before` is the cursor of the last one seen."""
