"""A lending platform that listens for notifications, and what stands in front of it in the gateway.

Everything is real: store on disk, records, channels, sockets. Only time is the test's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway.audit.journal import Journal
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.operations.endpoint_places import Places
from gateway.operations.endpoint_secrets import Secrets
from gateway.operations.endpoints import Endpoints, WithSecret
from gateway.operations.notifications import SCHEDULE, Notifier
from gateway.operations.receivers import Receivers
from gateway.store.interface import EventStaged, OperationOpened, Store
from gateway.store.operation import Operation
from gateway.store.sqlite import SQLiteStore
from gateway.store.webhooks import Delivery, Endpoint
from gateway.testing.clock import ManualClock
from tests.store.rows import an_operation

_number = itertools.count(1)


@dataclass
class Got:
    """A request as the platform got it."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def signed_by(self, secret: str) -> bool:
        """Standard Webhooks, written anew from its specification: is one of the signatures made with `secret`?"""
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = b".".join((self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body))
        wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        given = [one.split(",", 1) for one in self.headers["webhook-signature"].split(" ")]
        return any(version == "v1" and hmac.compare_digest(tag, wanted) for version, tag in given)


Answer = Callable[[Got], Any]
"""Gives a status, a whole response, or something to wait for that gives one of them."""


@dataclass
class Platform:
    """`got` is all that came; `answer` decides what is said (200 unless a test says otherwise)."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Answer = lambda got: 200

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]

    async def take(self, request: web.Request) -> web.Response:
        one = Got({name.lower(): value for name, value in request.headers.items()}, await request.read())
        self.got.append(one)
        said = self.answer(one)
        if asyncio.iscoroutine(said):
            said = await said
        return web.Response(status=said) if isinstance(said, int) else said


@asynccontextmanager
async def listening(answer: Answer | None = None) -> AsyncIterator[Platform]:
    platform = Platform()
    if answer is not None:
        platform.answer = answer
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", platform.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    platform.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield platform
    finally:
        await runner.cleanup()


@dataclass
class Office:
    """The part of a gateway that notifies."""

    store: Store
    clock: ManualClock
    receivers: Receivers
    notifier: Notifier
    endpoints: Endpoints
    journal: Journal

    async def add(self, url: str, *kinds: str, client: str = "shop") -> WithSecret:
        return await self.endpoints.add(client, f"{client}/key", url, kinds)

    async def happens(self, operation: Operation, *types: str) -> list[str]:
        """Events of an operation; gives their ids."""
        events = [
            EventStaged(
                f"evt_{next(_number):032x}",
                operation.client,
                operation.id,
                type_,
                self.clock.now(),
                json.dumps({"type": type_, "data": {"id": operation.id}}),
            )
            for type_ in types or ("payment.succeeded",)
        ]
        await self.store.commit(events)
        return [event.id for event in events]

    async def operation(self, **fields: Any) -> Operation:
        operation = an_operation(**fields)
        await self.store.commit([OperationOpened(operation)])
        return operation

    async def later(self, pause: timedelta) -> int:
        """Let time pass and do what is due then. How many were sent."""
        self.clock.advance(pause)
        return await self.notifier.round()

    async def delivery(self, endpoint: Endpoint, event: str) -> Delivery:
        found = await self.store.delivery(endpoint.id, event)
        assert found is not None
        return found

    async def records(self, chain: str) -> list[dict[str, Any]]:
        return [json.loads(entry.leaf) for entry in await self.store.chain(chain)]

    async def acts(self) -> list[str]:
        """What people did, as it is recorded."""
        leaves = [json.loads(entry.leaf) for entry in await self.store.entries()]
        return [f"{leaf['actor']}: {leaf['what']}" for leaf in leaves if leaf["kind"] == "act"]


@asynccontextmanager
async def office(folder: Path, clock: ManualClock | None = None, **how: Any) -> AsyncIterator[Office]:
    """Open it on `folder`; a second time on the same one is a restart."""
    clock = clock or ManualClock()
    store = await SQLiteStore.open(folder / "lendgate.db", clock)
    built = notifying(store, clock, **how)
    try:
        yield built
    finally:
        await built.receivers.close()
        await store.close()


def notifying(
    store: Store,
    clock: ManualClock,
    *,
    places: Places | None = None,
    pauses: tuple[timedelta, ...] = SCHEDULE,
    seconds: float = 5.0,
) -> Office:
    """The parts above a store."""
    ids, sealer = Identifiers(clock.now), Sealer(b"k" * 32)
    places, secrets = places or Places(sandbox=True), Secrets(sealer, os.urandom)
    journal = Journal(ids, clock, "sandbox", ids.new("run"), sealer.seal)
    receivers = Receivers(
        store=store,
        journal=journal,
        sealer=sealer,
        clock=clock,
        ids=ids,
        places=places,
        secrets=secrets,
        seconds=seconds,
    )
    notifier = Notifier(store, receivers, journal, clock, pauses=pauses, chance=lambda: 0.0)
    endpoints = Endpoints(store, receivers, places, secrets, journal, clock, ids)
    return Office(store, clock, receivers, notifier, endpoints, journal)
