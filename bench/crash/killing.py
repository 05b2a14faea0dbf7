"""One gateway that is started and killed again and again, at instants that are drawn from a seed.

- A quarter of the kills falls into the start: uniformly between the fork and a little after the usual time to be ready.
- A third of them is aimed: at the moment when an act arrives at the bank, or up to three milliseconds later. Its intent
  is durable then and its outcome is not; the reply may be on its way.
- The rest is uniform in the life of the process, which is made long enough for `OPERATIONS_PER_KILL`.
- Now and then a gateway stays away until the bank has forgotten every key: what it left in doubt must not be sent
  again then.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, Protocol

from bench.crash.bank import GRACE, KEY_LIFE
from bench.crash.processes import Child
from bench.crash.shop import Shop

__all__ = ["START_SECONDS", "Killed", "Killer", "Scene"]

START_SECONDS: Final = 60.0

IN_START: Final = 0.24
AIMED: Final = 0.33
OPERATIONS_PER_KILL: Final = 28
AWAY: Final = 1 / 60
AWAY_SECONDS: Final = (KEY_LIFE + GRACE).total_seconds() + 1
SHORTEST_LIFE_SECONDS, LONGEST_LIFE_SECONDS = 0.08, 4.0


@dataclass(slots=True)
class Killed:
    """What was done, for the report. Shared by all killers of a campaign."""

    kills: int = 0
    in_start: int = 0
    aimed: int = 0
    away: int = 0
    starts: list[float] = field(default_factory=list)  # seconds until ready
    instants: Counter[int] = field(default_factory=Counter)  # tenths of a second since the fork
    by_gateway: Counter[int] = field(default_factory=Counter)


class Scene(Protocol):
    """What a killer plays on."""

    @property
    def shop(self) -> Shop: ...

    @property
    def acting(self) -> asyncio.Event:
        """Set whenever an act arrives at the bank."""

    @property
    def strange(self) -> list[str]:
        """What processes did that they should not."""

    async def start(self, gateway: int) -> Child:
        """Start the process of the gateway with this number."""


class Killer:
    """Starts and kills one gateway."""

    def __init__(self, scene: Scene, gateway: int, seed: int, killed: Killed) -> None:
        self._scene = scene
        self._gateway = gateway
        self._chance = random.Random(f"kill {seed} {gateway}")
        self._killed = killed
        self._starts: deque[float] = deque(maxlen=50)
        self._answered: deque[tuple[float, int]] = deque(maxlen=50)  # (seconds ready, calls answered in them)

    async def run(self, until: int) -> None:
        """Go on until all killers together have killed `until` times."""
        while self._killed.kills < until:
            self._scene.shop.fail_loudly()
            await self._live_and_die()

    async def _live_and_die(self) -> None:
        if self._killed.kills and self._chance.random() < AWAY:
            self._killed.away += 1
            await asyncio.sleep(AWAY_SECONDS)
        child = await self._scene.start(self._gateway)
        draw, in_start = self._chance.random(), self._share_in_start()
        if draw < in_start and self._starts:
            await self._while_starting(child)
        elif await child.ready(START_SECONDS):
            began, before = time.monotonic(), self._scene.shop.answers
            self._starts.append(asyncio.get_running_loop().time() - child.began)
            self._killed.starts.append(self._starts[-1])
            await self._live(child, aimed=draw < in_start + AIMED)
            self._answered.append((time.monotonic() - began, self._scene.shop.answers - before))
        await self._die(child)

    def _share_in_start(self) -> float:
        """A kill that was meant for the start comes too late now and then; the next ones make up for it."""
        behind = self._killed.in_start < IN_START * self._killed.kills
        return 1.5 * IN_START if behind else IN_START / 1.5

    async def _while_starting(self, child: Child) -> None:
        usual = statistics.median(self._starts)
        await asyncio.wait({child.ended}, timeout=self._chance.uniform(0, 1.05) * usual)

    async def _live(self, child: Child, *, aimed: bool) -> None:
        life = self._chance.uniform(0, 2 * self._life())
        await asyncio.wait({child.ended}, timeout=life)
        if not aimed:
            return
        self._killed.aimed += 1
        self._scene.acting.clear()
        acts = asyncio.create_task(self._scene.acting.wait())
        await asyncio.wait({acts, child.ended}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        acts.cancel()
        await asyncio.sleep(self._chance.uniform(0, 0.003))

    def _life(self) -> float:
        """The mean life that makes enough operations for each kill; those that fall into the start make none."""
        seconds, answers = (sum(part) for part in zip(*self._answered, strict=True)) if self._answered else (1.0, 100)
        needed = OPERATIONS_PER_KILL / (1 - IN_START) * seconds / max(answers, 1)
        # Several gateways share the shop, and the machine has its moods: what was missed so far is made up for.
        missed = OPERATIONS_PER_KILL * self._killed.kills / max(self._scene.shop.answers, 1)
        return min(LONGEST_LIFE_SECONDS, max(SHORTEST_LIFE_SECONDS, needed * min(3.0, max(0.5, missed**3))))

    async def _die(self, child: Child) -> None:
        if child.ended.done():
            self._scene.strange.append(f"gateway {self._gateway + 1} ended by itself with {child.ended.result()}")
        lived = asyncio.get_running_loop().time() - child.began
        ready = child.said.done()
        await child.kill()
        self._killed.kills += 1
        self._killed.in_start += not ready
        self._killed.instants[int(lived * 10)] += 1
        self._killed.by_gateway[self._gateway] += 1
