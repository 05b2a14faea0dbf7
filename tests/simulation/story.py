"""One story from its seed: what the platforms want, what goes wrong, and how everything is settled in the end.

In this order
  1. a few minutes of calls, faults, crashes, stalls, clock jumps and forgeries, each as the seed draws them
  2. the faults end, and whoever was killed is started again
  3. the bank comes to rest, and the gateway asks until nothing is open
  4. a person settles what nobody can be asked about any more, and clears what called for attention
  5. the oracles compare everything
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.operations.desk import Settlement
from gateway.store.operation import Operation
from gateway.store.sqlite_queries import load
from tests.simulation.loop import SeededLoop, StoryTooLong
from tests.simulation.oracles import Violation
from tests.simulation.platform import Platform
from tests.simulation.world import World

__all__ = ["Told", "tell"]

CALM_SECONDS = 900.0
STORIES_BETWEEN_TIDYING = 10


@dataclass
class Told:
    """How a story went."""

    seed: int
    digest: str
    violations: list[Violation]
    lines: list[str]
    operations: int = 0
    faults: dict[str, int] = field(default_factory=dict)


def tell(seed: int, *, verbose: bool = False) -> Told:
    """Tell the story of `seed` from its beginning to its judgement."""
    loop = SeededLoop(World.stream(seed, "order"))
    try:
        return loop.run_until_complete(_whole(seed, loop, verbose))
    finally:
        loop.bury()
        if seed % STORIES_BETWEEN_TIDYING == 0:
            gc.collect()


async def _whole(seed: int, loop: SeededLoop, verbose: bool) -> Told:
    world = World(seed, loop, verbose=verbose)
    story = Story(world)
    try:
        await story.tell()
    except StoryTooLong as spin:
        world.oracles.broken("spin", str(spin))
    operations = story.operations()
    return Told(
        seed,
        world.digest(),
        world.oracles.violations,
        list(world.lines),
        len(operations),
        world.weather.faults,
    )


class Story:
    """Draws what happens and lets it happen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._chance = world.story
        self._acts: set[asyncio.Task[Any]] = set()

    async def tell(self) -> None:
        """Steps 1 to 5."""
        world, chance = self.world, self._chance
        # 1.
        world.weather.rate = chance.choice((0.05, 0.15, 0.3, 0.5))
        world.stall_rate = chance.choice((0.0, 0.0, 0.1))
        world.steadily = chance.random() < 0.05
        pair = chance.random() < 0.5
        world.start(alone=True)
        if pair:
            world.start(alone=False)
        length = chance.uniform(20, 90)
        for act in (*self._calls(length), *self._troubles(length)):
            self._acts.add(asyncio.create_task(act))
        await asyncio.wait(self._acts)
        # 2.
        world.weather.calm = True
        world.stall_rate = 0.0
        world.bank.busy = world.bank.refuses_tokens = False
        world.trace("the faults end")
        if not world.instances:
            world.start(alone=True)
        # 3.
        await self._until_quiet()
        # 4.
        await self._settle()
        # 5.
        world.oracles.look_at_rows()
        world.oracles.aftermath(self.operations())

    def operations(self) -> list[Operation]:
        """All of them, as they stand."""
        query = "SELECT document, reserved, version FROM operations ORDER BY row"
        return [load(*found) for found in self.world.database.all(query)]

    # 1.

    def _calls(self, length: float) -> list[Coroutine[Any, Any, None]]:
        platforms = [Platform(self.world, "shop"), Platform(self.world, "lender")]
        chance = self._chance
        calls = [
            self._at(chance.uniform(0, length), chance.choice(platforms).buy()) for _ in range(chance.randint(2, 6))
        ]
        if chance.random() < 0.2:  # a rush
            when = chance.uniform(0, length)
            calls += [self._at(when + n / 3, platforms[0].buy()) for n in range(6)]
        return calls

    def _troubles(self, length: float) -> list[Coroutine[Any, Any, None]]:
        chance = self._chance
        drawn = [
            (0.3, self._outage),
            (0.3, self._crash),
            (0.15, self._power_cut),
            (0.15, self._drain),
            (0.2, self._jump),
            (0.3, self._forgeries),
            (0.15, self._token_trouble),
            (0.1, self._busy_bank),
            (0.3, self._person),
        ]
        return [self._at(chance.uniform(0, length), do()) for odds, do in drawn if chance.random() < odds]

    async def _at(self, seconds: float, do: Coroutine[Any, Any, None]) -> None:
        await asyncio.sleep(seconds)
        await do

    async def _outage(self) -> None:
        """The bank cannot be reached; now and then for longer than a key lives."""
        weather = self.world.weather
        weather.down = self._chance.choice(("refuse", "lose", "deaf"))
        seconds = self._chance.choice((5.0, 30.0, 60.0, 60.0, 400.0))
        self.world.trace(f"the bank is away for {seconds:.0f} s: {weather.down}")
        await asyncio.sleep(seconds)
        weather.down = None

    async def _crash(self) -> None:
        world = self.world
        for _ in range(self._chance.choice((1, 1, 2, 3))):
            if world.instances:
                world.kill(self._chance.choice(world.instances))
            await asyncio.sleep(self._chance.choice((0.0, 0.5, 20.0)))
            world.start(alone=not world.instances)
            await asyncio.sleep(self._chance.uniform(0.0, 15.0))

    async def _power_cut(self) -> None:
        self.world.power_cut()
        await asyncio.sleep(self._chance.choice((0.1, 5.0, 40.0)))
        self.world.start(alone=not self.world.instances)

    async def _drain(self) -> None:
        if self.world.instances:
            instance = self._chance.choice(self.world.instances)
            await self.world.drain(instance)
            self.world.start(alone=not self.world.instances)

    async def _jump(self) -> None:
        for instance in self.world.instances:
            instance.clock.skew = self._chance.uniform(-5, 5)

    async def _forgeries(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            self.world.forge()
            await asyncio.sleep(self._chance.uniform(0, 10))

    async def _token_trouble(self) -> None:
        self.world.bank.refuses_tokens = True
        await asyncio.sleep(self._chance.uniform(1, 20))
        self.world.bank.refuses_tokens = False

    async def _busy_bank(self) -> None:
        self.world.bank.busy = True
        await asyncio.sleep(self._chance.uniform(1, 20))
        self.world.bank.busy = False

    async def _person(self) -> None:
        """Somebody rings the bank about what is in doubt, and writes down what it said."""
        for operation in self.operations():
            order = self.world.bank.orders.get((operation.kind, operation.partner_key))
            if operation.open and order is not None and order.code in ("PAID", "DECLINED"):
                await self._settle_as(operation, "succeeded" if order.code == "PAID" else "failed")

    # 3. and 4.

    async def _until_quiet(self) -> None:
        world = self.world
        until = world.loop.seconds + CALM_SECONDS
        await asyncio.sleep(70)  # the last requests arrive, and the bank decides what is pending
        while world.loop.seconds < until:
            await asyncio.sleep(30)
            left = [one for one in self.operations() if one.open or one.next_inquiry_at is not None]
            if not any(one.open and not self._nobody_knows(one) for one in left) and world.loop.seconds > until - 700:
                return

    def _nobody_knows(self, operation: Operation) -> bool:
        """Whether a person is called by now, because the bank can be asked no more."""
        return operation.method == "payer_code" and bool(operation.attention)

    async def _settle(self) -> None:
        for operation in self.operations():
            effects = self.world.bank.effects(operation.kind, operation.partner_key)
            if operation.open and self._nobody_knows(operation):
                await self._settle_as(operation, "succeeded" if effects else "failed")
            elif operation.attention and operation.state.value in ("succeeded", "failed"):
                await self._settle_as(operation, operation.state.value)

    async def _settle_as(self, operation: Operation, state: Any) -> None:
        world = self.world
        settlement = Settlement(state, "the bank says so", "call of today", "shop/operator")
        world.trace(f"a person settles {operation.partner_key[:6]} as {state}")
        said = await world.call(lambda one: one.desk.settle(operation.id, settlement), 20.0)
        if not isinstance(said, Operation):
            world.trace(f"the desk answers {said!r}"[:80])
