"""Codes, refresh tokens and secrets: where they stand, and where not."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from gateway.model.message import Bearer, InQuery, Keys, Placement, Reply, Request, Scheme, Stamp
from gateway.model.problems import (
    AdapterError,
    ConsentRequired,
    NotSent,
)
from gateway.wire.grants import ClientCredentials
from gateway.wire.retry import Repeat
from gateway.wire.transport import digest
from tests.wire.bank import Bank, act, ask, code_grant, grant, targets
from tests.wire.partner import Partner, answer, close
from tests.wire.rig import HANDOFF, SECRETS, Rig, said, unsigned

KEYED, ONCE = Repeat.KEYED, Repeat.ONCE

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


async def test_a_partner_that_gives_the_same_token_again_is_asked_once_by_all_that_were_refused(tmp_path: Path) -> None:
    bank = Bank(access_token="same")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        tokens, refused = rig.channel.tokens, await rig.channel.tokens.get(grant(rig), rig.exchange())

        first = await tokens.renew(grant(rig), refused, rig.exchange())
        second = await tokens.renew(grant(rig), refused, rig.exchange())

    assert first is second
    assert bank.given == 2


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


async def test_tokens_of_many_consents_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.wire.tokens.MOST_HELD", 2)
    bank = Bank(access_token="same")
    async with Partner(bank) as partner, Rig(tmp_path, partner) as rig:
        tokens = rig.channel.tokens
        for number in range(4):
            await tokens.get(grant(rig, name=f"consent:{number}"), rig.exchange())
        held = list(tokens.describe())
        await tokens.get(grant(rig, name="consent:0"), rig.exchange())

    assert held == ["consent:2", "consent:3"]
    assert bank.given == 4  # the first one was read from the store again
