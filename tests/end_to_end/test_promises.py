"""What must always hold, judged by the bank: what arrived there, in bytes, against what the log had on disk before.

The same oracle runs with the gate switched off, to show that it would find out.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.model.problems import Refused
from gateway.model.states import State
from gateway.sandbox import Arrival, Point
from gateway.store import work
from gateway.store.interface import Draft, Recorded
from gateway.store.operation import Operation
from gateway.store.work import Durable, Work
from tests.house import House, house

POINTS = [
    Point.CLOSE_BEFORE,
    Point.CLOSE_AFTER,
    Point.BAD_GATEWAY_BEFORE,
    Point.BAD_GATEWAY_AFTER,
    Point.TRUNCATE,
    Point.TAMPER,
    Point.GARBAGE,
    Point.BUSY,
]


class Witness(list[Arrival]):
    """Stands at the bank's socket and looks into the gateway's database at the moment in which a request arrives."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._disk = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        self.without_intent: list[Arrival] = []

    def append(self, arrival: Arrival) -> None:
        super().append(arrival)
        arrived = sum(1 for one in self if one.digest == arrival.digest)
        found = self._disk.execute(
            "SELECT count(*) FROM records WHERE kind = 'intent' AND digest = ?", (arrival.digest,)
        ).fetchone()
        if found is None or found[0] < arrived:
            self.without_intent.append(arrival)


async def drive(h: House, seed: int, count: int) -> list[Operation]:
    """Payments, refunds and transfers by eight shoppers at once, while the bank and the network misbehave."""
    chance = random.Random(seed)
    queue = list(range(count))
    made: list[Operation] = []

    async def shopper() -> None:
        while queue:
            number = queue.pop()
            h.bank.faults.arm(chance.choice(POINTS), "*", times=chance.randint(0, 2), skip=chance.randint(0, 5))
            try:
                made.append(await one(number))
            except Refused:
                continue  # nothing was sent: the shop would come back later

    async def one(number: int) -> Operation:
        if number % 3 == 0:
            return (await h.transfer(f"{number + 1}.00", f"T-{seed}-{number}")).operation
        payment = (await h.pay(f"{number + 1}.00", f"P-{seed}-{number}")).operation
        if number % 3 == 1 and payment.state is State.SUCCEEDED:
            made.append(payment)
            return (await h.refund(payment, f"{number + 1}.00", f"R-{seed}-{number}")).operation
        return payment

    await asyncio.gather(*(shopper() for _ in range(8)))
    h.bank.faults.clear()
    return made


async def intents_that_may_have_left(h: House) -> Counter[str | None]:
    entries = await h.store.entries(limit=100_000)
    observed = {}
    for entry in entries:
        if entry.kind == "outcome":
            said = json.loads(entry.leaf)
            observed[said["intent"]] = said["observed"]
    return Counter(e.digest for e in entries if e.kind == "intent" and observed.get(e.id) != "not_sent")


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_request_that_arrived_had_its_durable_intent_and_every_effect_happened_once(
    tmp_path: Path, seed: int
) -> None:
    async with house(tmp_path, patient=True) as h:
        witness = Witness(tmp_path / "lendgate.db")
        h.bank.ledger.arrivals = witness

        made = await drive(h, seed, 90)
        ended = [await h.settle(operation, rounds=4) for operation in made]

        assert len(made) > 60
        assert witness.without_intent == []
        assert Counter(arrival.digest for arrival in witness) == await intents_that_may_have_left(h)
        effects = h.bank.ledger.count()
        assert set(effects.values()) == {1}
        for operation in ended:
            happened = effects[operation.kind, operation.partner_key]
            assert happened == (1 if operation.state is State.SUCCEEDED else 0) or operation.state is State.UNKNOWN
        # What is still unknown never reached the bank: "no such act" is believed only after the settle window.
        assert all(effects[o.kind, o.partner_key] == 0 for o in ended if o.state is State.UNKNOWN)


async def test_with_the_gate_switched_off_the_witness_finds_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[asyncio.Task[Any]] = []

    async def intend_later(self: Work, intent: Draft) -> Any:
        self.add(Recorded(intent))

        async def commit() -> None:
            await asyncio.sleep(0.02)
            await Work.commit(self)

        late.append(asyncio.create_task(commit()))
        return work.Durable(work._KEY, intent.id, intent.digest)

    async with house(tmp_path) as h:
        witness = Witness(tmp_path / "lendgate.db")
        h.bank.ledger.arrivals = witness
        monkeypatch.setattr(Work, "intend", intend_later)

        await asyncio.gather(*(h.pay(reference=f"P-{n}") for n in range(5)), return_exceptions=True)
        await asyncio.gather(*late, return_exceptions=True)

        assert witness.without_intent


async def test_the_transport_opens_for_nothing_but_the_proof_of_a_durable_intent(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        Durable(object(), "rec_1", "00" * 32)
