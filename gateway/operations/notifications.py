"""Tells lending platforms what happened: every event goes to each endpoint of its client that wants it.

In this order
  1. taken: what an endpoint wants of the events behind its cursor becomes deliveries
  2. leased: what is due is held for this worker, so that two never send the same at once
  3. sent: the intent is refused if the lease was lost meanwhile
  4. settled: delivered (any 2xx), due again later, or dead after the last try; the same commit records how it ended

Rules
- At least once: a crash between 3 and 4 sends again, under the same webhook-id.
- Of one operation an event is not sent before the earlier ones were delivered or given up (the store sees to it).
- Each endpoint has a lane of its own; one that hangs holds up nobody else. One that fails again and again is left alone
  for a while, which costs its deliveries no try.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Final

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.problems import StorageError
from gateway.operations.receivers import AT_ONCE, Message, Receivers, Sent
from gateway.operations.view import announced
from gateway.store.interface import Recorded, Stale, Store
from gateway.store.operation import Operation
from gateway.store.webhooks import (
    DeliveriesTaken,
    DeliveryHeld,
    DeliverySettled,
    Due,
    Endpoint,
    EndpointChanged,
)
from gateway.store.work import Work

__all__ = ["SCHEDULE", "Notifier", "wants"]

log = logging.getLogger(__name__)

SCHEDULE: Final = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    *(3 * [timedelta(hours=24)]),
)
"""The pause before each further try; after the last one a delivery is dead, three and a half days later."""

JITTER: Final = 0.1
"""Pauses are longer by up to this share, so that what failed together does not come back together."""

LONGEST_WISH: Final = timedelta(hours=24)
"""How long an endpoint may ask us to wait (`Retry-After`)."""

REST: Final = timedelta(seconds=10)
"""How long an endpoint that fails again and again is left alone."""

LEASE: Final = timedelta(seconds=60)
IDLE_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.02
"""What happens in the same moment is taken together: looking costs the same for one event as for a hundred."""

PAGE: Final = 500
GONE: Final = 410
DETAIL_LENGTH: Final = 200


def wants(kinds: tuple[str, ...], type_: str) -> bool:
    """Whether an endpoint with these patterns is told events of this type; without patterns every one."""
    return not kinds or any(fnmatchcase(type_, pattern) for pattern in kinds)


class Notifier:
    """The worker. `pauses` come between tries; `chance` draws from [0, 1)."""

    def __init__(
        self,
        store: Store,
        receivers: Receivers,
        journal: Journal,
        clock: Clock,
        *,
        pauses: tuple[timedelta, ...] = SCHEDULE,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._journal = journal
        self._clock = clock
        self._pauses = pauses
        self._chance = chance
        self._woken = asyncio.Event()
        self._stopping = False
        self._lanes: dict[str, asyncio.Task[int]] = {}
        self._resting: dict[str, datetime] = {}
        self.ended: Counter[str] = Counter()  # delivered, failed, dead: how attempts ended, for metrics

    def tell(self, operation: Operation, events: tuple[str, ...]) -> None:
        """A listener of the door: something happened, so look at once."""
        if events:
            self._woken.set()

    async def run(self) -> None:
        """Work until `stop`. What goes wrong with one endpoint ends nothing here; a failing store does."""
        try:
            while not self._stopping:
                self._woken.clear()
                self._reap()
                await self._begin()
                await self._idle()
            await asyncio.gather(*self._lanes.values())
        except asyncio.CancelledError:
            for lane in self._lanes.values():
                lane.cancel()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)
            raise

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    async def round(self) -> int:
        """Send everything that is due now, and what becomes due by it. How many were sent."""
        await self._begin()
        sent = await asyncio.gather(*self._lanes.values())
        self._lanes.clear()
        return sum(sent)

    async def _begin(self) -> None:
        """Take what is new, and let a lane run for each endpoint that has something due."""
        for endpoint in await self._store.endpoints_behind():
            await self._take(endpoint)
        now = self._clock.now()
        for id_ in await self._store.endpoints_due(now):
            if id_ not in self._lanes and self._resting.get(id_, now) <= now:
                self._lanes[id_] = asyncio.create_task(self._lane(id_), name=f"webhooks {id_}")

    def _reap(self) -> None:
        for id_, lane in tuple(self._lanes.items()):
            if lane.done():
                del self._lanes[id_]
                lane.result()

    async def _idle(self) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), IDLE_SECONDS)
            await asyncio.sleep(GATHER_SECONDS)
        except TimeoutError:
            pass

    async def _take(self, endpoint: Endpoint) -> None:
        cursor, full = endpoint.cursor, True
        while full:
            rows = await self._store.events(endpoint.client, after=cursor, limit=PAGE)
            if not rows:
                return
            cursor, full = rows[-1].cursor, len(rows) == PAGE
            wanted = tuple(
                (row.cursor, row.id, row.operation, row.type) for row in rows if wants(endpoint.kinds, row.type)
            )
            await self._store.commit([DeliveriesTaken(endpoint.id, cursor, wanted, self._clock.now())])

    # One endpoint

    async def _lane(self, id_: str) -> int:
        """Send what is due to one endpoint, a few at a time, until nothing is. How many were sent."""
        running: set[asyncio.Task[None]] = set()
        sent = 0
        try:
            while True:
                due = await self._lease(id_, AT_ONCE - len(running))
                sent += len(due)
                running |= {asyncio.create_task(self._deliver(one)) for one in due}
                if not running:
                    return sent
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _lease(self, id_: str, room: int) -> list[Due]:
        now = self._clock.now()
        if self._stopping or room <= 0 or self._resting.get(id_, now) > now:
            return []
        return await self._store.lease_deliveries(id_, now, now + LEASE, room)

    async def _deliver(self, due: Due) -> None:
        endpoint = await self._store.endpoint(due.endpoint)
        if endpoint is None or not endpoint.active:
            return
        work = Work(self._store)
        work.add(DeliveryHeld(due.endpoint, due.cursor, due.version))
        try:
            sent = await self._send(endpoint, due, work)
            work.add(self._settled(due, sent))
            await work.commit()
        except Stale:
            return  # it was handed to another worker meanwhile
        if sent.status == GONE:
            await self._disable(endpoint)

    async def _send(self, endpoint: Endpoint, due: Due, work: Work) -> Sent:
        body = json.dumps(announced(due.cursor, due.event, due.document), ensure_ascii=False, separators=(",", ":"))
        try:
            return await self._receivers.send(
                endpoint, Message(due.event, body.encode(), due.operation, due.operation), work
            )
        except (Stale, StorageError):
            raise
        except Exception:
            # Whatever it is, the other endpoints must hear of what happened to them.
            log.exception("a delivery to %s failed by a mistake of the gateway", endpoint.id)
            return Sent(False, True, None, "the gateway failed; its operator is told")

    # How it ended

    def _settled(self, due: Due, sent: Sent) -> DeliverySettled:
        now = self._clock.now()
        held = (due.endpoint, due.cursor, due.version)
        last = (now, sent.status, sent.detail[:DETAIL_LENGTH])
        if not sent.tried:
            self._resting[due.endpoint] = now + REST
            return DeliverySettled(*held, "pending", due.attempts, now + REST, *last)
        attempts = due.attempts + 1
        if sent.delivered:
            self.ended["delivered"] += 1
            return DeliverySettled(*held, "delivered", attempts, None, *last)
        self.ended["failed"] += 1
        if attempts > len(self._pauses):
            self.ended["dead"] += 1
            log.warning("%s was not delivered to %s in %d tries and is dead", due.event, due.endpoint, attempts)
            return DeliverySettled(*held, "dead", attempts, None, *last)
        return DeliverySettled(*held, "pending", attempts, now + self._pause(attempts, sent), *last)

    def _pause(self, attempts: int, sent: Sent) -> timedelta:
        pause = self._pauses[attempts - 1] * (1 + JITTER * self._chance())
        wish = min(timedelta(seconds=sent.retry_after or 0), LONGEST_WISH)
        return max(pause, wish)

    async def _disable(self, endpoint: Endpoint) -> None:
        """It says that it is gone: nothing more is sent until its owner has tested it."""
        log.warning("%s answered %d and is told nothing more until it is tested", endpoint.id, GONE)
        act = self._journal.act(
            actor="gateway", what=f"disable {endpoint.id}", reason=f"it answered {GONE}", client=endpoint.client
        )
        try:
            await self._store.commit(
                [EndpointChanged(replace(endpoint, active=False, version=endpoint.version + 1)), Recorded(act)]
            )
        except Stale:
            return  # it was changed meanwhile; if it is still gone, it will say so again
