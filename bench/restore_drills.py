"""Puts an old store back under a gateway that went on working, and counts what is done a second time.

    python bench/restore_drills.py --drills 200 --seed 1
    python bench/restore_drills.py --drills 50 --seed 1 --no-quarantine      the negative control

One drill
  1. A shop makes payments, transfers and refunds through a gateway (the whole service, in this process) over a
     simulated bank; a backup is taken while calls run. The shop goes on. Some of its last requests are held up in the
     network.
  2. The gateway ends without a drain; its last store is put aside, and the backup takes its place: by `restore`, or as
     a file that somebody copied. The high-water mark is as old as it was at that instant.
  3. Between a second and thirty hours later a new gateway starts. The shop repeats every call with its old reference
     and makes new ones; what is refused is repeated later. What was held up arrives at the bank meanwhile, within half
     an hour after it was sent, as the bank's terms say.
  4. Everything is asked about until nothing is open. The bank's ledger is the judge.

The bank executes transfers as often as they arrive, and payments and refunds once a key for 24 hours; after that it has
forgotten the key. Time is moved by hand, so a drill takes what its work takes. Exit status 1 if anything was wrong (of
the negative control: if nothing was).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from aiohttp import web

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gateway.model.clock import Clock
from gateway.model.problems import Refused
from gateway.model.states import OPEN
from gateway.operations.engine import Answered
from gateway.sandbox import Running, serve
from gateway.service import high_water
from gateway.service.backup import back_up, restore
from gateway.service.config import Configuration
from gateway.service.high_water import read_mark
from gateway.service.open import OpenGateway, close, open_gateway
from gateway.testing.clock import ManualClock
from tests.riverbank_simulator import KINDS, RiverbankSimulator
from tests.service.installed import RIVERBANK, install
from tests.service.restored_house import configured, pay, refund, transfer

REMEMBERED: Final = timedelta(hours=24)
LATER: Final = (timedelta(seconds=1), timedelta(minutes=10), timedelta(hours=2), timedelta(hours=30))
SETTLED: Final = timedelta(minutes=15)
"""Nothing is in the network longer than the bank's terms say (30 minutes): what is held up arrives before that."""

PATIENCE: Final = 8
"""How often the shop repeats what is refused."""


class Bank(RiverbankSimulator):
    """Forgets keys after a day, never knew those of transfers, and can hold requests up in the network."""

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        self.holding: random.Random | None = None
        self.held: list[tuple[str, dict[str, Any]]] = []
        self._first: dict[tuple[str, str], datetime] = {}

    async def create(self, request: web.Request) -> web.Response:
        kind, order = KINDS[request.match_info["kind"]], json.loads(await request.read())
        if self.holding is not None and self.holding.random() < 0.3:
            self.held.append((kind, order))
            return web.Response(status=502, text="a proxy lost its patience")
        self._first.setdefault((kind, order["reference"]), self.clock.now())
        return await super().create(request)

    def recalled(self, place: tuple[str, str]) -> dict[str, Any] | None:
        known = self.orders.get(place)
        if known is None or place[0] == "transfer" or self.clock.now() >= self._first[place] + REMEMBERED:
            return None
        return known

    def arrive(self) -> None:
        """What was held up arrives."""
        self.holding = None
        for kind, order in self.held:
            place = (kind, order["reference"])
            self._first.setdefault(place, self.clock.now())
            if self.recalled(place) is None:
                number = f"RB{len(self.orders) + 1:08d}"
                self.orders[place] = {**order, "code": "PAID", "kind": kind, "id": number}
                self._took_effect(self.orders[place])
        self.held.clear()


@dataclass(slots=True)
class Wanted:
    """One call of the shop, repeated with the same reference until it is answered."""

    kind: str
    reference: str
    amount: str
    parent: Wanted | None = None
    operation: str | None = None
    refusals: int = 0

    async def ask(self, gateway: OpenGateway) -> Answered:
        if self.kind == "payment":
            answered = await pay(gateway, self.reference, self.amount)
        elif self.kind == "transfer":
            answered = await transfer(gateway, self.reference, self.amount)
        else:
            assert self.parent is not None and self.parent.operation is not None
            answered = await refund(gateway, self.parent.operation, self.reference, self.amount)
        self.operation = answered.operation.id
        return answered


@dataclass(slots=True)
class Tally:
    """What the drills counted, and what was wrong (nothing should be)."""

    drills: int = 0
    calls: int = 0
    effects: int = 0
    found: int = 0
    refused: int = 0
    gave_up: int = 0  # calls that were refused as often as the shop asked
    states: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    duplicates: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Drill:
    """One drill in an empty folder."""

    def __init__(self, folder: Path, seed: str, tally: Tally, *, quarantine: bool) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._name = seed
        self._tally = tally
        self._clock = ManualClock()
        self._calls: list[Wanted] = []
        self._quarantine = quarantine

    async def run(self) -> None:
        async with await serve(Bank, self._folder / "bank", clock=self._clock) as bank:
            configuration = configured(self._folder, bank)
            await self._lose(configuration, bank)
            gateway = await open_gateway(configuration, clock=self._clock)
            try:
                await gateway.workers.stop(5)
                if self._quarantine and not gateway.quarantine.standing():
                    self._tally.wrong.append(f"{self._name}: a store that was put back was trusted")
                await self._come_back(gateway, bank.simulator)
                await self._judge(gateway, bank.simulator)
            finally:
                await close(gateway)

    async def _lose(self, configuration: Configuration, bank: Running[Bank]) -> None:
        """Work, back up, work on, end without a word, and put the old store back."""
        gateway = await open_gateway(configuration, clock=self._clock)
        await self._work(gateway, self._chance.randrange(2, 6))
        backup = self._folder / "backup"
        made = asyncio.create_task(asyncio.to_thread(back_up, configuration, backup, self._clock.now()))
        await self._work(gateway, 2)
        manifest = await made
        await self._work(gateway, self._chance.randrange(1, 5))
        await self._marked(configuration, manifest.number)
        bank.simulator.holding = self._chance
        last = asyncio.create_task(self._work(gateway, self._chance.randrange(2, 6)))
        await asyncio.sleep(self._chance.uniform(0, 0.05))
        mark = configuration.mark.read_bytes()
        await gateway.stack.aclose()
        await asyncio.gather(last, return_exceptions=True)
        configuration.mark.write_bytes(mark)
        way = self._chance.choice(("restored", "copied"))
        self._tally.ways[way] += 1
        if way == "restored":
            restore(configuration, backup, self._clock.now(), replace=True)
        else:
            for path in self._folder.glob("lendgate.db*"):
                path.unlink()
            shutil.copy(backup / "lendgate.db", configuration.database)
        if not self._quarantine:
            shutil.rmtree(configuration.log_directory)
        later = self._chance.choice(LATER)
        if later > SETTLED:
            self._clock.advance(timedelta(minutes=1))
            bank.simulator.arrive()
        self._clock.advance(later)

    async def _marked(self, configuration: Configuration, number: int) -> None:
        """Wait until the mark has passed the backup: what was lost within a second of it, only `restore` tells."""
        for _ in range(500):
            mark = read_mark(configuration.mark)
            if mark is not None and mark.number > number:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError("the mark stays behind")

    async def _work(self, gateway: OpenGateway, count: int) -> None:
        """Calls at the same time; a refund follows its payment."""
        await asyncio.gather(*(self._once(gateway, self._wanted()) for _ in range(count)), return_exceptions=True)

    async def _once(self, gateway: OpenGateway, wanted: Wanted) -> None:
        self._calls.append(wanted)
        await wanted.ask(gateway)

    def _wanted(self) -> Wanted:
        number, chance = len(self._calls) + 1, self._chance.random()
        paid = [one for one in self._calls if one.kind == "payment" and one.operation]
        cents = self._chance.choice((0, 0, 0, 0, 13, 17))
        if chance < 0.25 and paid:
            return Wanted("refund", f"R-{self._name}-{number}", "2.00", self._chance.choice(paid))
        kind = "transfer" if chance < 0.6 else "payment"
        return Wanted(kind, f"{kind}-{self._name}-{number}", f"{self._chance.randrange(20, 90)}.{cents:02d}")

    async def _come_back(self, gateway: OpenGateway, bank: Bank) -> None:
        """Repeat all calls, and make new ones; what was held up arrives after the first of them."""
        known = list(self._calls)
        for one in known:
            one.operation = None
        new = [self._wanted() for _ in range(2)]
        self._calls += new
        # Payments first: a refund needs the payment's id, which is another one where the old operation was lost.
        waiting = sorted((*known, *new), key=lambda one: one.kind == "refund")
        for attempt in range(PATIENCE):
            waiting = [one for one in waiting if not await self._answered(gateway, one)]
            if attempt == 0:
                self._clock.advance(timedelta(minutes=self._chance.randrange(1, 15)))
                bank.arrive()
            if waiting:
                self._clock.advance(timedelta(minutes=10))
        self._tally.gave_up += len(waiting)
        self._tally.found += sum(gateway.quarantine.found.values())
        self._tally.refused += sum(gateway.quarantine.refused.values())

    async def _answered(self, gateway: OpenGateway, one: Wanted) -> bool:
        if one.kind == "refund" and (one.parent is None or one.parent.operation is None):
            return False
        try:
            await one.ask(gateway)
        except Refused as refused:
            one.refusals += 1
            return refused.kind not in ("quarantined", "partner_unreachable", "overloaded", "call_in_progress")
        return True

    async def _judge(self, gateway: OpenGateway, bank: Bank) -> None:
        """Settle everything, then compare effects with operations."""
        for order in bank.orders.values():
            if order["code"] == "PENDING":
                order["code"] = "PAID"
        for _ in range(20):
            if not [one for state in OPEN for one in await gateway.store.operations(state=state.value)]:
                break
            self._clock.advance(timedelta(minutes=20))
            await gateway.inquirer.round()
        moved = Counter((one.kind, one.key) for one in bank.ledger.effects)
        operations = {(one.kind, one.partner_key): one for one in await gateway.store.operations(limit=1000)}
        for place, times in moved.items():
            if times > 1:
                self._tally.duplicates.append(f"{self._name}: {place} moved money {times} times")
        for place, one in operations.items():
            self._tally.states[one.state.value] += 1
            if one.open or (one.state.value == "succeeded") != (moved[place] > 0):
                self._tally.wrong.append(f"{self._name}: {one.id} is {one.state.value}, the bank moved {moved[place]}")
        asked = {one.operation for one in self._calls if one.operation}
        self._tally.wrong += [
            f"{self._name}: {place} moved money, and no operation knows it, though the shop has asked again"
            for place in moved.keys() - operations.keys()
            if len(asked) == len(self._calls)
        ]
        self._tally.drills += 1
        self._tally.calls += len(self._calls)
        self._tally.effects += sum(moved.values())


async def drills(folder: Path, count: int, seed: int, *, quarantine: bool = True) -> Tally:
    """Run `count` drills below `folder`. Without quarantine every store is trusted: the negative control."""
    site = folder / "site"
    site.mkdir()
    install(site, "riverbank", RIVERBANK)
    sys.path.insert(0, str(site))
    tally = Tally()
    try:
        with _trusting() if not quarantine else _as_it_is():
            for number in range(count):
                place = folder / f"drill-{number}"
                place.mkdir()
                await Drill(place, f"{seed}-{number}", tally, quarantine=quarantine).run()
                shutil.rmtree(place)
    finally:
        sys.path.remove(str(site))
    return tally


@contextmanager
def _trusting() -> Iterator[None]:
    """Every store is taken for the newest."""
    judge = high_water.judge
    high_water.judge = lambda *what: None  # the planted fault
    try:
        yield
    finally:
        high_water.judge = judge


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def main() -> int:
    """Run the drills and print what they found."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--drills", type=int, default=200)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--no-quarantine", action="store_true", help="the negative control")
    asked = options.parse_args()
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = asyncio.run(drills(Path(folder), asked.drills, asked.seed, quarantine=not asked.no_quarantine))
    seconds = time.monotonic() - began
    print(f"seed {asked.seed}: {tally.drills} drills ({dict(tally.ways)}) in {seconds:.0f} s")
    print(f"calls {tally.calls}, effects at the bank {tally.effects}, operations at the end {dict(tally.states)}")
    print(f"found at the bank and taken over {tally.found}, refused {tally.refused}, still refused {tally.gave_up}")
    print(f"duplicated effects {len(tally.duplicates)}, wrong outcomes {len(tally.wrong)}")
    for line in (*tally.duplicates, *tally.wrong)[:20]:
        print(f"  {line}")
    failed = bool(tally.duplicates or tally.wrong)
    return int(failed != asked.no_quarantine)


if __name__ == "__main__":
    sys.exit(main())
