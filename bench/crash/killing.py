"""One gateway that is started and killed again and again, at instants that are drawn from a seed.

- A quarter of the kills falls into the start: uniformly between the fork and a little after the usual time to be ready.
- A third of them is aimed: at the moment when an act arrives at the bank, or up to three milliseconds later. Its intent
  is durable then and its outcome is not; the reply may be on its way.
- The rest is uniform in the life of the process, which is made long enough for `OPERATIONS_PER_KILL`.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from bench.crash.processes import Child
from bench.crash.sites import Site
from bench.crash.stage import START_SECONDS, Stage

__all__ = ["Killed", "Killer"]

IN_START: Final = 0.25
AIMED: Final = 0.33
OPERATIONS_PER_KILL: Final = 28
SHORTEST_LIFE_SECONDS, LONGEST_LIFE_SECONDS = 0.08, 4.0


@dataclass(slots=True)
class Killed:
    """What was done, for the report. Shared by all killers of a campaign."""

    kills: int = 0
    in_start: int = 0
    aimed: int = 0
    starts: list[float] = field(default_factory=list)  # seconds until ready
    instants: Counter[int] = field(default_factory=Counter)  # tenths of a second since the fork
    by_gateway: Counter[str] = field(default_factory=Counter)


class Killer:
    """Starts and kills the gateway of one site."""

    def __init__(self, stage: Stage, site: Site, seed: int, killed: Killed, gateways: int = 1) -> None:
        self._stage = stage
        self._site = site
        self._chance = random.Random(f"kill {seed} {site.name}")
        self._killed = killed
        self._gateways = gateways
        self._starts: deque[float] = deque(maxlen=50)
        self._answered: deque[tuple[float, int]] = deque(maxlen=50)  # (seconds ready, calls answered in them)

    async def run(self, until: int) -> None:
        """Go on until all killers together have killed `until` times."""
        while self._killed.kills < until:
            self._stage.shop.fail_loudly()
            await self._live_and_die()

    async def _live_and_die(self) -> None:
        child = await self._stage.zygote.start(self._site.folder)
        draw = self._chance.random()
        if draw < IN_START and self._starts:
            await self._while_starting(child)
        elif await child.ready(START_SECONDS):
            began, before = time.monotonic(), self._stage.shop.answers
            self._starts.append(asyncio.get_running_loop().time() - child.began)
            self._killed.starts.append(self._starts[-1])
            await self._live(child, aimed=draw < IN_START + AIMED)
            self._answered.append((time.monotonic() - began, self._stage.shop.answers - before))
        await self._die(child)

    async def _while_starting(self, child: Child) -> None:
        usual = statistics.median(self._starts)
        await asyncio.wait({child.ended}, timeout=self._chance.uniform(0, 1.05) * usual)

    async def _live(self, child: Child, *, aimed: bool) -> None:
        life = self._chance.uniform(0, 2 * self._life())
        await asyncio.wait({child.ended}, timeout=life)
        if not aimed:
            return
        self._killed.aimed += 1
        self._stage.bank.acting.clear()
        acts = asyncio.create_task(self._stage.bank.acting.wait())
        await asyncio.wait({acts, child.ended}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        acts.cancel()
        await asyncio.sleep(self._chance.uniform(0, 0.003))

    def _life(self) -> float:
        """The mean life that makes enough operations for each kill; those that fall into the start make none."""
        seconds, answers = (sum(part) for part in zip(*self._answered, strict=True)) if self._answered else (1.0, 100)
        wanted = OPERATIONS_PER_KILL / (1 - IN_START)
        # Where several gateways share the shop, each kill counts for its share alone.
        needed = wanted * seconds / max(answers, 1)
        return min(LONGEST_LIFE_SECONDS, max(SHORTEST_LIFE_SECONDS, needed))

    async def _die(self, child: Child) -> None:
        if child.ended.done():
            where = self._site.folder / "gateway.log"
            self._stage.strange.append(f"{self._site.name} ended by itself with {child.ended.result()}; see {where}")
        lived = asyncio.get_running_loop().time() - child.began
        ready = child.said.done()
        await child.kill()
        self._killed.kills += 1
        self._killed.in_start += not ready
        self._killed.instants[int(lived * 10)] += 1
        self._killed.by_gateway[self._site.name] += 1
