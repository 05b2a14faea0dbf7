"""Kills the gateway again and again while a shop works with it, and compares three ledgers at the end.

    python bench/crash_campaign.py --kills 200 --seed 1

A real gateway process (`lendgate serve`, SQLite) is killed with SIGKILL at random instants, also while it starts and
recovers. Eight shoppers make payments, transfers and refunds, each under a key that is kept and repeated until there is
an answer. The bank is a process apart, with its own ledger; it and the network misbehave by a seeded plan. Afterwards
  - the bank's ledger has no effect twice, and none that the gateway calls failed;
  - what the shop was told as done is done, and no operation that the shop was told about is missing;
  - every request that arrived had its durable intent, and what may act twice arrived at most once;
  - the log verifies.
What never reached the bank may still be `unknown`: "no such act" is believed only after the bank's settle window.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import aiohttp
import apsw

from gateway.sandbox import Point, Running, serve
from gateway.service.load import load
from gateway.service.offline import verify_records
from tests.cli.gateway_folder import key_of, prepare
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.installed import RIVERBANK, install

POINTS = (Point.CLOSE_BEFORE, Point.CLOSE_AFTER, Point.BAD_GATEWAY_AFTER, Point.TRUNCATE, Point.DELAY_AFTER)
SHOPPERS = 8
SETTLE_SECONDS = 90.0


@dataclass
class Told:
    """What the shop knows of one call: its key, and what it was last told."""

    key: str
    path: str
    body: dict[str, Any]
    answers: int = 0
    operation: dict[str, Any] | None = None
    refused: str | None = None


@dataclass
class Tally:
    """What the campaign did, for the histogram at its end."""

    kills: int = 0
    kills_with_open_intents: int = 0
    kills_in_start: int = 0
    starts: list[float] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    passed_unknown: int = 0
    wrong: list[str] = field(default_factory=list)


class Campaign:
    """One run over one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.tally = Tally()
        self.calls: list[Told] = []
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None

    async def run(self, kills: int) -> Tally:
        site = self.folder / "site"
        site.mkdir()
        install(site, "riverbank", RIVERBANK)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        async with await serve(RiverbankSimulator, self.folder / "dev" / "riverbank") as bank:
            prepare(self.folder, bank, port)
            url = f"http://127.0.0.1:{port}"
            shoppers = [asyncio.create_task(self._shop(url, bank, n)) for n in range(SHOPPERS)]
            for number in range(kills):
                await self._live_and_die(url, number)
            await self._settle(url, bank, shoppers)
            self._compare(bank)
        return self.tally

    # The gateway

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(self.folder / "site"), str(ROOT)))}
        command = (sys.executable, "-m", "gateway.cli", "serve")
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        return self._process

    async def _ready(self, url: str, seconds: float = 60.0) -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(int(seconds / 0.02)):
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)
        raise TimeoutError(f"the gateway did not start; see {self.folder / 'gateway.log'}")

    async def _live_and_die(self, url: str, number: int) -> None:
        began = time.monotonic()
        process = await self._start()
        usual = sorted(self.tally.starts)[len(self.tally.starts) // 2] if self.tally.starts else 1.0
        if number and self.chance.random() < 0.25:
            await asyncio.sleep(self.chance.uniform(0.3, 1.0) * usual)
            self.tally.kills_in_start += 1
        else:
            await self._ready(url)
            self.tally.starts.append(time.monotonic() - began)
            await asyncio.sleep(self.chance.uniform(0.1, 1.2))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        self.tally.kills += 1
        self.tally.kills_with_open_intents += bool(self._open_intents())
        if number % 10 == 9:
            print(
                f"  {number + 1} kills, {len(self.calls)} calls, {sum(c.answers for c in self.calls)} answers",
                flush=True,
            )

    def _open_intents(self) -> int:
        """Intents without an outcome, on the disk that the dead process left."""
        rows = self._read("SELECT kind, leaf FROM records")
        intents = {json.loads(leaf)["id"] for kind, leaf in rows if kind == "intent"}
        answered = {json.loads(leaf)["intent"] for kind, leaf in rows if kind == "outcome"}
        return len(intents - answered)

    def _read(self, query: str) -> list[Any]:
        path = self.folder / "lendgate.db"
        if not path.exists():
            return []
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            return list(connection.execute(query))
        except apsw.SQLError:
            return []  # killed before the first migration
        finally:
            connection.close()

    # The shop

    async def _shop(self, url: str, bank: Running[RiverbankSimulator], shopper: int) -> None:
        headers = {"Authorization": f"Bearer {key_of(self.folder, 'shop')}"}
        timeout = aiohttp.ClientTimeout(total=5)
        number = 0
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            while not self._stopping:
                number += 1
                if self.chance.random() < 0.3:
                    point = self.chance.choice(POINTS)
                    bank.simulator.faults.arm(point, "*", times=1, skip=self.chance.randint(0, 4), seconds=0.3)
                call = self._call(shopper, number)
                self.calls.append(call)
                await self._until_answered(session, url, call)

    def _call(self, shopper: int, number: int) -> Told:
        name = f"{shopper}-{number}"
        body: dict[str, Any] = {
            "connection": "riverbank",
            "reference": f"REF-{name}",
            "amount": {"amount": f"{number % 90 + 1}.00", "currency": "CNY"},
        }
        paid = [c.operation for c in self.calls[-60:] if c.path == "/v1/payments" and c.operation]
        paid = [operation for operation in paid if operation["state"] == "succeeded"]
        kind = self.chance.random()
        if kind < 0.2 and paid:
            payment = self.chance.choice(paid)
            half = f"{float(payment['amount']['amount']) * 0.6:.2f}"
            body["amount"] = {"amount": half, "currency": "CNY"}
            return Told(f"key-{name}", f"/v1/payments/{payment['id']}/refunds", body)
        if kind < 0.45:
            account = {"scheme": "bank_card", "identification": "6222000000000000"}
            return Told(f"key-{name}", "/v1/transfers", {**body, "creditor": {"name": "A Seller", "account": account}})
        method = {"type": "wallet_qr"}
        return Told(f"key-{name}", "/v1/payments", {**body, "method": method, "description": "a coat"})

    async def _until_answered(self, session: aiohttp.ClientSession, url: str, call: Told) -> None:
        """Repeat under the same key until there is an answer, as a careful client does."""
        while True:
            with suppress(aiohttp.ClientError, TimeoutError, json.JSONDecodeError):
                async with session.post(
                    url + call.path, json=call.body, headers={"Idempotency-Key": call.key}
                ) as answer:
                    said = json.loads(await answer.read())
                    if answer.status < 400:
                        call.answers += 1
                        call.operation = said
                        return
                    if said.get("retry") not in ("same_key", "after"):
                        call.answers += 1
                        call.refused = str(said.get("type"))
                        shown = said.get("operation")
                        call.operation = shown if isinstance(shown, dict) else None
                        return
            if self._stopping and self._process is None:
                return
            await asyncio.sleep(0.05)

    # The end

    async def _settle(self, url: str, bank: Running[RiverbankSimulator], shoppers: list[asyncio.Task[None]]) -> None:
        """Let the last process answer what is open, and ask until nothing changes any more."""
        self._stopping = True
        bank.simulator.faults.clear()
        process = await self._start()
        await self._ready(url)
        await asyncio.wait_for(asyncio.gather(*shoppers), 60)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            waiting = [
                key for kind, key in self._keys("processing", "unknown") if bank.simulator.ledger.count()[kind, key]
            ]
            if not waiting:
                break
            await asyncio.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        await process.wait()
        self._process = None

    def _keys(self, *states: str) -> list[tuple[str, str]]:
        found = self._read("SELECT kind, partner_key, state FROM operations")
        return [(kind, key) for kind, key, state in found if state in states]

    def _compare(self, bank: Running[RiverbankSimulator]) -> None:
        wrong, effects = self.tally.wrong, bank.simulator.ledger.count()
        operations = {
            id_: (kind, key, state)
            for id_, kind, key, state in self._read("SELECT id, kind, partner_key, state FROM operations")
        }
        for (kind, key), count in effects.items():
            if count > 1:
                wrong.append(f"{kind} {key} took effect {count} times")
        for id_, (kind, key, state) in operations.items():
            happened = effects[kind, key]
            self.tally.states[state] += 1
            if (state == "succeeded") != bool(happened):
                wrong.append(f"{id_} is {state}, but the bank's ledger has {happened}")
        for call in self.calls:
            told = call.operation
            if told is not None and told["id"] not in operations:
                wrong.append(f"the shop was told of {told['id']}, which is lost")
            elif told is not None and told["state"] == "succeeded" and operations[told["id"]][2] != "succeeded":
                wrong.append(f"the shop was told that {told['id']} succeeded, and it is {operations[told['id']][2]}")
        self._compare_requests(bank)

    def _compare_requests(self, bank: Running[RiverbankSimulator]) -> None:
        intents = Counter(digest for (digest,) in self._read("SELECT digest FROM records WHERE kind = 'intent'"))
        arrived = Counter(arrival.digest for arrival in bank.simulator.ledger.arrivals)
        for digest, count in (arrived - intents).items():
            self.tally.wrong.append(f"{count} requests {digest[:12]} arrived without an intent")
        once = Counter(a.digest for a in bank.simulator.ledger.arrivals if a.operation == "POST transfers")
        for digest, count in once.items():
            if count > 1:
                self.tally.wrong.append(f"a transfer {digest[:12]} arrived {count} times")
        changes = self._read("SELECT leaf FROM records WHERE kind = 'change'")
        unknown = {
            record["operation"] for record in (json.loads(leaf) for (leaf,) in changes) if record["after"] == "unknown"
        }
        self.tally.passed_unknown = len(unknown)
        report = verify_records(load(self.folder / "lendgate.toml"))
        if not report.passed:
            self.tally.wrong.append(f"the log does not verify: {report}")


def show(tally: Tally, calls: int, seconds: float, seed: int) -> None:
    """Print what was done and found."""
    share = 100 / max(1, tally.kills)
    open_share, start_share = tally.kills_with_open_intents * share, tally.kills_in_start * share
    print(
        f"seed {seed}: {tally.kills} kills in {seconds:.0f} s, {calls} calls, {sum(tally.states.values())} operations"
    )
    print(f"  kills with an intent open      {tally.kills_with_open_intents:6}  {open_share:.0f} %")
    print(f"  kills in start or recovery     {tally.kills_in_start:6}  {start_share:.0f} %")
    passed = 100 * tally.passed_unknown / max(1, sum(tally.states.values()))
    print(f"  operations that were unknown   {tally.passed_unknown:6}  {passed:.0f} %")
    for state, count in sorted(tally.states.items()):
        print(f"  ended as {state:<20}  {count:6}")
    print(f"  wrong                          {len(tally.wrong):6}")
    for line in tally.wrong[:20]:
        print(f"    {line}")


async def main(kills: int, seed: int) -> int:
    """Run one campaign; the exit status."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lendgate-crash-") as folder:
        campaign = Campaign(Path(folder), seed)
        tally = await campaign.run(kills)
        show(tally, len(campaign.calls), time.monotonic() - began, seed)
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.kills, arguments.seed)))
