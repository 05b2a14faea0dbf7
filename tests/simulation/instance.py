"""One run of a gateway's process inside a story: the real floors, put together over seeded seams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from random import Random
from typing import Any

from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.model.message import Request
from gateway.model.problems import StorageError
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connection, Connections
from gateway.operations.desk import Desk
from gateway.operations.door import Door
from gateway.operations.engine import Engine
from gateway.operations.inquiry import Inquirer
from gateway.operations.running import Runner
from gateway.store.operation import Operation
from gateway.wire.breaker import Breaker
from gateway.wire.channel import Channel
from gateway.wire.observed import Observed
from tests.simulation.bank import SECRET
from tests.simulation.clock import VirtualClock
from tests.simulation.loop import Life
from tests.simulation.partner import Saltmarsh, SaltmarshSettings
from tests.simulation.storage import Database
from tests.simulation.weather import HOST, SimulatedTransport, Weather

__all__ = ["ASKING", "PARTNER", "TOKEN", "Instance", "Watch"]

PARTNER = "saltmarsh"
TOKEN = "callback-token-of-the-story"
DEADLINE = timedelta(seconds=10)
HORIZON = timedelta(minutes=8)

ASKING: ContextVar[bool] = ContextVar("asking", default=False)
"""Whether the inquiry worker is at work, rather than a platform's call."""


class Watch:
    """What the oracles want to hear from an instance."""

    def sent(self, instance: Instance, request: Request) -> None:
        """A request leaves."""

    def changed(self, instance: Instance, operation: Operation, events: tuple[str, ...]) -> None:
        """The door says that this is durable."""

    def admitted(self, instance: Instance, verb: str, effect: bool) -> None:
        """The breaker let a send through."""

    def recorded(self, instance: Instance, verb: str, observed: Observed | None, effect: bool) -> None:
        """What became of it."""


class _WatchedBreaker(Breaker):
    """The real breaker; the oracle hears what it admits and what it is told."""

    def __init__(self, instance: Instance, watch: Watch) -> None:
        super().__init__(PARTNER, instance.clock)
        self._instance = instance
        self._watch = watch

    def admit(self, verb: str, *, effect: bool) -> None:
        super().admit(verb, effect=effect)
        self._watch.admitted(self._instance, verb, effect)

    def record(self, verb: str, observed: Observed | None, *, effect: bool) -> None:
        super().record(verb, observed, effect=effect)
        self._watch.recorded(self._instance, verb, observed, effect)


class Instance:
    """A gateway process. Made inside its own `life`, so that all it ever schedules belongs to it."""

    def __init__(self, life: Life, database: Database, weather: Weather, chance: Random, watch: Watch) -> None:
        self.life = life
        self.name = life.name
        self.clock = VirtualClock(chance.uniform(-5, 5))
        self.store = database.open(life)
        ids = Identifiers(self.clock.now, chance.randbytes)
        sealer = Sealer(b"k" * 32, entropy=chance.randbytes)
        self.process = ids.new("run")
        self.journal = Journal(ids, self.clock, "sandbox", self.process, sealer.seal)
        self.stopping = False
        self.connection = self._connect(ids, sealer, weather, chance, watch)
        connections = Connections({PARTNER: self.connection}, {})
        self.door = Door(self.store, self.journal, connections, self.clock, ids, HORIZON)
        self.door.listeners.append(lambda operation, events: watch.changed(self, operation, events))
        runner = Runner(self.clock, ids)
        self.engine = Engine(
            store=self.store,
            connections=connections,
            door=self.door,
            runner=runner,
            clock=self.clock,
            ids=ids,
            secret=b"i" * 32,
            mode="sandbox",
            public_url="http://127.0.0.1:1",
        )
        self.inquirer = Inquirer(self.store, connections, self.door, runner, self.clock, self.process)
        self.callbacks = Callbacks(self.store, connections, self.door, self.journal, self.clock, ids, sealer.seal)
        self.desk = Desk(self.store, self.door, self.journal)

    def _connect(self, ids: Identifiers, sealer: Sealer, weather: Weather, chance: Random, watch: Watch) -> Connection:
        keys = KeyRing.load(PARTNER, secrets={"shared": SECRET, "client_secret": b"opensesame"})
        adapter = Saltmarsh(SaltmarshSettings(url=f"http://{HOST}"))
        transport = SimulatedTransport(PARTNER, self.clock, weather)
        transport.sent = lambda request: watch.sent(self, request)
        channel = Channel.open(
            connection=PARTNER,
            partner=PARTNER,
            scheme=adapter.scheme,
            keys=keys,
            transport=transport,
            store=self.store,
            sealer=sealer,
            journal=self.journal,
            clock=self.clock,
            ids=ids,
            secrets=keys.reveal,
            breaker=_WatchedBreaker(self, watch),
            chance=chance.random,
        )
        return Connection(PARTNER, adapter, channel, keys, TOKEN, DEADLINE)

    async def start(self, *, alone: bool, steadily: bool) -> None:
        """Recover and begin to ask. `alone`: nobody else has the store; `steadily`: by the worker's own loop."""
        if alone:
            await self.inquirer.recover()
        ASKING.set(True)
        await (self.inquirer.run() if steadily else self._ask())

    async def stop(self, limit: timedelta) -> None:
        """As on SIGTERM: no new calls, and those that run come to their end."""
        self.stopping = True
        self.inquirer.stop()
        await self.engine.drain(limit)

    async def _ask(self) -> None:
        """Ask as soon as something is due. The worker's own loop looks twice a second; a story has no time for that."""
        while not self.stopping:
            due = await self.store.next_due()
            pause = 5.0 if due is None else (due - self.clock.now()).total_seconds()
            if pause <= 0:
                asyncio.create_task(_quietly(self.inquirer.round))  # noqa: RUF006 - the loop keeps every task
            await self.clock.sleep(min(max(pause, 0.5), 5.0))


async def _quietly(work: Callable[[], Any]) -> None:
    try:
        await work()
    except StorageError:
        return
