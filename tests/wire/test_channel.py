"""One send, from admission to what the adapter gets to see."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.model.message import Keys, Reply, Request, Scheme, Secret, Stamp
from gateway.model.problems import AdapterError, NoAnswer, NotProven, NotSent, OutcomeUnknown, PartnerError, UnknownKey
from gateway.model.states import Meaning
from gateway.model.terms import Proof
from gateway.store.interface import EventStaged, KeyClaimed, Taken
from gateway.store.work import Work
from gateway.wire.budget import Budget
from gateway.wire.exchange import ReplayDiffers
from gateway.wire.limits import Limit
from gateway.wire.observed import Observed
from gateway.wire.retry import Pace, Repeat
from gateway.wire.transport import digest
from tests.riverbank import BodyHMAC, signature
from tests.wire.partner import Behaviour, Partner, answer, close, silence
from tests.wire.rig import SECRETS, Rig, said, unsigned

SAFE, KEYED, ONCE = Repeat.SAFE, Repeat.KEYED, Repeat.ONCE


def names(attempts: list[Any]) -> list[str]:
    return [attempt.observed.name for attempt in attempts]


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


# Pauses


async def test_pauses_are_jittered_and_grow(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert rig.clock.pauses == [0.1, 0.2]


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    async with Partner(said("BUSY", Retry_After="7"), said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await rig.channel.send(rig.act(), rig.exchange())

        assert rig.clock.pauses == [7]


async def test_a_retry_after_beyond_the_deadline_ends_the_call(tmp_path: Path) -> None:
    async with Partner(said("BUSY", Retry_After="25")) as partner, Rig(tmp_path, partner) as rig:
        reply = await rig.channel.send(rig.act(), rig.exchange())

        assert reply.json() == {"code": "BUSY"}
        assert len(partner.arrivals) == 1


async def test_without_budget_nothing_is_repeated(tmp_path: Path) -> None:
    budget = Budget(tokens=2)
    async with Partner(close) as partner, Rig(tmp_path, partner, budget=budget) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert len(partner.arrivals) == 1


async def test_the_number_of_attempts_is_a_setting(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner, pace=Pace(attempts=5)) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert len(partner.arrivals) == 5


async def test_a_question_is_cut_short_where_an_act_that_may_happen_twice_waits(tmp_path: Path) -> None:
    pace = Pace(attempts=1, attempt_seconds=0.1)

    async def late(writer: asyncio.StreamWriter, arrival: Any) -> None:
        await asyncio.sleep(0.3)
        await said("PAID")(writer, arrival)

    async with Partner(late) as partner, Rig(tmp_path, partner, pace=pace) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert (await rig.channel.send(rig.act(), rig.exchange(ONCE))).status == 200


# Admission


async def refused(rig: Rig, asked: Any, exchange: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        await rig.channel.send(asked, exchange)
    assert rig.partner.arrivals == []
    assert await rig.store.entries() == []


async def test_a_verb_that_reads_may_not_act(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await refused(rig, rig.act(), rig.exchange(effects=False), AdapterError, "only reads")


async def test_a_verb_has_one_effect(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.act(), exchange)

        with pytest.raises(AdapterError, match="acted twice"):
            await rig.channel.send(rig.act(), exchange)

        assert len(partner.arrivals) == 1


async def test_an_act_that_was_not_sent_is_not_tried_by_another(tmp_path: Path) -> None:
    async with Partner() as partner:
        pass
    async with Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        with pytest.raises(NotSent):
            await rig.channel.send(rig.act(), exchange)

        with pytest.raises(AdapterError, match="acted twice"):
            await rig.channel.send(rig.act(), exchange)


async def test_a_replay_sends_the_recorded_body_or_nothing(tmp_path: Path) -> None:
    content = hashlib.sha256(b'{"cents":100}').hexdigest()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        other = rig.act(b'{"cents":101}')
        await refused(rig, other, rig.exchange(KEYED, expected_content=content), ReplayDiffers, "another body")

        reply = await rig.channel.send(rig.act(), rig.exchange(KEYED, expected_content=content))

        assert reply.status == 200


@pytest.mark.parametrize("repeat", [KEYED, ONCE])
async def test_a_replay_outside_the_keys_life_is_refused(tmp_path: Path, repeat: Repeat) -> None:
    content = hashlib.sha256(b'{"cents":100}').hexdigest()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(repeat, expected_content=content, key_until=rig.later(-1))

        await refused(rig, rig.act(), exchange, NotSent, "repeating could act twice")


async def test_a_host_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act()
        asked.request = asked.request.with_url("https://evil.example/payments")

        await refused(rig, asked, rig.exchange(), AdapterError, "may not call evil.example:443")


async def test_without_time_nothing_is_begun(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(deadline=rig.clock.monotonic() + 0.04)

        await refused(rig, rig.act(), exchange, NotSent, "the time for this call was over")


async def test_a_verb_that_fails_again_and_again_is_left_alone(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner) as rig:
        for _ in range(5):
            with pytest.raises(OutcomeUnknown):
                await rig.channel.send(rig.act(), rig.exchange())

        with pytest.raises(NotSent, match="failed again and again"):
            await rig.channel.send(rig.act(), rig.exchange())

        assert len(partner.arrivals) == 5


async def test_what_is_more_than_may_wait_is_refused_and_hurts_no_health(tmp_path: Path) -> None:
    limit = Limit("riverbank-main", at_once=1, waiting=0)
    async with Partner(silence, said("PAID")) as partner, Rig(tmp_path, partner, limit=limit) as rig:
        first = asyncio.create_task(rig.channel.send(rig.act(), rig.exchange()))
        await partner.arrived()

        for _ in range(10):
            with pytest.raises(NotSent, match="under way"):
                await rig.channel.send(rig.act(), rig.exchange())

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await rig.channel.send(rig.act(), rig.exchange())).status == 200


# Schemes, codes and keys


class Stamped(BodyHMAC):
    """Signs as Riverbank does and shows its stamp."""

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return super().sign(request, keys, stamp).with_header("X-Nonce", stamp.nonce)


async def test_each_attempt_is_signed_anew(tmp_path: Path) -> None:
    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner, Stamped()) as rig:
        await rig.channel.send(rig.act(), rig.exchange(KEYED))

    first, second = (arrival.header("X-Nonce") for arrival in partner.arrivals)
    assert first != second
    assert partner.arrivals[0].header("X-Signature") == signature(b'{"cents":100}')


class Enveloped(Scheme):
    """Wraps what it sends and unwraps what it proves."""

    name = "enveloped"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request.with_body(b"[" + request.body + b"]")

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if not reply.body.startswith(b"["):
            raise NotProven("no envelope")
        assert request.body.startswith(b"[")
        return reply.body[1:-1]


async def test_an_adapter_sees_exactly_what_was_proven(tmp_path: Path) -> None:
    async with Partner(answer(b'[{"code": "PAID"}]')) as partner, Rig(tmp_path, partner, Enveloped()) as rig:
        exchange = rig.exchange()

        reply = await rig.channel.send(rig.act(), exchange)

        assert (reply.body, exchange.attempts[0].code) == (b'{"code": "PAID"}', "PAID")
        assert partner.arrivals[0].body == b'[{"cents":100}]'
        await exchange.work.commit()
        intent, outcome = await rig.store.chain("op_1")
        assert intent.content == hashlib.sha256(b'{"cents":100}').hexdigest()
        assert rig.exact(intent).endswith(b'\r\n\r\n[{"cents":100}]')
        assert rig.exact(outcome).endswith(b'\r\n\r\n[{"code": "PAID"}]')


async def test_a_request_may_name_another_scheme(tmp_path: Path) -> None:
    async with Partner(answer(b'[{"code": "PAID"}]')) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act()
        asked.request = replace(asked.request, scheme=Enveloped())

        assert (await rig.channel.send(asked, rig.exchange())).json() == {"code": "PAID"}


class Keyed(BodyHMAC):
    """Verifies as Riverbank does once its key is held."""

    def __init__(self) -> None:
        self.held = False

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if not self.held:
            raise UnknownKey("key-2")
        return super().verify(reply, request, keys)


@pytest.mark.parametrize(
    ("learnt", "body", "verdict"),
    [
        (True, b'{"code": "PAID"}', "proven"),
        (True, b'{"code": "DECLINED"}', "bad"),  # the signature is of another body
        (False, b'{"code": "PAID"}', "unknown_key"),
        (None, b'{"code": "PAID"}', "unknown_key"),
    ],
)
async def test_an_unknown_key_is_learnt_once_and_the_same_bytes_are_verified_again(
    tmp_path: Path, learnt: bool | None, body: bytes, verdict: str
) -> None:
    scheme, asked_for = Keyed(), []

    async def learn(key_id: str) -> bool:
        asked_for.append(key_id)
        if learnt is None:
            raise NoAnswer("the partner's keys cannot be fetched")
        scheme.held = learnt
        return learnt

    behaviour = answer(body, X_Signature=signature(b'{"code": "PAID"}'))
    async with Partner(behaviour) as partner, Rig(tmp_path, partner, scheme, learn_keys=learn) as rig:
        exchange = rig.exchange()
        try:
            await rig.channel.send(rig.act(), exchange)
        except OutcomeUnknown:
            assert verdict != "proven"

        assert (await rig.records(exchange))[1]["verdict"] == verdict
        assert asked_for == ["key-2"]
        assert len(partner.arrivals) == 1


async def test_a_key_that_is_still_unknown_after_it_was_learnt_proves_nothing(tmp_path: Path) -> None:
    async def learn(key_id: str) -> bool:
        return True

    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        with pytest.raises(OutcomeUnknown, match="key-2"):
            await rig.channel.send(rig.act(), rig.exchange())


async def test_a_key_that_does_not_come_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def learn(key_id: str) -> bool:
        return await asyncio.Event().wait()

    monkeypatch.setattr("gateway.wire.attempt.LEARN_SECONDS", 0.05)
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        with pytest.raises(OutcomeUnknown, match="key-2"):
            await rig.channel.send(rig.act(), rig.exchange())


async def test_without_a_way_to_learn_keys_an_unknown_one_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed()) as rig:
        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(), rig.exchange())


class Stumbling(BodyHMAC):
    """Has a bug, in signing or in verifying."""

    def __init__(self, where: str) -> None:
        self.where = where

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        if self.where == "sign":
            raise ZeroDivisionError
        return request

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        raise ZeroDivisionError


async def test_a_reply_over_which_the_scheme_stumbles_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Stumbling("verify")) as rig:
        exchange = rig.exchange()
        with pytest.raises(OutcomeUnknown, match=r"stumbled over a reply \(ZeroDivisionError, test_channel.py:\d+\)"):
            await rig.channel.send(rig.act(), exchange)

        assert (await rig.records(exchange))[1]["observed"] == "unproven"


async def test_a_scheme_that_stumbles_while_signing_sends_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Stumbling("sign")) as rig:
        with pytest.raises(ZeroDivisionError):
            await rig.channel.send(rig.act(), rig.exchange())

        assert (partner.connections, await rig.store.entries()) == (0, [])


@pytest.mark.parametrize("code", [lambda reply: 1 / 0, lambda reply: None])
async def test_a_code_that_cannot_be_read_says_nothing(tmp_path: Path, code: Any) -> None:
    async with Partner(said("BUSY")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        exchange.conduct = replace(exchange.conduct, code=code)

        await rig.channel.send(rig.act(), exchange)

        (attempt,) = exchange.attempts
        assert (attempt.code, attempt.meaning, attempt.observed) == (None, Meaning.UNDECLARED, Observed.GENUINE)


async def test_where_only_the_channel_proves_a_503_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("BUSY", 503)) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(), rig.exchange(proof=Proof.CHANNEL))


# Cancellation


async def test_a_cancelled_act_leaves_silence_on_record(tmp_path: Path) -> None:
    async with Partner(silence) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await partner.arrived()

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (names(exchange.attempts), exchange.unsettled) == (["SILENCE"], True)
        assert [record.get("observed") for record in await rig.records(exchange)] == [None, "silence"]


async def test_a_call_cancelled_in_its_second_attempt_is_not_tried_a_third_time(tmp_path: Path) -> None:
    async with Partner(close, silence) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await partner.arrived(2)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert names(exchange.attempts) == ["SILENCE", "SILENCE"]
        assert len(partner.arrivals) == 2


async def test_a_call_cancelled_while_keys_are_fetched_had_a_reply_that_proves_nothing(tmp_path: Path) -> None:
    fetching = asyncio.Event()

    async def learn(key_id: str) -> bool:
        fetching.set()
        await asyncio.Event().wait()
        return True

    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        exchange = rig.exchange()
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await fetching.wait()

        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert names(exchange.attempts) == ["UNPROVEN"]


# Secrets


async def test_a_header_that_is_a_secret_is_filled_in_and_recorded_by_name(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.act(X_API_Key=Secret("api_key")), exchange)

        (arrival,) = partner.arrivals
        assert arrival.header("X-API-Key") == SECRETS["api_key"]
        await exchange.work.commit()
        exact = [rig.exact(entry) for entry in await rig.store.entries()]
        assert b"X-API-Key: __secret.api_key__" in exact[0]
        assert not [message for message in exact if SECRETS["api_key"].encode() in message]


async def test_what_a_platform_wrote_is_never_taken_for_a_secret(tmp_path: Path) -> None:
    body = json.dumps({"text": "__secret.api_key__"}).encode()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act(body, X_API_Key=Secret("api_key"), X_Text="__secret.shared__")
        asked.request = asked.request.with_url(rig.partner.url("/p?text=__secret.shared__"))

        await rig.channel.send(asked, rig.exchange())

    (arrival,) = partner.arrivals
    assert (arrival.body, arrival.target) == (body, "/p?text=__secret.shared__")
    assert arrival.header("X-Text") == "__secret.shared__"


# What is told about it


async def test_records_hold_the_exact_message_and_its_digest(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        asked = rig.act()
        await rig.channel.send(asked, exchange)
        await exchange.work.commit()

        intent, outcome = await rig.store.entries()
        assert intent.digest == digest(asked.request)
        assert rig.exact(intent) == (
            f"POST /payments HTTP/1.1\r\nX-Signature: {signature(asked.request.body)}\r\n\r\n".encode()
            + asked.request.body
        )
        assert rig.exact(outcome).startswith(b"HTTP/1.1 200\r\nContent-Length: 16\r\n")


async def test_the_exchange_sums_up_for_the_operation(tmp_path: Path) -> None:
    class Stored:
        attempts, first_sent_at, last_sent_at = 2, None, None

    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange, stored = rig.exchange(KEYED), Stored()
        assert exchange.evidence is None
        assert exchange.summary(stored)["attempts"] == 3  # type: ignore[arg-type]  # it reads these fields only
        began = rig.clock.now()
        await rig.channel.send(rig.act(), exchange)

        assert exchange.summary(stored) == {  # type: ignore[arg-type]  # see above
            "attempts": 4,
            "first_sent_at": began,
            "last_sent_at": rig.clock.now(),
        }
        assert rig.clock.now() > began


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
