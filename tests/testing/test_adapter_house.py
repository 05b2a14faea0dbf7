"""A whole gateway around one adapter, in a few lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import Wire
from gateway.model.states import State
from gateway.sandbox import Point
from gateway.testing import drive
from gateway.testing.house import House, adapter_house
from tests.riverbank import Riverbank
from tests.riverbank_simulator import RiverbankSimulator

PAYMENT = {
    "amount": {"amount": "12.30", "currency": "CNY"},
    "method": {"type": "wallet_qr"},
    "description": "a coat",
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House[RiverbankSimulator]]:
    async with adapter_house(Riverbank, RiverbankSimulator, tmp_path) as opened:
        yield opened


async def test_a_payment_is_made_and_the_ledger_says_so(house: House[RiverbankSimulator]) -> None:
    paid = await house.start("create_payment", PAYMENT)

    assert paid.state is State.SUCCEEDED
    assert house.simulator.ledger.count("payment") == {("payment", paid.partner_key): 1}


async def test_hours_go_by_at_once_until_a_doubt_is_settled(house: House[RiverbankSimulator]) -> None:
    house.simulator.faults.arm(Point.CLOSE_BEFORE, times=50)
    doubtful = await house.start("create_payment", PAYMENT)
    house.simulator.faults.clear()

    settled = await house.settle(doubtful, hours=2)

    assert (doubtful.state, settled.state) == (State.UNKNOWN, State.FAILED)


async def test_what_ran_in_the_house_can_be_stepped_by_hand(house: House[RiverbankSimulator]) -> None:
    await house.start("create_payment", PAYMENT)
    (ran,) = house.watched.of("create_payment")

    driven = drive(ran.verb(ran.question, Wire()), ran.heard)

    assert driven.fact == ran.fact


async def test_people_act_at_the_institutions_desk_and_it_calls_back(house: House[RiverbankSimulator]) -> None:
    house.simulator.callback_url, house.simulator.notifier.held = house.callback_url, True
    waiting = await house.start("create_payment", {**PAYMENT, "amount": {"amount": "0.19", "currency": "CNY"}})
    await house.at_the_desk("pay", reference=waiting.partner_key)

    answer = await house.tell(house.simulator.notifier.waiting.pop())

    assert (waiting.state, answer.status) == (State.REQUIRES_ACTION, 200)
    assert (await house.stands(waiting)).state is State.SUCCEEDED
