"""Tokens: one fetch for all that wait, early, sealed, and renewed only as often as it takes."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.crypto.seal import Sealer
from gateway.model.message import Bearer, InQuery, Keys, Placement, Reply, Request, Scheme, Stamp, TokenPaths
from gateway.model.problems import (
    AdapterError,
    ConsentRequired,
    NoAnswer,
    NotSent,
    OutcomeUnknown,
    StorageError,
    TokenRefused,
)
from gateway.wire.grants import AppToken, AuthorisationCode, ClientCredentials
from gateway.wire.retry import Repeat
from gateway.wire.transport import digest
from tests.wire.partner import Arrival, Partner, answer, close, silence
from tests.wire.rig import HANDOFF, SECRETS, Rig, said, unsigned

SAFE, KEYED, ONCE = Repeat.SAFE, Repeat.KEYED, Repeat.ONCE


class Bank:
    """Gives out tokens at /token and takes the valid one everywhere else. What it answers can be bent."""

    def __init__(self, **answer: Any) -> None:
        self.given = 0
        self.valid: set[str] = set()
        self.answer = answer
        self.refusal = unsigned(401, b"who are you?")
        self.instead: list[Any] = []  # behaviours of the next token requests

    async def __call__(self, writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        if arrival.target.startswith("/token"):
            behave = self.instead.pop(0) if self.instead else answer(json.dumps(self._token()))
        elif self._shown(arrival) in self.valid:
            behave = said("PAID")
        else:
            behave = self.refusal
        await behave(writer, arrival)

    def _token(self) -> dict[str, Any]:
        self.given += 1
        self.valid = {f"t{self.given}"}
        given = {"access_token": f"t{self.given}", "expires_in": 3600, **self.answer}
        return {name: value for name, value in given.items() if value is not None}

    @staticmethod
    def _shown(arrival: Arrival) -> str:
        bearer = (arrival.header("Authorization") or "").removeprefix("Bearer ")
        return bearer or parse_qs(arrival.target.partition("?")[2]).get("access_token", [""])[-1]


def grant(rig: Rig, **changes: Any) -> ClientCredentials:
    settings = {"name": "app", "url": rig.partner.url("/token"), "client_id": "us", "authentication": "body", **changes}
    return ClientCredentials(**settings)


def code_grant(rig: Rig) -> AuthorisationCode:
    return AuthorisationCode("consent:1", rig.partner.url("/token"), "us", "body")


def targets(partner: Partner) -> list[str]:
    return [arrival.target for arrival in partner.arrivals]


async def ask(rig: Rig, access: Any, **conduct: Any) -> Reply:
    return await rig.channel.send(rig.ask(grant=access), rig.exchange(**conduct))


async def act(rig: Rig, access: Any, repeat: Repeat, **conduct: Any) -> Any:
    exchange = rig.exchange(repeat, **conduct)
    try:
        await rig.channel.send(rig.act(grant=access), exchange)
    finally:
        await exchange.work.commit()
    return exchange


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


# Codes and refresh tokens


async def test_a_code_is_exchanged_and_its_token_used(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        exchange = await act(rig, code_grant(rig), ONCE, code="c&de", handoff=HANDOFF)

        assert exchange.code is None
    form = parse_qs(partner.arrivals[0].body.decode())
    assert form == {
        "grant_type": ["authorization_code"],
        "code": ["c&de"],
        "redirect_uri": [HANDOFF.return_url],
        "code_verifier": [HANDOFF.code_verifier],
        "client_id": ["us"],
        "client_secret": [SECRETS["client_secret"]],
    }


async def test_a_new_code_goes_before_a_token_that_is_still_held(tmp_path: Path) -> None:
    bank = Bank()
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await act(rig, code_grant(rig), ONCE, code="first", handoff=HANDOFF)
        await ask(rig, code_grant(rig))
        assert bank.given == 1

        await act(rig, code_grant(rig), ONCE, code="second", handoff=HANDOFF)

    assert bank.given == 2


async def test_a_code_is_for_the_grant_that_needs_one(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        exchange = await act(rig, grant(rig), ONCE, code="c0de", handoff=HANDOFF)

    assert exchange.code == "c0de"
    assert b"c0de" not in partner.arrivals[0].body


@pytest.mark.parametrize("behaviour", [close, unsigned(502)])
async def test_a_code_is_never_sent_again_once_it_may_have_arrived(tmp_path: Path, behaviour: Any) -> None:
    bank = Bank()
    bank.instead = [behaviour]
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(NotSent):
            await act(rig, code_grant(rig), KEYED, code="c0de", handoff=HANDOFF)

    assert targets(partner) == ["/token"]


async def test_without_a_code_a_person_must_authorise_first(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(ConsentRequired):
            await ask(rig, code_grant(rig))

    assert partner.arrivals == []


@pytest.mark.parametrize(("rotated", "shown"), [("r2", "r2"), (None, "r1")])
async def test_a_refresh_token_renews_and_is_kept_unless_another_comes(
    tmp_path: Path, rotated: str | None, shown: str
) -> None:
    bank = Bank(refresh_token="r1")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await act(rig, code_grant(rig), ONCE, code="c0de", handoff=HANDOFF)
        bank.answer = {"refresh_token": rotated}
        for _ in range(2):
            bank.valid.clear()
            await ask(rig, code_grant(rig))

    forms = [parse_qs(arrival.body.decode()) for arrival in partner.arrivals if arrival.target == "/token"]
    assert [form.get("refresh_token") for form in forms] == [None, ["r1"], [shown]]


async def test_a_refused_refresh_token_asks_the_person_again_and_is_forgotten(tmp_path: Path) -> None:
    bank = Bank(refresh_token="r1")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await act(rig, code_grant(rig), ONCE, code="c0de", handoff=HANDOFF)
        bank.valid.clear()
        bank.instead = [answer('{"error":"invalid_grant"}', 400)]

        with pytest.raises(ConsentRequired):
            await ask(rig, code_grant(rig))

        assert await rig.store.token("riverbank-main", "consent:1") is None
        assert rig.channel.tokens.describe() == {}


async def test_a_refused_refresh_token_of_our_own_grant_starts_anew(tmp_path: Path) -> None:
    class Renewing(ClientCredentials):
        def renew(self, refresh_token: Any) -> Request:
            return Request.form(self.url, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    bank = Bank(refresh_token="r1")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        access = Renewing("app", partner.url("/token"), "us", "body")
        await ask(rig, access)
        bank.valid.clear()
        bank.instead = [answer('{"error":"invalid_grant"}', 400)]

        await ask(rig, access)

    kinds = [parse_qs(one.body.decode())["grant_type"] for one in partner.arrivals if one.target == "/token"]
    assert kinds == [["client_credentials"], ["refresh_token"], ["client_credentials"]]


# Where secrets and tokens stand, and where not


@pytest.mark.parametrize(
    ("placement", "target", "authorization"),
    [
        (Bearer(), "/payments/1?text=__secret.access_token__", "Bearer t&k n"),
        (InQuery("access_token"), "/payments/1?text=__secret.access_token__&access_token=t%26k%20n", None),
    ],
)
async def test_the_token_stands_where_the_grant_says_and_nowhere_else(
    tmp_path: Path, placement: Placement, target: str, authorization: str | None
) -> None:
    bank = Bank(access_token="t&k n")
    bank.refusal = said("PAID")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.ask("/payments/1?text=__secret.access_token__", grant(rig, placement=placement))
        await rig.channel.send(asked, rig.exchange())

    arrival = partner.arrivals[-1]
    assert (arrival.target, arrival.header("Authorization")) == (target, authorization)


async def test_the_only_parameter_may_be_the_token(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig, placement=InQuery("access_token")))

    assert targets(partner)[-1] == "/payments/1?access_token=t1"


async def test_a_secret_in_basic_credentials_is_encoded_with_them(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig, authentication="basic"))

    shown = (partner.arrivals[0].header("Authorization") or "").removeprefix("Basic ")
    assert base64.b64decode(shown) == b"us:h%26sh%22h"


async def test_records_hold_names_and_neither_token_nor_secret_nor_code(tmp_path: Path) -> None:
    bank = Bank(access_token="tok-value", refresh_token="refresh-value")
    bank.refusal = said("PAID")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        await act(rig, code_grant(rig), ONCE, code="code-value", handoff=HANDOFF)

        entries = await rig.store.entries()
        exact = b"\n".join(rig.exact(entry) for entry in entries)
        leaves = b"\n".join(entry.leaf for entry in entries)
    for value in ("tok-value", "refresh-value", "code-value", SECRETS["client_secret"]):
        assert value.encode() not in exact + leaves
    assert b"Authorization: Bearer __secret.access_token__" in exact
    assert b"code=__secret.authorisation_code__" in exact
    assert b"client_secret=__secret.client_secret__" in exact


async def test_a_token_request_is_recorded_on_a_chain_of_its_own_with_the_digest_of_what_left(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner) as rig:
        await ask(rig, grant(rig))
        intent, outcome, _ = await rig.store.entries()

    leaf = json.loads(intent.leaf)
    assert (leaf["verb"], leaf["client"], leaf["effect"]) == ("token", "", False)
    assert intent.chain == outcome.chain
    assert intent.chain.startswith("tok_")
    arrival = partner.arrivals[0]
    assert intent.digest == digest(Request("POST", partner.url("/token"), body=arrival.body))


async def test_a_token_is_in_no_repr_and_no_message(tmp_path: Path) -> None:
    bank = Bank(refresh_token="r1")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        token = await rig.channel.tokens.get(grant(rig), rig.exchange())

        assert "t1" not in repr(token)
        assert "r1" not in repr(token)


class Seeing(Scheme):
    """Shows what a scheme gets to see when it signs."""

    name = "seeing"

    def __init__(self, covers_secrets: bool) -> None:
        self.covers_secrets = covers_secrets
        self.saw: list[str | None] = []

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        self.saw.append(request.header("Authorization"))
        return request

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        return reply.body


@pytest.mark.parametrize(("covers", "saw"), [(False, "Bearer __secret.access_token__"), (True, "Bearer t1")])
async def test_a_scheme_sees_the_token_only_if_its_signature_covers_it(tmp_path: Path, covers: bool, saw: str) -> None:
    scheme = Seeing(covers)
    async with Partner(Bank()) as partner, Rig(tmp_path, partner, scheme) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.ask(grant=grant(rig)), exchange)
        await exchange.work.commit()
        intent = (await rig.store.chain("op_1"))[0]

        assert scheme.saw == [saw]
        assert b"Bearer __secret.access_token__" in rig.exact(intent)
    assert partner.arrivals[-1].header("Authorization") == "Bearer t1"


class Shortening(Seeing):
    """Breaks the query."""

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request.with_url(request.url.partition("?")[0])


async def test_a_scheme_that_drops_the_tokens_place_sends_nothing(tmp_path: Path) -> None:
    async with Partner(Bank()) as partner, Rig(tmp_path, partner, Shortening(False)) as rig:
        with pytest.raises(AdapterError, match="took the token's place"):
            await ask(rig, grant(rig, placement=InQuery("access_token")))

    assert targets(partner) == ["/token"]
