"""Tokens: one fetch for all that wait, early, sealed, and renewed only as often as it takes."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.crypto.seal import Sealer
from gateway.model.message import TokenPaths
from gateway.model.problems import NoAnswer, NotSent, OutcomeUnknown, StorageError, TokenRefused
from gateway.wire.grants import AppToken
from gateway.wire.retry import Repeat
from tests.wire.bank import Bank, act, ask, grant, targets
from tests.wire.partner import Arrival, Partner, answer, close, silence
from tests.wire.rig import Rig, said, unsigned

KEYED, ONCE = Repeat.KEYED, Repeat.ONCE


async def test_fifty_calls_share_one_token(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        replies = await asyncio.gather(*(ask(rig, grant(rig)) for _ in range(50)))

    assert len(replies) == 50
    assert (bank.given, targets(partner).count("/payments/1")) == (1, 50)


async def test_after_an_outside_invalidation_fifty_calls_cause_one_renewal(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()

        await asyncio.gather(*(ask(rig, grant(rig)) for _ in range(50)))

    assert bank.given == 2


async def test_grants_of_other_names_have_tokens_of_their_own(tmp_path: Path) -> None:
    bank = Bank(access_token="same")
    bank.valid = {"same"}
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        bank.instead = [answer('{"access_token":"a"}'), answer('{"access_token":"b"}')]
        bank.refusal = said("PAID")
        await ask(rig, grant(rig, name="app"))
        await ask(rig, grant(rig, name="consent:1"))

    assert [arrival.header("Authorization") for arrival in partner.arrivals if arrival.target != "/token"] == [
        *("Bearer a", "Bearer b"),
    ]


async def test_a_token_is_durable_and_sealed_before_it_is_used(tmp_path: Path) -> None:
    kept: list[Any] = []

    class Looking(Bank):
        async def __call__(self, writer: asyncio.StreamWriter, arrival: Arrival) -> None:
            if arrival.target != "/token":
                kept.append(await rig.store.token("riverbank-main", "app"))
            await super().__call__(writer, arrival)

    async with Partner(Looking()) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        opened = rig.sealer.open(kept[0].sealed, b"token riverbank-main app")

    assert json.loads(opened)["value"] == "t1"
    assert b"t1" not in kept[0].sealed


async def test_a_token_survives_a_restart(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        await rig.channel.close()
        rig.channel = rig.another_channel()

        await ask(rig, grant(rig))

        assert bank.given == 1
        assert rig.channel.tokens.describe() == {"app": {"expires_at": rig.later(3600), "being_fetched": False}}


async def test_a_kept_token_that_cannot_be_opened_is_replaced(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        await rig.channel.close()

        class Broken(Sealer):
            def open(self, sealed: bytes, context: bytes) -> bytes:
                return super().open(sealed, context + b"?")

        rig.sealer = Broken(bytes(32))
        rig.channel = rig.another_channel()
        await ask(rig, grant(rig))

    assert bank.given == 2


async def test_whoever_is_slower_takes_what_another_process_fetched(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        other = rig.another_channel()
        bank.valid.clear()
        await other.send(rig.ask(grant=grant(rig)), rig.exchange())
        assert bank.given == 2

        await ask(rig, grant(rig))

        assert bank.given == 2
        await other.close()


@pytest.mark.parametrize(("life", "early"), [(3600, 60), (300, 30)])
async def test_it_is_refreshed_early(tmp_path: Path, life: int, early: int) -> None:
    bank = Bank(expires_in=life)
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        rig.clock.advance(timedelta(seconds=life - early - 1))
        await ask(rig, grant(rig))
        assert bank.given == 1

        rig.clock.advance(timedelta(seconds=1))
        await asyncio.gather(*(ask(rig, grant(rig)) for _ in range(20)))

    assert bank.given == 2


async def test_an_early_refresh_that_fails_hurts_nobody_and_rests(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        rig.clock.advance(timedelta(seconds=3550))
        bank.instead = [unsigned(400), unsigned(400)]

        await ask(rig, grant(rig))
        await ask(rig, grant(rig))

        assert (bank.given, len(bank.instead)) == (1, 1)
        rig.clock.advance(timedelta(seconds=10))
        bank.instead.clear()
        await ask(rig, grant(rig))
        assert bank.given == 2


async def test_an_expired_token_is_not_used_even_if_no_other_comes(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        rig.clock.advance(timedelta(seconds=3600))
        bank.instead = [unsigned(400)]

        with pytest.raises(TokenRefused):
            await ask(rig, grant(rig))

    assert targets(partner).count("/payments/1") == 1


@pytest.mark.parametrize("life", [None, "3600", "soon", True, -1, 0])
async def test_a_life_may_be_text_or_missing(tmp_path: Path, life: Any) -> None:
    bank = Bank(expires_in=life)
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        expected = rig.later(3600) if life == "3600" else None

        assert rig.channel.tokens.describe()["app"] == {"expires_at": expected, "being_fetched": False}


# Refusals by the partner


async def test_a_question_is_asked_again_with_a_new_token(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()
        exchange = rig.exchange()

        await rig.channel.send(rig.ask(grant=grant(rig)), exchange)

        assert [attempt.observed.name for attempt in exchange.attempts] == ["TOKEN_STALE", "GENUINE"]
        assert rig.clock.pauses == [0.0]


async def test_a_token_that_is_refused_after_its_renewal_is_refused(tmp_path: Path) -> None:
    bank = Bank(access_token="never right")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(TokenRefused, match="check the credentials"):
            await ask(rig, grant(rig))

    assert targets(partner) == ["/token", "/payments/1", "/token", "/payments/1"]


async def test_an_act_that_may_happen_twice_is_not_repeated_after_a_bare_401(tmp_path: Path) -> None:
    bank = Bank(access_token="never right")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(OutcomeUnknown):
            await act(rig, grant(rig), ONCE)

    assert targets(partner) == ["/token", "/payments"]


async def test_an_act_that_may_happen_twice_is_repeated_if_a_code_proves_that_it_was_not_executed(
    tmp_path: Path,
) -> None:
    bank = Bank()
    bank.refusal = said("TOKEN", 401)
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()

        exchange = await act(rig, grant(rig), ONCE)

        assert [attempt.observed.name for attempt in exchange.attempts] == ["TOKEN_STALE", "GENUINE"]
        assert not exchange.unsettled


async def test_a_declared_refusal_of_both_tokens_leaves_no_doubt(tmp_path: Path) -> None:
    bank = Bank(access_token="never right")
    bank.refusal = said("TOKEN")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(ONCE)
        with pytest.raises(TokenRefused):
            await rig.channel.send(rig.act(grant=grant(rig)), exchange)

    assert (exchange.unsettled, exchange.acted) == (False, False)


async def test_a_bare_401_to_a_keyed_act_is_repeated_and_stays_in_doubt(tmp_path: Path) -> None:
    bank = Bank(access_token="never right")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)
        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(grant=grant(rig)), exchange)

    assert [attempt.observed.name for attempt in exchange.attempts] == ["TOKEN_STALE", "TOKEN_REFUSED"]
    assert exchange.unsettled


async def test_a_grant_says_how_a_refusal_looks(tmp_path: Path) -> None:
    bank = Bank()
    bank.refusal = said("40001")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        access = grant(rig, refused=frozenset({"40001"}))
        await ask(rig, access)
        bank.valid.clear()

        assert (await ask(rig, access)).json() == {"code": "PAID"}


async def test_a_retry_for_another_reason_renews_no_token(tmp_path: Path) -> None:
    bank = Bank()
    bank.refusal = close
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()

        with pytest.raises(NoAnswer):
            await ask(rig, grant(rig))

    assert bank.given == 1


async def test_whoever_is_refused_after_somebody_renewed_takes_the_new_token(tmp_path: Path) -> None:
    bank, late = Bank(), asyncio.Event()

    async def slow_401(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        if arrival.target == "/slow":
            await late.wait()
        await unsigned(401)(writer, arrival)

    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()
        bank.refusal = slow_401
        slow = asyncio.create_task(rig.channel.send(rig.ask("/slow", grant(rig)), rig.exchange()))
        await partner.arrived(3)
        await ask(rig, grant(rig))

        late.set()
        await slow

    assert bank.given == 2


# No token can be had


@pytest.mark.parametrize(
    ("behaviours", "error", "match"),
    [
        ([answer('{"error":"invalid_client"}', 401)], TokenRefused, "status 401, invalid_client"),
        ([answer("<html>", 403)], TokenRefused, r"status 403\)"),
        ([answer('{"expires_in":1}')], TokenRefused, "status 200"),
        ([answer("[]")], TokenRefused, "status 200"),
        ([answer('{"access_token":""}')], TokenRefused, "status 200"),
        ([answer('{"access_token":5}')], TokenRefused, "status 200"),
        ([answer('{"access_token":"a\\r\\nX: b"}')], TokenRefused, "status 200"),
        ([unsigned(500)] * 3, NotSent, "could not be fetched"),
        ([close] * 3, NotSent, "the connection ended before a reply came"),
        ([answer("", 429)] * 3, NotSent, "could not be fetched"),
    ],
)
async def test_without_a_token_nothing_is_sent(
    tmp_path: Path, behaviours: list[Any], error: type[Exception], match: str
) -> None:
    bank = Bank()
    bank.instead = list(behaviours)
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(ONCE)

        with pytest.raises(error, match=match):
            await rig.channel.send(rig.act(grant=grant(rig)), exchange)

    assert (exchange.attempts, exchange.work.committed) == ([], False)
    assert targets(partner) == ["/token"] * len(behaviours)


async def test_a_member_of_the_answer_may_mean_refusal(tmp_path: Path) -> None:
    paths = TokenPaths(token="result.token", life="result.life", error="errcode")
    bank = Bank()
    bank.refusal = said("PAID")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        access = AppToken("app", partner.url("/token"), {"appid": "us"}, paths=paths)
        bank.instead = [answer('{"errcode":40013,"result":{"token":"x"}}')]
        with pytest.raises(TokenRefused, match="status 200, 40013"):
            await ask(rig, access)
        bank.instead = [answer('{"errcode":0,"result":{"token":"x","life":7200}}')]
        await ask(rig, access)

        assert rig.channel.tokens.describe()["app"] == {"expires_at": rig.later(7200), "being_fetched": False}
    assert partner.arrivals[-1].header("Authorization") == "Bearer x"


async def test_a_token_that_cannot_be_renewed_does_not_take_doubt_away(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        bank.valid.clear()
        bank.instead = [unsigned(500)] * 3

        with pytest.raises(OutcomeUnknown, match="may have happened"):
            await act(rig, grant(rig), KEYED)


async def test_a_token_that_takes_too_long_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    bank = Bank()
    bank.instead = [silence]
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(NotSent, match="did not come in time"):
            await ask(rig, grant(rig), deadline=rig.clock.monotonic() + 0.2)

        assert rig.channel.tokens.describe() == {}
        for task in rig.channel.tokens._flights.values():
            task.cancel()


async def test_a_caller_that_leaves_does_not_stop_the_fetch_that_others_wait_for(tmp_path: Path) -> None:
    bank, go = Bank(), asyncio.Event()

    async def slow(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        await go.wait()
        await answer(json.dumps(bank._token()))(writer, arrival)

    bank.instead = [slow]
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        first = asyncio.create_task(ask(rig, grant(rig)))
        await partner.arrived()
        second = asyncio.create_task(ask(rig, grant(rig)))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

        go.set()
        await second

    assert bank.given == 1


async def test_a_store_that_fails_is_no_problem_of_the_partner(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        access, exchange, asked = grant(rig), rig.exchange(), rig.ask(grant=grant(rig))
        await rig.store.close()

        with pytest.raises(StorageError):
            await rig.channel.send(asked, exchange)

    assert access.name == "app"
    assert partner.arrivals == []
