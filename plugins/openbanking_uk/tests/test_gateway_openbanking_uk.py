"""Through the whole gateway: engine, store, channel and inquiries over the simulated bank, in both versions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.adapters.verbs import FETCH_TRANSACTIONS, LIST_ACCOUNTS
from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.accounts import AccountQuery, TransactionQuery
from gateway.model.clock import SystemClock
from gateway.model.consents import NewConsent
from gateway.model.ids import Identifiers
from gateway.model.message import Returned
from gateway.model.payments import NewCancellation
from gateway.model.problems import Refused
from gateway.model.states import State
from gateway.model.transfers import NewTransfer
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Call, Engine
from gateway.operations.inquiry import Inquirer
from gateway.operations.reads import Reads
from gateway.operations.returns import Returns
from gateway.operations.running import Runner
from gateway.sandbox import Onboarding, Point, serve
from gateway.store.operation import Operation
from gateway.store.sqlite import SQLiteStore
from gateway.wire.channel import Channel
from gateway.wire.retry import Pace
from gateway.wire.transport import TLS, Transport
from lendgate_openbanking_uk.adapter import OpenBankingUK
from lendgate_openbanking_uk.settings import OpenBankingUKSettings
from lendgate_openbanking_uk.simulator import OpenBankingUKSimulator


@dataclass
class House:
    """The gateway's parts, and the bank."""

    bank: OpenBankingUKSimulator
    store: SQLiteStore
    engine: Engine
    inquirer: Inquirer
    returns: Returns
    reads: Reads
    calls: int = 0

    async def transfer(self, amount: str = "250.00", name: str = "B Orrower") -> Operation:
        account = {"scheme": "sort_code_account_number", "identification": "20325412345678"}
        body = {"creditor": {"name": name, "account": account}, "amount": {"amount": amount, "currency": "GBP"}}
        return await self.initiate("transfer", NewTransfer, body)

    async def consent(self) -> Operation:
        body = {"type": "account_access", "scopes": ["accounts", "balances", "transactions"]}
        return await self.initiate("consent", NewConsent, body)

    async def revoke(self, consent: Operation) -> Operation:
        return await self.initiate("cancellation", NewCancellation, {}, parent=consent.id)

    async def initiate(self, kind: Any, model: Any, body: dict[str, Any], parent: str | None = None) -> Operation:
        self.calls += 1
        new = model.model_validate({"connection": "bank", "reference": f"LN-{self.calls}", **body})
        call = Call("shop", f"key-{self.calls}", f"POST /{kind}")
        return (await self.engine.initiate(kind, new, call, parent=parent)).operation

    async def person(self, operation: Operation, approve: bool = True) -> Operation:
        """Opens the link, decides, and the browser comes back."""
        assert operation.next_action is not None
        place = self.bank.decide(str(operation.next_action.url), approve)
        told = dict(parse_qsl(urlsplit(place).fragment))
        return await self.returns.receive("bank", Returned(told, self.bank.clock.now()))

    async def settled(self, operation: Operation, rounds: int = 8) -> Operation:
        for _ in range(rounds):
            if not operation.open:
                break
            operation = await self.inquirer.inquire(operation)
        return operation


@pytest.fixture(params=["v4.0", "v3.1.11"])
async def house(request: pytest.FixtureRequest, keys_at: Path, tmp_path: Path) -> AsyncIterator[House]:
    clock = SystemClock()
    async with await serve(OpenBankingUKSimulator, keys_at) as running:
        told = running.onboarding
        adapter = OpenBankingUK(OpenBankingUKSettings.model_validate({**told.settings, "version": request.param}))
        keys = keys_of(told)
        ids, sealer = Identifiers(clock.now), Sealer(b"k" * 32)
        store = await SQLiteStore.open(tmp_path / "lendgate.db", clock)
        journal = Journal(ids, clock, "sandbox", ids.new("proc"), sealer.seal)
        tls = TLS(*(read(told.tls[name]) for name in ("ca", "certificate", "key")))
        way = Transport("bank", told.hosts, clock, tls=tls)
        channel = Channel.open(
            connection="bank",
            partner="openbanking_uk",
            scheme=adapter.scheme,
            keys=keys,
            transport=way,
            store=store,
            sealer=sealer,
            journal=journal,
            clock=clock,
            ids=ids,
            secrets=keys.reveal,
            pace=Pace(base_seconds=0.005, cap_seconds=0.02),
        )
        connections = Connections(
            {"bank": Connection("bank", adapter, channel, keys, "t" * 32, timedelta(seconds=10))}, {}
        )
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
            public_url="http://127.0.0.1:9",
        )
        inquirer = Inquirer(store, connections, door, runner, clock, "worker")
        returns = Returns(store, connections, engine, door, runner, inquirer, clock)
        reads = Reads(store, connections, clock, ids)
        yield House(running.simulator, store, engine, inquirer, returns, reads)
        await engine.drain(timedelta(seconds=5))
        await way.close()
        await store.close()


def keys_of(told: Onboarding) -> KeyRing:
    assert told.signing_key is not None
    key_id, private = told.signing_key
    partner_keys = {name: read(at) for name, at in told.partner_keys.items()}
    return KeyRing.load("bank", key_id=key_id, private_key=read(private), partner_keys=partner_keys)


def read(reference: str) -> str:
    return Path(reference.removeprefix("file:")).read_text(encoding="utf-8")


async def test_a_loan_is_paid_out_after_the_person_agreed(house: House) -> None:
    asked = await house.transfer()
    submitted = await house.person(asked)
    paid = await house.settled(submitted)

    assert [operation.state for operation in (asked, submitted, paid)] == [
        State.REQUIRES_ACTION,
        State.PROCESSING,
        State.SUCCEEDED,
    ]
    assert paid.attention == ()
    assert paid.result["scheme_status"] == "ACSC"
    assert house.bank.ledger.count("transfer") == Counter({("transfer", paid.partner_key): 1})


@pytest.mark.parametrize("point", [Point.CLOSE_AFTER, Point.BAD_GATEWAY_AFTER, Point.TRUNCATE, Point.TAMPER])
async def test_a_submit_whose_answers_are_all_lost_is_settled_by_its_consent(house: House, point: Point) -> None:
    asked = await house.transfer()
    house.bank.faults.arm(point, "POST domestic-payments", times=20)

    doubtful = await house.person(asked)
    house.bank.faults.clear()
    paid = await house.settled(doubtful)

    assert doubtful.state is State.UNKNOWN
    assert paid.state is State.SUCCEEDED
    assert paid.partner_references["domestic_payment_id"]
    assert house.bank.ledger.count("transfer") == Counter({("transfer", paid.partner_key): 1})


async def test_one_lost_answer_is_bridged_by_a_repeat_under_the_same_key(house: House) -> None:
    asked = await house.transfer()
    house.bank.faults.arm(Point.CLOSE_AFTER, "POST domestic-payments")

    submitted = await house.person(asked)

    assert submitted.state is State.PROCESSING
    assert house.bank.ledger.count("transfer") == Counter({("transfer", submitted.partner_key): 1})


async def test_a_submit_that_never_arrived_stays_unknown_and_moves_nothing(house: House) -> None:
    asked = await house.transfer()
    house.bank.faults.arm(Point.CLOSE_BEFORE, "POST domestic-payments", times=20)

    doubtful = await house.person(asked)
    house.bank.faults.clear()
    still = await house.settled(doubtful, rounds=2)

    assert (doubtful.state, still.state) == (State.UNKNOWN, State.UNKNOWN)
    assert house.bank.ledger.effects == []


async def test_without_a_token_for_the_consent_nothing_is_submitted(house: House) -> None:
    asked = await house.transfer()
    house.bank.faults.arm(Point.CLOSE_AFTER, "POST /token", times=20)

    ended = await house.person(asked)

    assert ended.state is State.FAILED
    assert "POST domestic-payments" not in {arrival.operation for arrival in house.bank.ledger.arrivals}
    assert house.bank.ledger.effects == []


async def test_a_refusal_by_the_person_is_learnt_from_the_consent(house: House) -> None:
    asked = await house.transfer()

    refused = await house.person(asked, approve=False)

    assert refused.state is State.FAILED
    assert house.bank.ledger.effects == []


async def test_a_second_return_and_a_foreign_one_move_nothing(house: House) -> None:
    asked = await house.transfer()
    assert asked.next_action is not None
    place = house.bank.decide(str(asked.next_action.url), True)
    told = dict(parse_qsl(urlsplit(place).fragment))

    forged = await house.returns.receive("bank", Returned({**told, "code": "forged"}, house.bank.clock.now()))
    good = Returned(told, house.bank.clock.now())
    both = await asyncio.gather(house.returns.receive("bank", good), house.returns.receive("bank", good))

    assert forged.state is State.REQUIRES_ACTION
    assert {operation.id for operation in both} == {asked.id}
    assert house.bank.ledger.count("transfer") == Counter({("transfer", asked.partner_key): 1})


@pytest.mark.parametrize(("amount", "name"), [("10.14", "B Orrower"), ("10.13", "B Orrower"), ("10.00", "SIM CUTOFF")])
async def test_what_the_bank_rejects_has_failed(house: House, amount: str, name: str) -> None:
    ended = await house.settled(await house.person(await house.transfer(amount, name)))

    assert ended.state is State.FAILED
    assert house.bank.ledger.effects == []


async def test_an_internal_error_that_hid_a_payment_is_settled(house: House) -> None:
    doubtful = await house.person(await house.transfer(name="SIM ERROR"))

    paid = await house.settled(doubtful)

    assert doubtful.state is State.UNKNOWN
    assert paid.state is State.SUCCEEDED
    assert house.bank.ledger.count("transfer") == Counter({("transfer", paid.partner_key): 1})


async def test_a_revoked_consent_reads_no_more(house: House) -> None:
    given = await house.person(await house.consent())

    revoked = await house.revoke(given)

    stands = await house.store.operation(given.id)
    assert revoked.state is State.SUCCEEDED
    assert stands is not None
    assert (stands.state, stands.status) == (State.SUCCEEDED, "revoked")
    with pytest.raises(Refused):
        await house.reads.accounts(LIST_ACCOUNTS, "shop", given.id, AccountQuery, "affordability")


async def test_accounts_are_read_under_a_consent(house: House) -> None:
    asked = await house.consent()
    given = await house.person(asked)

    accounts = await house.reads.accounts(LIST_ACCOUNTS, "shop", given.id, AccountQuery, "affordability")
    entries = await house.reads.accounts(
        FETCH_TRANSACTIONS, "shop", given.id, TransactionQuery, "affordability", account="acc-1"
    )

    assert (asked.status, given.state, given.status) == ("pending", State.SUCCEEDED, "active")
    assert len(accounts.accounts) == 3
    assert len(entries.transactions) == 25
    assert entries.next_page is not None
