"""A whole gateway over the fictional bank, in one process: real store on disk, real sockets, real signatures.

`async with house(tmp_path) as h:` gives the bank (a simulator), the gateway's parts, and short ways to ask for things.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.clock import Clock, SystemClock
from gateway.model.ids import Identifiers
from gateway.model.payments import NewPayment, NewRefund
from gateway.model.transfers import NewTransfer
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Answered, Call, Engine
from gateway.operations.inquiry import Inquirer
from gateway.operations.running import Runner
from gateway.sandbox import Running, serve
from gateway.store.operation import Operation
from gateway.store.sqlite import SQLiteStore
from gateway.wire.breaker import Breaker
from gateway.wire.budget import Budget
from gateway.wire.channel import Channel
from gateway.wire.retry import Pace
from gateway.wire.transport import Transport
from tests.riverbank import Riverbank, RiverbankSettings
from tests.riverbank_simulator import SECRET, RiverbankSimulator

QUICK = Pace(base_seconds=0.005, cap_seconds=0.02)
TOKEN = "callback-token-of-the-test-house"


@dataclass
class House:
    """The parts, and what tests mostly do with them."""

    bank: RiverbankSimulator
    store: SQLiteStore
    engine: Engine
    door: Door
    inquirer: Inquirer
    callbacks: Callbacks
    connection: Connection
    running: Running[RiverbankSimulator]
    journal: Journal
    counter: int = 0

    async def bank_closes(self) -> None:
        """Nobody listens at the bank's address any more."""
        await self.running.stop()

    def call(self, key: str | None = None, client: str = "shop", wait: float | None = None) -> Call:
        self.counter += 1
        return Call(client, key or f"key-{self.counter}", "POST /v1/payments", wait)

    async def pay(self, amount: str = "100.00", reference: str | None = None, **fields: Any) -> Answered:
        call = self.call(fields.pop("key", None), fields.pop("client", "shop"), fields.pop("wait", None))
        return await self.engine.initiate("payment", self.payment(amount, reference, **fields), call)

    def payment(self, amount: str = "100.00", reference: str | None = None, **fields: Any) -> NewPayment:
        body = {
            "connection": "riverbank",
            "reference": reference or f"ORDER-{self.counter}",
            "amount": {"amount": amount, "currency": "CNY"},
            "method": {"type": "wallet_qr"},
            "description": "a coat",
            **fields,
        }
        return NewPayment.model_validate(body)

    async def refund(self, payment: Operation, amount: str, reference: str | None = None) -> Answered:
        call = self.call()
        body = {
            "connection": "riverbank",
            "reference": reference or f"REFUND-{self.counter}",
            "amount": {"amount": amount, "currency": "CNY"},
        }
        return await self.engine.initiate("refund", NewRefund.model_validate(body), call, parent=payment.id)

    async def transfer(self, amount: str = "100.00", reference: str | None = None) -> Answered:
        call = self.call()
        body = {
            "connection": "riverbank",
            "reference": reference or f"PAYOUT-{self.counter}",
            "amount": {"amount": amount, "currency": "CNY"},
            "creditor": {"name": "A Seller", "account": {"scheme": "bank_card", "identification": "6222000000000000"}},
        }
        return await self.engine.initiate("transfer", NewTransfer.model_validate(body), call)

    async def stands(self, operation: Operation | str) -> Operation:
        """The operation as it is stored."""
        found = await self.store.operation(operation if isinstance(operation, str) else operation.id)
        assert found is not None
        return found

    async def settle(self, operation: Operation, *, rounds: int = 50) -> Operation:
        """Ask the bank until the operation has ended."""
        for _ in range(rounds):
            now = await self.stands(operation)
            if not now.open:
                return now
            await self.inquirer.inquire(now)
            await asyncio.sleep(0)
        return await self.stands(operation)


async def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that another process or task does. Raises `TimeoutError`."""
    for _ in range(int(seconds / 0.005)):
        if true():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError("it did not come about")


@asynccontextmanager
async def house(
    directory: Path,
    *,
    clock: Clock | None = None,
    bank: Running[RiverbankSimulator] | None = None,
    patient: bool = False,
) -> AsyncIterator[House]:
    """Open everything on `directory` (twice on the same one: a restart) and close it at the end.

    `patient`: neither the breaker nor the retry budget gives a failing bank a rest.
    """
    clock = clock or SystemClock()
    running = bank or await serve(RiverbankSimulator, directory / "riverbank")
    store = await SQLiteStore.open(directory / "lendgate.db", clock)
    built = build(running, store, clock, patient)
    try:
        yield built
    finally:
        await built.engine.drain(timedelta(seconds=5))
        await built.connection.channel.transport.close()
        await store.close()
        if bank is None:
            await running.stop()


def build(running: Running[RiverbankSimulator], store: SQLiteStore, clock: Clock, patient: bool) -> House:
    """The floors above a store, put together by hand."""
    ids, sealer = Identifiers(clock.now), Sealer(b"k" * 32)
    journal = Journal(ids, clock, "sandbox", ids.new("proc"), sealer.seal)
    connection = connect(running, store, clock, ids, sealer, journal, patient)
    connections = Connections({"riverbank": connection}, {})
    door, runner = Door(store, journal, connections, clock, ids), Runner(clock, ids)
    engine = Engine(
        store=store,
        connections=connections,
        door=door,
        runner=runner,
        clock=clock,
        ids=ids,
        secret=b"i" * 32,
        mode="sandbox",
        public_url="http://127.0.0.1:1",
    )
    inquirer = Inquirer(store, connections, door, runner, clock, f"worker-{os.getpid()}")
    callbacks = Callbacks(store, connections, door, journal, clock, ids, sealer.seal)
    return House(running.simulator, store, engine, door, inquirer, callbacks, connection, running, journal)


def connect(
    running: Running[RiverbankSimulator],
    store: SQLiteStore,
    clock: Clock,
    ids: Identifiers,
    sealer: Sealer,
    journal: Journal,
    patient: bool,
) -> Connection:
    """The one connection, to the fictional bank."""
    keys = KeyRing.load("riverbank", secrets={"shared": SECRET})
    adapter = Riverbank(RiverbankSettings(url=running.url))
    channel = Channel.open(
        connection="riverbank",
        partner="riverbank",
        scheme=adapter.scheme,
        keys=keys,
        transport=Transport("riverbank", running.onboarding.hosts, clock),
        store=store,
        sealer=sealer,
        journal=journal,
        clock=clock,
        ids=ids,
        secrets=keys.reveal,
        pace=QUICK,
        breaker=Breaker("riverbank", clock, rest_seconds=0, patience_seconds=0) if patient else None,
        budget=Budget(tokens=1e6) if patient else None,
    )
    return Connection("riverbank", adapter, channel, keys, TOKEN, timedelta(seconds=10))
