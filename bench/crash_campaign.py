"""Kills gateways again and again while a shop works with them, and compares three ledgers at the end.

    python bench/crash_campaign.py --kills 200 --seed 1
    python bench/crash_campaign.py --kills 200 --seed 1 --store postgres

Real gateway processes (`lendgate serve`, started by `crash/zygote.py`) are killed with SIGKILL, also while they start
and recover: one on SQLite, or two on one PostgreSQL database, each at instants of its own (`crash/killing.py`). A
shop makes payments, transfers and refunds and retries as Stripe's clients do (`crash/shop.py`). The bank forgets
keys, executes transfers as often as they arrive, and has accidents by a seeded plan (`crash/bank.py`). Afterwards
everything that is in doubt is settled, and three ledgers are compared: the bank's, the gateways', the shop's
(`crash/ledgers.py`).

The seed gives the instants, accidents and calls; the machine's own timing is not repeated. Exit status 1 if anything
was wrong, or if the kills did not meet what they were aimed at.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.crash.killing import Killed, Killer
from bench.crash.ledgers import Found
from bench.crash.otherwise import installed, otherwise
from bench.crash.otherwise import show as show_otherwise
from bench.crash.report import show_found, show_kills, show_shop
from bench.crash.stage import Stage, stage
from tests.store.postgres_server import PostgresServer


@dataclass(slots=True)
class Campaign:
    """What a finished campaign leaves to look at."""

    stage: Stage
    killed: Killed
    found: Found


async def campaign(
    folder: Path, seed: int, kills: int, database_url: str | None = None, *, tell: bool = False
) -> Campaign:
    """Run one in an empty folder: one gateway on SQLite, or with a URL two on that PostgreSQL database."""
    gateways = 1 if database_url is None else 2
    async with stage(folder, seed, database_url=database_url, gateways=gateways) as set_up:
        killed = Killed()
        killers = [Killer(set_up, number, seed, killed) for number in range(gateways)]
        telling = asyncio.create_task(_tell(set_up, killed, kills)) if tell else None
        await asyncio.gather(*(killer.run(kills) for killer in killers))
        if telling is not None:
            telling.cancel()
        return Campaign(set_up, killed, await set_up.end())


async def _tell(set_up: Stage, killed: Killed, kills: int) -> None:
    began = time.monotonic()
    while True:
        await asyncio.sleep(10)
        seconds = time.monotonic() - began
        print(f"  {killed.kills:,} of {kills:,} kills, {set_up.shop.answers:,} answers, {seconds:.0f} s", flush=True)


@contextmanager
def database(store: str) -> Iterator[str | None]:
    """The URL of an empty PostgreSQL database that lives as long as this; None for SQLite."""
    if store == "sqlite":
        yield None
        return
    server = PostgresServer()
    try:
        yield server.dsn()
    finally:
        server.stop()


def main(kills: int, seed: int, store: str, keep: Path | None) -> int:
    """Run one campaign and print what it found; the exit status."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lendgate-crash-") as temporary, database(store) as url:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        done = asyncio.run(campaign(folder, seed, kills, url, tell=True))
        seconds = time.monotonic() - began
        made = done.killed.kills
        print(f"{store}, seed {seed}: {made:,} kills in {seconds:.0f} s, {seconds / made:.2f} s a kill", flush=True)
        missed = show_kills(done.killed, done.found)
        show_shop(done.stage)
        wrong = [*show_found(done.found, done.stage), *missed]
    print(f"  wrong                              {len(wrong):8,}")
    for line in wrong[:20]:
        print(f"    {line}")
    if store == "sqlite":
        compare_with_naive(seed, min(40, max(10, kills // 20)))
    return 1 if wrong else 0


def compare_with_naive(seed: int, kills: int) -> None:
    """Run the naive gateway under both kinds of clients, where it is installed."""
    if not installed():
        print("the naive gateway is left out: pip install 'lendgate[bench]'")
        return
    results = []
    for blind in (False, True):
        with tempfile.TemporaryDirectory(prefix="lendgate-naive-") as folder:
            results.append(asyncio.run(otherwise(Path(folder), seed, kills, blind=blind)))
    show_otherwise(results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument(
        "--keep", type=Path, help="an empty folder for configurations, stores and logs, kept for a look"
    )
    arguments = parser.parse_args()
    sys.exit(main(arguments.kills, arguments.seed, arguments.store, arguments.keep))
