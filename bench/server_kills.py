"""Kills the database server again and again while two gateways and a shop work with it, and compares three ledgers.

    python bench/server_kills.py --kills 200 --seed 1

A PostgreSQL server (fsync on) is stopped in mode `immediate` or its postmaster is killed with -9, at instants drawn
from the seed, also while the gateways start. A gateway whose commit failed can promise nothing any more: it must end
by itself with exit status 1. Then the server recovers and both are started again. Bank, shop and comparison are those
of `crash_campaign.py`. Exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.crash.killing import START_SECONDS
from bench.crash.ledgers import Found
from bench.crash.processes import Child
from bench.crash.report import histogram, show_found, show_shop
from bench.crash.stage import Stage, stage
from tests.store.postgres_server import PostgresServer

IN_START: Final = 0.15
LONGEST_LIFE_SECONDS: Final = 1.2
END_SECONDS: Final = 30.0
"""How long a gateway may take to end by itself when its database is gone."""


@dataclass(slots=True)
class Broken:
    """What was done to the server, and what became of the gateways."""

    kinds: Counter[str] = field(default_factory=Counter)
    in_start: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    ends: list[float] = field(default_factory=list)  # seconds from the kill to a gateway's end
    recoveries: list[float] = field(default_factory=list)  # seconds until the server took connections again

    @property
    def kills(self) -> int:
        return self.kinds.total()


class Breaking:
    """Kills the server of one campaign."""

    def __init__(self, set_up: Stage, server: PostgresServer, seed: int) -> None:
        self._stage = set_up
        self._server = server
        self._chance = random.Random(f"server {seed}")
        self.broken = Broken()

    async def once(self) -> None:
        """Start the gateways, kill the server under them, wait for their end, and start the server again."""
        self._stage.shop.fail_loudly()
        gateways = [await self._stage.start(number) for number in range(2)]
        if self._chance.random() < IN_START and self.broken.kills:
            self.broken.in_start += 1
            await asyncio.sleep(self._chance.uniform(0, 0.6))
        else:
            ready = await asyncio.gather(*(gateway.ready(START_SECONDS) for gateway in gateways))
            if not all(ready):
                self._stage.strange.append("a gateway did not start although its database was there")
            await asyncio.sleep(self._chance.uniform(0.05, LONGEST_LIFE_SECONDS))
        self._kill()
        await self._ended(gateways)
        self._recover()

    def _kill(self) -> None:
        if self._chance.random() < 0.5:
            self.broken.kinds["immediate stop"] += 1
            self._server.break_off()
        else:
            self.broken.kinds["kill -9 of the postmaster"] += 1
            self._server.kill()

    async def _ended(self, gateways: list[Child]) -> None:
        began = time.monotonic()
        for gateway in gateways:
            await asyncio.wait({gateway.ended}, timeout=END_SECONDS)
            if not gateway.ended.done():
                self._stage.strange.append(f"a gateway ran on for {END_SECONDS} s without its database")
                await gateway.kill()
            self.broken.ends.append(time.monotonic() - began)
            status = gateway.ended.result()
            self.broken.statuses[status] += 1
            if status != 1:
                self._stage.strange.append(f"a gateway that lost its database ended with {status}, not 1")

    def _recover(self) -> None:
        """Processes of a killed server may still be on their way out; a new one starts only when they are gone."""
        began = time.monotonic()
        while True:
            try:
                self._server.start()
                break
            except AssertionError:
                if time.monotonic() - began > START_SECONDS:
                    raise
                time.sleep(0.05)
        self.broken.recoveries.append(time.monotonic() - began)


async def break_servers(folder: Path, server: PostgresServer, seed: int, kills: int) -> tuple[Stage, Broken, Found]:
    """Run one campaign in an empty folder."""
    async with stage(folder, seed, database_url=server.dsn(), gateways=2) as set_up:
        breaking = Breaking(set_up, server, seed)
        told = time.monotonic()
        while breaking.broken.kills < kills:
            await breaking.once()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"  {breaking.broken.kills} of {kills} kills, {set_up.shop.answers:,} answers", flush=True)
        return set_up, breaking.broken, await set_up.end()


def show_broken(broken: Broken) -> None:
    """Print what was done and how the gateways ended."""
    for kind, count in broken.kinds.most_common():
        print(f"  {kind:<34} {count:8,}")
    print(f"  kills while gateways start         {broken.in_start:8,}  {100 * broken.in_start / broken.kills:.0f} %")
    for status, count in sorted(broken.statuses.items()):
        print(f"  gateways that ended with {status:<9} {count:8,}")
    print(f"  seconds until they ended, median   {statistics.median(broken.ends):8.2f}  at most {max(broken.ends):.2f}")
    print(f"  seconds of the server's recovery   {statistics.median(broken.recoveries):8.2f}  median")
    ends = Counter(int(seconds * 2) for seconds in broken.ends)
    histogram("gateways ended after (seconds)", {f"{half / 2:.1f}": count for half, count in sorted(ends.items())})


def main(kills: int, seed: int) -> int:
    """Run one campaign and print what it found; the exit status."""
    began = time.monotonic()
    server = PostgresServer()
    try:
        with tempfile.TemporaryDirectory(prefix="lendgate-server-") as folder:
            set_up, broken, found = asyncio.run(break_servers(Path(folder), server, seed, kills))
    finally:
        server.stop()
    seconds = time.monotonic() - began
    print(
        f"postgres, seed {seed}: {broken.kills} server kills in {seconds:.0f} s, {seconds / broken.kills:.2f} s a kill"
    )
    show_broken(broken)
    show_shop(set_up)
    wrong = show_found(found, set_up)
    print(f"  wrong                              {len(wrong):8,}")
    for line in wrong[:20]:
        print(f"    {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(main(arguments.kills, arguments.seed))
