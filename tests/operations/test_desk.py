"""A person settles what nobody else can, names the evidence, and is on record for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.model.facts import PaymentFact
from gateway.model.problems import Conflicting, Invalid, NotFound
from gateway.model.states import Attention, Meaning, State
from gateway.operations.desk import Desk, Settlement
from gateway.operations.facts import Said, Source
from gateway.sandbox import Point
from gateway.store.operation import Operation
from gateway.store.work import Work
from tests.house import House, house

WORD = Settlement("succeeded", "seen on the bank's statement", "statement 2026-03-01, line 7", "ops/ab12cd34")


def desk(h: House) -> Desk:
    return Desk(h.store, h.door, h.journal)


async def doubtful(h: House) -> Operation:
    h.bank.faults.arm(Point.CLOSE_BEFORE, "POST transfers")
    return (await h.transfer()).operation


async def test_a_person_settles_a_doubt_and_the_act_is_on_record(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        transfer = await doubtful(h)

        settled = await desk(h).settle(transfer.id, WORD)

        assert settled.state is State.SUCCEEDED
        assert settled.reason is not None
        assert settled.reason.code == "settled_by_person"
        (act,) = [json.loads(e.leaf) for e in await h.store.chain(transfer.id) if e.kind == "act"]
        assert (act["actor"], act["reason"], act["evidence"]) == (WORD.actor, WORD.reason, WORD.evidence)


async def test_settling_a_refund_as_failed_gives_its_part_back(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("100.00")).operation
        h.bank.faults.arm(Point.CLOSE_BEFORE, "POST refunds", times=3)
        refund = (await h.refund(payment, "60.00")).operation
        assert (await h.stands(payment)).reserved == 6000

        await desk(h).settle(refund.id, Settlement("failed", "the bank says no", "ticket 4711", "ops/ab12cd34"))

        assert (await h.stands(payment)).reserved == 0


async def test_a_person_who_names_evidence_may_correct_an_end(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.13")).operation
        assert payment.state is State.FAILED

        assert (await desk(h).settle(payment.id, WORD)).state is State.SUCCEEDED


async def test_confirming_how_an_operation_stands_clears_its_attention(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay()).operation
        other = Said(Meaning.SUCCEEDED, Source.CALLBACK, PaymentFact(code="PAID", partner_key="ANOTHER"))
        await h.door.apply(payment, other, Work(h.store))
        assert [item.code for item in (await h.stands(payment)).attention] == [Attention.CONFLICT]

        confirmed = await desk(h).settle(payment.id, WORD)

        assert (confirmed.state, confirmed.attention) == (State.SUCCEEDED, ())
        assert any(entry.kind == "act" for entry in await h.store.chain(payment.id))


@pytest.mark.parametrize(("reason", "evidence"), [("", "x"), ("x", " ")])
async def test_without_a_reason_and_evidence_nothing_is_settled(tmp_path: Path, reason: str, evidence: str) -> None:
    async with house(tmp_path) as h:
        transfer = await doubtful(h)

        with pytest.raises(Invalid):
            await desk(h).settle(transfer.id, Settlement("failed", reason, evidence, "ops/ab12cd34"))

        assert (await h.stands(transfer)).state is State.UNKNOWN


async def test_what_stands_so_already_or_is_not_there_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay()).operation

        with pytest.raises(Conflicting):
            await desk(h).settle(payment.id, WORD)
        with pytest.raises(NotFound):
            await desk(h).settle("pay_nothing", WORD)
