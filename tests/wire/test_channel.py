"""One send, from the request of a verb to what its adapter gets to see."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.model.message import Reply
from gateway.model.problems import NoAnswer, NotSent, OutcomeUnknown, PartnerError
from gateway.store.interface import EventStaged, KeyClaimed, Taken
from gateway.store.work import Work
from gateway.wire.retry import Repeat
from tests.riverbank import signature
from tests.wire.partner import Behaviour, Partner, answer, close
from tests.wire.rig import Rig, names, said, unsigned

SAFE, KEYED, ONCE = Repeat.SAFE, Repeat.KEYED, Repeat.ONCE


async def test_a_proven_reply_comes_back_and_both_records_are_kept(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(consent="con_1", purpose="credit check")

        reply = await rig.channel.send(rig.act(), exchange)

        assert (reply.status, reply.body) == (200, b'{"code": "PAID"}')
        intent, outcome = await rig.records(exchange)
        assert (intent["kind"], intent["verb"], intent["attempt"], intent["effect"]) == (
            *("intent", "create_payment", 1, True),
        )
        assert (intent["scheme"], intent["consent"], intent["purpose"]) == ("riverbank-hmac", "con_1", "credit check")
        assert (outcome["observed"], outcome["status"], outcome["code"], outcome["verdict"]) == (
            *("genuine", 200, "PAID", "proven"),
        )
        assert outcome["intent"] == intent["id"]
        assert exchange.evidence == outcome["id"]


async def test_the_intent_and_all_that_waited_are_durable_before_the_first_byte_arrives(tmp_path: Path) -> None:
    seen: list[Any] = []

    async def look(writer: asyncio.StreamWriter, arrival: Any) -> None:
        seen.extend(await rig.store.chain("op_1"))
        seen.extend(await rig.store.events("shop"))
        await said("PAID")(writer, arrival)

    async with Partner(look) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        exchange.work.add(EventStaged("evt_1", "shop", "op_1", "payment.opened", rig.clock.now(), "{}"))

        await rig.channel.send(rig.act(), exchange)

    intent, event = seen
    (arrival,) = partner.arrivals
    sent = hashlib.sha256(b"\n".join((arrival.method.encode(), arrival.target.encode(), arrival.body))).hexdigest()
    assert (intent.kind, intent.digest, intent.content) == ("intent", sent, hashlib.sha256(arrival.body).hexdigest())
    assert event.id == "evt_1"


async def test_the_outcome_joins_the_next_commit_and_makes_none_of_its_own(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()

        await rig.channel.send(rig.act(), exchange)

        assert [entry.kind for entry in await rig.store.entries()] == ["intent"]
        assert len(exchange.work.waiting) == 1


async def test_whoever_lost_a_race_sends_nothing_now_or_later(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        claim = KeyClaimed("shop", "key-1", "00", "op_0", datetime(2026, 1, 1, tzinfo=UTC))
        first = Work(rig.store)
        first.add(claim)
        await first.commit()
        exchange = rig.exchange(KEYED)
        exchange.work.add(claim)

        for asked in (rig.act(), rig.ask()):
            with pytest.raises(Taken):
                await rig.channel.send(asked, exchange)

        assert partner.connections == 0
        assert exchange.attempts == []


@dataclass(frozen=True)
class Case:
    """What the partner does, and what becomes of it."""

    repeat: Repeat
    behaviours: tuple[Behaviour, ...]
    observed: list[str]
    raised: type[PartnerError] | None = None
    unsettled: bool = False
    acted: bool = True


CASES: dict[str, Case] = {
    # A question
    "an answered question": Case(SAFE, (said("PAID"),), ["GENUINE"], acted=False),
    "a question that needs three tries": Case(
        SAFE, (close, unsigned(), said("PAID")), ["SILENCE", "UNPROVEN", "GENUINE"], acted=False
    ),
    "a question that is never answered": Case(SAFE, (close,), ["SILENCE"] * 3, NoAnswer, acted=False),
    "a question that gets nothing but noise": Case(SAFE, (unsigned(),), ["UNPROVEN"] * 3, NoAnswer, acted=False),
    "a question that may not be asked now, by its code": Case(SAFE, (said("BUSY"),), ["BUSY"] * 3, acted=False),
    "a question that may not be asked now, by its status": Case(
        SAFE, (said("?", 429),), ["BUSY"] * 3, NoAnswer, acted=False
    ),
    # An act under a key that the partner remembers
    "a keyed act that needs two tries": Case(KEYED, (close, said("PAID")), ["SILENCE", "GENUINE"], unsettled=True),
    "a keyed act that gets nothing but noise": Case(
        KEYED, (unsigned(503, Retry_After="1"),), ["UNPROVEN"] * 3, OutcomeUnknown, unsettled=True
    ),
    "a keyed act that is busy after silence": Case(
        KEYED, (close, said("BUSY")), ["SILENCE", "BUSY", "BUSY"], unsettled=True
    ),
    # An act that may happen twice
    "an act": Case(ONCE, (said("PAID"),), ["GENUINE"]),
    "an act that is declined": Case(ONCE, (said("DECLINED", 422),), ["GENUINE"]),
    "an act that was not executed": Case(ONCE, (said("NOT_DONE"),), ["GENUINE"], acted=False),
    "an act with a code that nobody knows": Case(ONCE, (said("?"),), ["GENUINE"]),
    "an act that gets silence": Case(ONCE, (close,), ["SILENCE"], OutcomeUnknown, unsettled=True),
    "an act that gets noise": Case(ONCE, (unsigned(),), ["UNPROVEN"], OutcomeUnknown, unsettled=True),
    "an act that gets a bad signature": Case(
        ONCE, (answer(b'{"code":"PAID"}', X_Signature="00"),), ["UNPROVEN"], OutcomeUnknown, unsettled=True
    ),
    "an act that is redirected": Case(
        ONCE, (said("PAID", 307, Location="/x"),), ["UNPROVEN"], OutcomeUnknown, unsettled=True
    ),
    "an act that is busy at first": Case(ONCE, (said("BUSY"), said("PAID")), ["BUSY", "GENUINE"]),
    "an act that stays busy, by its code": Case(ONCE, (said("BUSY"),), ["BUSY"] * 3, acted=False),
    "an act that stays busy, by its status": Case(ONCE, (said("?", 429),), ["BUSY"] * 3, NotSent, acted=False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_what_becomes_of(tmp_path: Path, case: Case) -> None:
    async with Partner(*case.behaviours) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(case.repeat)
        asked = rig.ask() if case.repeat is SAFE else rig.act()

        if case.raised is None:
            assert isinstance(await rig.channel.send(asked, exchange), Reply)
        else:
            with pytest.raises(PartnerError) as caught:
                await rig.channel.send(asked, exchange)
            assert type(caught.value) is case.raised

        assert names(exchange.attempts) == case.observed
        assert len(partner.arrivals) == len(case.observed)
        assert (exchange.unsettled, exchange.acted) == (case.unsettled, case.acted)
        kinds = [record["kind"] for record in await rig.records(exchange)]
        assert kinds == ["intent", "outcome"] * len(case.observed)


@pytest.mark.parametrize("repeat", [SAFE, KEYED, ONCE])
async def test_what_never_leaves_is_tried_again_and_then_was_not_sent(tmp_path: Path, repeat: Repeat) -> None:
    async with Partner() as partner:
        pass
    async with Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(repeat)

        with pytest.raises(NotSent, match="nothing happened"):
            await rig.channel.send(rig.ask() if repeat is SAFE else rig.act(), exchange)

        assert names(exchange.attempts) == ["NOT_SENT"] * 3
        assert (exchange.unsettled, exchange.acted, exchange.last_sent_at) == (False, False, None)


async def test_doubt_is_the_sum_over_all_sends(tmp_path: Path) -> None:
    async def vanish(writer: asyncio.StreamWriter, arrival: Any) -> None:
        partner._server.close()
        writer.close()

    async with Partner(vanish) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)

        with pytest.raises(OutcomeUnknown, match="1 of its sends may have arrived"):
            await rig.channel.send(rig.act(), exchange)

        assert names(exchange.attempts) == ["SILENCE", "NOT_SENT", "NOT_SENT"]
        assert exchange.unsettled


async def test_a_question_after_the_act_takes_nothing_away_from_it(tmp_path: Path) -> None:
    async with Partner(said("PAID"), close) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.act(), exchange)

        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), exchange)

        assert (exchange.acted_and_heard, exchange.unsettled) == (True, False)


async def test_a_key_that_could_end_within_the_call_counts_as_none(tmp_path: Path) -> None:
    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED, key_until=rig.later(24))

        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(), exchange)

        assert len(partner.arrivals) == 1


async def test_a_key_that_outlives_the_call_allows_a_repetition(tmp_path: Path) -> None:
    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await rig.channel.send(rig.act(), rig.exchange(KEYED, key_until=rig.later(26)))

        assert len(partner.arrivals) == 2


async def test_metrics_and_partners_page_get_counts_and_states(tmp_path: Path) -> None:
    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await rig.channel.send(rig.ask(), rig.exchange(verb="fetch_payment"))

        assert rig.channel.observed == {("fetch_payment", "silence"): 1, ("fetch_payment", "genuine"): 1}
        assert rig.channel.describe() == {
            "breaker": {"fetch_payment": {"state": "closed", "failed": 0, "of": 1}},
            "limit": {"fetch_payment": {"under_way": 0, "waiting": 0, "at_once": 64}},
            "budget": {"tokens": 9.1, "of": 10.0, "allows_retry": True},
            "tokens": {},
        }


async def test_calls_that_run_at_once_do_not_mix(tmp_path: Path) -> None:
    async def echo(writer: asyncio.StreamWriter, arrival: Any) -> None:
        body = arrival.body
        await answer(body, X_Signature=signature(body))(writer, arrival)

    async with Partner(echo) as partner, Rig(tmp_path, partner) as rig:

        async def call(number: int) -> bytes:
            exchange = rig.exchange()
            exchange.chain = f"op_{number}"
            return (await rig.channel.send(rig.act(f'{{"code":"{number}"}}'.encode()), exchange)).body

        bodies = await asyncio.gather(*(call(number) for number in range(100)))

    assert bodies == [f'{{"code":"{number}"}}'.encode() for number in range(100)]
