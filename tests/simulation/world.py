"""The stage of one story: time, chance, the database, the bank, the weather and the processes that come and go."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import timedelta
from random import Random
from typing import Any

from gateway.model.message import Callback
from gateway.model.states import FINAL
from tests.simulation.bank import Bank, Order, sign
from tests.simulation.clock import EPOCH
from tests.simulation.instance import PARTNER, TOKEN, Instance
from tests.simulation.loop import Life, SeededLoop
from tests.simulation.oracles import Oracles
from tests.simulation.storage import Database
from tests.simulation.weather import Weather

__all__ = ["World"]

KEPT_LINES = 60


class World:
    """Everything but the story itself. `chance(name)` gives a stream of its own for each use, all from one seed."""

    def __init__(self, seed: int, loop: SeededLoop, *, verbose: bool = False) -> None:
        self.seed = seed
        self.loop = loop
        self._verbose = verbose
        self._hash = hashlib.sha256()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.story = self.chance("story")
        self._stalls = self.chance("stalls")
        self.stall_rate = 0.0
        self.database = Database(self.chance("commits"), self._leased)
        self.oracles = Oracles(self)
        self.bank = Bank(self.chance("bank"), loop.time, self.later, self._tell, self.oracles.arrived)
        self.weather = Weather(self.chance("weather"), self.bank, self.trace, 0.0)
        self.instances: list[Instance] = []
        self.crashed: set[str] = set()  # names of processes that were killed
        self.heard: set[tuple[str, str]] = set()  # acts whose last turn at the bank the gateway has acknowledged
        self._started = 0
        self.steadily = False
        self._callbacks = self.chance("callbacks")
        self._hangups = self.chance("hangups")

    @staticmethod
    def stream(seed: int, name: str) -> Random:
        """Chance for one use, apart from every other."""
        return Random(f"{seed}/{name}")

    def chance(self, name: str) -> Random:
        return self.stream(self.seed, name)

    def later(self, seconds: float, do: Callable[[], None]) -> None:
        """Do it then, whoever lives or dies meanwhile."""
        self.loop.call_later(seconds, do, context=Context())

    def trace(self, line: str) -> None:
        """One more line of what happened; all of them together are what a replay must repeat."""
        line = f"{self.loop.seconds:10.4f} {line}"
        self._hash.update(line.encode())
        self.lines.append(line)
        if self._verbose:
            print(line, flush=True)

    def digest(self) -> str:
        """The hash over every line."""
        return self._hash.hexdigest()

    # Processes

    def start(self, *, alone: bool) -> Instance:
        """A new process over the same database."""
        self._started += 1
        life = Life(f"gateway-{self._started}")
        chance = self.chance(life.name)
        instance = life.context.run(Instance, life, self.database, self.weather, chance, self.oracles)
        self.instances.append(instance)
        life.begin(instance.start(alone=alone, steadily=self.steadily))
        self.trace(f"{life.name} starts")
        return instance

    def kill(self, instance: Instance) -> None:
        """As by SIGKILL: nothing of it runs again."""
        instance.life.alive = False
        self.instances.remove(instance)
        self.crashed.add(instance.process)
        self.trace(f"{instance.name} is killed")
        self.oracles.look_at_rows()

    def power_cut(self) -> None:
        """All processes and the database at once."""
        for instance in tuple(self.instances):
            self.kill(instance)
        self.database.crash()
        self.trace("the power is cut")

    async def call(self, do: Callable[[Instance], Awaitable[Any]], patience: float, hang_up: bool = False) -> Any:
        """Ask some process, as over a socket: its answer, the exception it ended with, or None if none came."""
        if not self.instances:
            await asyncio.sleep(1.0)
            return None
        instance = self.story.choice(self.instances)
        reply: asyncio.Future[Any] = self.loop.create_future()

        async def serve() -> None:
            try:
                answer = await do(instance)
            except Exception as failure:  # noqa: BLE001 - the caller looks at what it is
                answer = failure
            if not reply.done():
                reply.set_result(answer)

        task = instance.life.begin(serve())
        await asyncio.wait({reply}, timeout=patience)
        if reply.done():
            return reply.result()
        if hang_up:
            task.cancel()
        reply.cancel()
        return None

    async def drain(self, instance: Instance) -> None:
        """End a process gently."""
        self.trace(f"{instance.name} drains")
        stopped = instance.life.begin(instance.stop(timedelta(seconds=15)))
        await asyncio.wait({stopped}, timeout=120)
        if instance in self.instances:
            await asyncio.sleep(12)  # inquiries that are under way
            self.oracles.look_at_rows()
            if instance in self.instances:
                instance.life.alive = False
                self.instances.remove(instance)
                self.trace(f"{instance.name} has ended")

    def _leased(self, life: Life) -> None:
        """Somebody was just handed work: the moment at which a stall does most harm."""
        if life.alive and self._stalls.random() < self.stall_rate:
            seconds = self._stalls.uniform(61, 75)
            self.trace(f"{life.name} stalls for {seconds:.0f} s")
            self.loop.stall(life, seconds)

    # The bank's callbacks

    def _tell(self, order: Order, before: str) -> None:
        """The bank tells what became of an order, in a world where messages come twice, late, reordered and forged."""
        chance, shown = self._callbacks, self.bank.shown
        true = shown(order)
        self.deliver(true, chance.choice((0.1, 1.0, 5.0, 40.0)))
        if self.weather.calm:
            return
        if chance.random() < 0.3:
            self.deliver(true, chance.uniform(0, 30))
        if before != order.code and chance.random() < 0.3:  # what it said before, overtaken
            self.deliver(shown(order, code=before), chance.uniform(0, 20))
        if chance.random() < 0.3:
            self.later(chance.uniform(1, 60), lambda: self._contradict(order))
        if chance.random() < 0.25:  # a mistake of the bank: another amount, or another order's key
            wrong = {"cents": order.cents + 1, "code": chance.choice(("PAID", "DECLINED", "BOUNCED"))}
            other = chance.choice(sorted(self.bank.orders.values(), key=lambda one: one.id))
            if chance.random() < 0.5 and other.kind == order.kind and other.cents != order.cents:
                wrong = {"reference": other.key, "code": "PAID"}
            self.deliver(shown(order, **wrong), chance.uniform(0, 20))

    def forge(self) -> None:
        """Somebody who knows every key but no secret says that an open order is paid, declined or came back."""
        orders = sorted(self.bank.orders.values(), key=lambda one: one.id)
        if orders:
            order = self._callbacks.choice(orders)
            code = self._callbacks.choice(("PAID", "DECLINED", "BOUNCED"))
            self.deliver(self.bank.shown(order, code=code), 0.1, signature="00" * 32)

    def deliver(self, members: dict[str, Any], pause: float, signature: str | None = None, tries: int = 4) -> None:
        """Send a callback after `pause`; what is not acknowledged comes again."""
        body = json.dumps(members).encode()
        signed = signature if signature is not None else sign(body)

        async def post() -> None:
            message = Callback("POST", "/callback", (("X-Signature", signed),), body, self._now())
            self.trace(f"callback {members['code']} {members['kind']} {members['reference'][:6]} {members['cents']}")
            said = await self.call(lambda one: one.callbacks.receive(PARTNER, TOKEN, message), 20.0)
            taken = getattr(said, "status", None) == 200
            if taken and signature is None and self._newest(members):
                self.heard.add((members["kind"], members["reference"]))
            if not taken and signature is None and tries > 1:
                self.deliver(members, 15.0, None, tries - 1)

        self.later(pause, lambda: self._spawn(post()))

    def _newest(self, members: dict[str, Any]) -> bool:
        """Whether this is the last that the bank will ever say about the order."""
        order = self.bank.orders.get((members["kind"], members["reference"]))
        return order is not None and (order.code, order.cents) == (members["code"], members["cents"])

    def _contradict(self, order: Order) -> None:
        """The bank takes back what it has said for good. Before that, such a message could only be believed."""
        query = "SELECT state FROM operations WHERE kind = ? AND partner_key = ?"
        if self.database.one(query, order.kind, order.key) in FINAL and not self.weather.calm:
            codes = ("DECLINED", "EXPIRED", "PENDING", "SCAN", "ODD")
            self.deliver(self.bank.shown(order, code=self._callbacks.choice(codes)), 0.1)

    def _spawn(self, work: Any) -> None:
        Context().run(asyncio.create_task, work)

    def _now(self) -> Any:
        return EPOCH + timedelta(seconds=self.loop.seconds)
