"""What every call of one running API shares: the gateway, the seal of cursors, the news for those who wait, counters.

It is made once by `create_app` and handed to each endpoint; nothing here is global.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.api.metrics import Metrics
from gateway.api.problems import refused
from gateway.crypto.seal import Sealer
from gateway.model.problems import Retry, StorageError
from gateway.service.gateway import Client, Gateway
from gateway.store.operation import Operation

__all__ = ["CALLS_PER_CLIENT", "Context", "News"]

CALLS_PER_CLIENT: Final = 512
"""Calls that one client may have in flight; long polls count too."""


class News:
    """Wakes those who wait for events of a client. It carries no news itself: the store has them."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}
        self.closing = False

    def tell(self, operation: Operation, events: tuple[str, ...]) -> None:
        """A listener of the door: called after a change is durable."""
        if events:
            waiting = self._waiting.pop(operation.client, None)
            if waiting is not None:
                waiting.set()

    def listen(self, client: str) -> asyncio.Event:
        """What is set when something may have happened. Take it before reading, so that nothing falls in between."""
        return self._waiting.setdefault(client, asyncio.Event())

    def close(self) -> None:
        """Nobody waits any longer: the gateway is shutting down."""
        self.closing = True
        for event in self._waiting.values():
            event.set()
        self._waiting.clear()


@dataclass(slots=True)
class Context:
    """One running API. `fatal` is set once the store has failed; whoever serves must stop then."""

    gateway: Gateway
    sealer: Sealer
    metrics: Metrics
    news: News = field(default_factory=News)
    in_flight: Counter[str] = field(default_factory=Counter)
    fatal: asyncio.Event = field(default_factory=asyncio.Event)
    failure: StorageError | None = None

    def enter(self, client: Client) -> None:
        """Count a call in. Raises `Refused` (429) when the client has too many."""
        if self.in_flight[client.name] >= CALLS_PER_CLIENT:
            detail = f"{CALLS_PER_CLIENT} calls of {client.name} are in flight"
            raise refused("too_many_calls", detail, retry=Retry.SAME_KEY, retry_after_seconds=1)
        self.in_flight[client.name] += 1

    def leave(self, client: Client) -> None:
        """Count a call out."""
        self.in_flight[client.name] -= 1

    def fail(self, failure: StorageError) -> None:
        """The store has failed: nothing may be promised any more."""
        self.failure = self.failure or failure
        self.fatal.set()
