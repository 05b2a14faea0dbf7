"""The adapter, stepped by hand against the simulated insurer over a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import aiohttp
import pytest
from pydantic import ValidationError

from gateway import (
    FAILED,
    NOT_FOUND,
    SEEN,
    SUCCEEDED,
    Address,
    Asked,
    Handoff,
    Identifier,
    Invalid,
    Money,
    NewQuote,
    NotProven,
    NotUnderstood,
    Offer,
    Organisation,
    Party,
    PolicyBinding,
    PolicyInquiry,
    QuoteRequest,
    Reply,
    Stamp,
    Wire,
)
from gateway.adapters.step import run
from gateway.crypto.keys import KeyRing
from gateway.sandbox import Running, serve
from gateway.testing import ManualClock
from lendgate_zhongan.adapter import Product, Zhongan, ZhonganSettings
from lendgate_zhongan.messages import Heard, local, moment
from lendgate_zhongan.simulator import ZhonganSimulator

A = TypeVar("A")
HANDOFF = Handoff("state", "nonce", "verifier", "https://gateway.example/return", "https://gateway.example/callback")
ASKED_AT = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)


@dataclass
class Desk:
    """One connection to the simulated insurer."""

    adapter: Zhongan
    running: Running[ZhonganSimulator]
    keys: KeyRing
    session: aiohttp.ClientSession
    clock: ManualClock

    async def send(self, asked: Asked) -> Reply:
        request = self.adapter.scheme.sign(asked.request, self.keys, Stamp(self.clock.now(), "0" * 32))
        async with self.session.post(request.url, data=request.body, headers=dict(request.headers)) as answer:
            reply = Reply(answer.status, (), await answer.read(), self.clock.now())
        proven = self.adapter.scheme.verify(reply, request, self.keys)
        return Reply(reply.status, (), proven, reply.received_at)

    async def run(self, verb: Coroutine[Any, Any, A]) -> A:
        return await run(verb, self.send)

    async def replies(self, **wanted: Any) -> None:
        async with self.session.post(self.running.url + "/_sandbox/replies", json=wanted) as answer:
            assert answer.status == 200


@pytest.fixture(scope="session")
def onboarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair of keys for all tests: making them is the slow part."""
    directory = tmp_path_factory.mktemp("insurer")
    ZhonganSimulator.onboard(directory, "http://127.0.0.1:1")
    return directory


@pytest.fixture
async def desk(onboarded: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    async with (
        await serve(ZhonganSimulator, onboarded, clock=clock) as running,
        aiohttp.ClientSession(trust_env=False) as session,
    ):
        taken = running.onboarding
        assert taken.signing_key is not None
        keys = KeyRing.load(
            "test",
            key_id=taken.signing_key[0],
            private_key=read(taken.signing_key[1]),
            partner_keys={name: read(reference) for name, reference in taken.partner_keys.items()},
            legacy=True,
        )
        yield Desk(Zhongan(ZhonganSettings(**taken.settings)), running, keys, session, clock)


def read(reference: str) -> bytes:
    return Path(reference.removeprefix("file:")).read_bytes()


def person(certificate: str = "E00000000") -> Party:
    return Party(
        name="测试甲",
        identifiers=(Identifier(scheme="passport", value=certificate, country="CN"),),
        phone="13800000000",
        birth_date="1990-02-03",
        address=Address(country="CN", province="上海市", city="上海市", district="黄浦区", street="一号"),
    )


def quoted(**changes: Any) -> dict[str, Any]:
    return {
        "connection": "insurer",
        "reference": "LN-1-life",
        "links_to": {"loan": "L-1"},
        "product": "credit_life",
        "insured": person(),
        "beneficiary": Organisation(name="贷款公司"),
        "sum_insured": Money.of("1299.00", "CNY"),
        "starts_at": datetime(2026, 1, 1, 16, tzinfo=UTC),
        "ends_at": datetime(2026, 4, 1, 15, 59, 59, tzinfo=UTC),
        **changes,
    }


def quote(**changes: Any) -> QuoteRequest:
    return QuoteRequest(partner_key="Q" * 32, requested_at=ASKED_AT, handoff=HANDOFF, **quoted(**changes))


def binding(key: str = "B" * 32, *, premium: str = "12.99", **changes: Any) -> PolicyBinding:
    request = NewQuote(**quoted(**changes))
    return PolicyBinding(
        connection="insurer",
        reference="LN-1-policy",
        product="credit_life",
        quote="quote_1",
        quoted=request,
        chosen=Offer(premium=Money.of(premium, "CNY"), sum_insured=request.sum_insured),
        partner_key=key,
        requested_at=ASKED_AT,
        handoff=HANDOFF,
    )


def inquiry(key: str = "B" * 32) -> PolicyInquiry:
    return PolicyInquiry(partner_key=key, requested_at=ASKED_AT)


WIRE = Wire()


async def test_a_quote_gives_the_premium_of_the_contract_and_binds_nobody(desk: Desk) -> None:
    fact = await desk.run(desk.adapter.quote_policy(quote(), WIRE))

    assert Zhongan.terms["quote_policy"].meaning(fact.code) is SUCCEEDED
    assert [(offer.premium.amount, offer.sum_insured.amount) for offer in fact.offers] == [
        (Decimal("12.99"), Decimal("1299.00"))
    ]
    assert not desk.running.simulator.ledger.effects


async def test_a_premium_is_rounded_half_up_to_the_fen(desk: Desk) -> None:
    fact = await desk.run(desk.adapter.quote_policy(quote(sum_insured=Money.of("1250.50", "CNY")), WIRE))

    assert [offer.premium.amount for offer in fact.offers] == [Decimal("12.51")]


@pytest.mark.parametrize(("scheme", "letter"), [("national_id", "I"), ("passport", "P"), ("company_number", "102")])
def test_a_bind_carries_everything_as_text_in_canonical_order(
    desk_settings: ZhonganSettings, scheme: Any, letter: str
) -> None:
    party = person().model_copy(update={"identifiers": (Identifier(scheme=scheme, value="E1"),)})
    product = Product(product_mask="MASK", premium_rate="0.01")
    settings = desk_settings.model_copy(update={"products": {"credit_life": product}})
    verb = Zhongan(settings).bind_policy(binding(insured=party), WIRE)

    asked = verb.send(None)
    verb.close()
    form = dict(parse_qsl(asked.request.body.decode()))
    sent = json.loads(form["bizContent"])

    assert asked.effect
    assert (form["serviceName"], list(sent)) == ("zhongan.open.common.addPolicy", sorted(sent))
    assert json.loads(sent["policyHolderUserInfo"]) == {
        "policyHolderUserName": "测试甲",
        "policyHolderCertiType": letter,
        "policyHolderCertiNo": "E1",
        "policyHolderPhone": "13800000000",
        "policyHolderBirth": "19900203",
        "policyHolderAddr": "上海市上海市黄浦区一号",
    }
    assert json.loads(sent["insureUserInfo"])[0]["insureCertiType"] == letter
    assert json.loads(sent["extraInfo"]) == {"loanNo": "L-1", "beneficiaryName": "贷款公司"}
    assert (sent["policyBeginDate"], sent["premium"]) == ("20260102000000", "12.99")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"insured": person("SIMDECLINE1")}, "N"), ({"sum_insured": Money.of("500000.01", "CNY")}, "307")],
)
async def test_a_refused_quote_is_final_and_offers_nothing(desk: Desk, changes: Any, code: str) -> None:
    fact = await desk.run(desk.adapter.quote_policy(quote(**changes), WIRE))

    assert (fact.code, fact.offers) == (code, ())
    assert Zhongan.terms["quote_policy"].meaning(fact.code) is FAILED


async def test_a_bound_policy_is_issued_once_and_found_by_our_number(desk: Desk) -> None:
    bound = await desk.run(desk.adapter.bind_policy(binding(), WIRE))

    found = await desk.run(desk.adapter.fetch_policy(inquiry(), WIRE))

    assert Zhongan.terms["bind_policy"].meaning(bound.code) is SUCCEEDED
    assert Zhongan.terms["bind_policy"].statuses[bound.code or ""] == "in_force"
    assert found == bound
    assert found.amount == Money.of("12.99", "CNY")
    assert (found.starts_at, found.ends_at) == (quote().starts_at, quote().ends_at)
    assert desk.running.simulator.ledger.count() == {("policy", "B" * 32): 1}


async def test_a_repeat_is_no_failure_but_a_reason_to_ask(desk: Desk) -> None:
    await desk.run(desk.adapter.bind_policy(binding(), WIRE))

    again = await desk.run(desk.adapter.bind_policy(binding(), WIRE))

    assert Zhongan.terms["bind_policy"].meaning(again.code) is SEEN
    assert again.message == "SIM_DUPLICATE_ORDER: channelOrderNo was used before"
    assert desk.running.simulator.ledger.count() == {("policy", "B" * 32): 1}


@pytest.mark.parametrize("certificate", ["SIMBINDONLY1", "SIMINTERNAL1"])
async def test_a_refusal_by_an_unpublished_code_is_settled_by_asking(desk: Desk, certificate: str) -> None:
    refused = await desk.run(desk.adapter.bind_policy(binding(insured=person(certificate)), WIRE))

    found = await desk.run(desk.adapter.fetch_policy(inquiry(), WIRE))

    issued = certificate.startswith("SIMINTERNAL")
    assert Zhongan.terms["bind_policy"].meaning(refused.code) is SEEN
    assert Zhongan.terms["fetch_policy"].meaning(found.code) is (SUCCEEDED if issued else NOT_FOUND)


async def test_the_published_liability_limit_is_a_refusal(desk: Desk) -> None:
    large = binding(premium="5000.00", sum_insured=Money.of("500000.01", "CNY"))

    fact = await desk.run(desk.adapter.bind_policy(large, WIRE))

    assert Zhongan.terms["bind_policy"].meaning(fact.code) is FAILED
    assert not desk.running.simulator.ledger.effects


async def test_an_answer_may_be_nested_or_signed_over_its_stripped_form(desk: Desk) -> None:
    await desk.replies(signature="stripped", nested=True)

    fact = await desk.run(desk.adapter.bind_policy(binding(), WIRE))

    assert fact.code == "Y"
    assert fact.number is not None


async def test_an_unsigned_answer_proves_nothing(desk: Desk) -> None:
    await desk.replies(signature="none")

    with pytest.raises(NotProven, match="no sign"):
        await desk.run(desk.adapter.bind_policy(binding(), WIRE))

    assert desk.running.simulator.ledger.count() == {("policy", "B" * 32): 1}


async def test_an_error_outside_the_service_stays_doubt(desk: Desk) -> None:
    other = Zhongan(desk.adapter.settings.model_copy(update={"app_key": "2"}))
    desk.adapter = other

    fact = await desk.run(other.bind_policy(binding(), WIRE))

    assert fact.code == "SIM_APP_KEY"
    assert fact.code not in Zhongan.terms["bind_policy"].codes


async def test_what_the_insurer_must_know_is_asked_for_before_anything_is_sent(desk: Desk) -> None:
    nobody = Party(name="测试甲", identifiers=(Identifier(scheme="partner_user_id", value="1"),))

    with pytest.raises(Invalid):
        await desk.run(desk.adapter.quote_policy(quote(insured=nobody), WIRE))
    with pytest.raises(Invalid):
        await desk.run(desk.adapter.quote_policy(quote(product="goods"), WIRE))
    with pytest.raises(Invalid):
        await desk.run(desk.adapter.bind_policy(binding().model_copy(update={"quoted": None}), WIRE))

    assert not desk.running.simulator.ledger.arrivals


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"bizContent":{"policyNo":"P1"}}', "Y"),  # the published example says no isSuccess
        ('{"bizContent":{"isSuccess":true,"policyNo":"P1"}}', "Y"),
        ('{"bizContent":{"isSuccess":"Y","errorCode":"X1"}}', "X1"),  # both at once says nothing
        ('{"bizContent":{"isSuccess":"N"}}', None),
        ('{"bizContent":{}}', None),
        ('{"errorCode":"Y","bizContent":{}}', None),  # our word, not theirs
        ('{"errorCode":"307","bizContent":{}}', "307"),
        ('{"bizContent":{"isSuccess":"Y","resultJson":"{\\"isSuccess\\":\\"N\\",\\"errorCode\\":\\"307\\"}"}}', "307"),
    ],
)
def test_what_each_form_of_answer_says(desk_settings: ZhonganSettings, body: str, code: str | None) -> None:
    reply = Reply(200, (), body.encode(), ASKED_AT)

    assert Zhongan(desk_settings).code(reply) == code


@pytest.mark.parametrize(
    "body", ["[1]", '{"bizContent":[]}', '{"bizContent":{"resultJson":"x"}}', '{"bizContent":{"resultJson":"[]"}}']
)
def test_a_misshapen_answer_is_not_understood(body: str) -> None:
    with pytest.raises(NotUnderstood):
        Heard.of(Reply(200, (), body.encode(), ASKED_AT))


def test_dates_are_beijing_dates_in_either_form() -> None:
    ends = quote().ends_at

    assert local(ends, "yyyyMMddHHmmss") == "20260401235959"
    assert local(ends, "yyyy-MM-dd") == "2026-04-01"
    assert moment("2026-04-01", end_of_day=True) == moment("20260401235959") == ends
    with pytest.raises(NotUnderstood):
        moment("1 April")


BARE: dict[str, Any] = {"base_url": "https://insurer.example", "app_key": "1", "channel_id": "9001", "products": {}}


@pytest.fixture
def desk_settings() -> ZhonganSettings:
    return ZhonganSettings(**BARE, legacy_sha1=True)


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({}, "legacy_sha1 = true"),
        ({"legacy_sha1": True, "base_url": "http://insurer.example"}, "allow_plain_http"),
        ({"legacy_sha1": True, "rsa_bits": 1024, "block_bytes": 118}, "block_bytes"),
    ],
)
def test_what_is_legacy_or_open_must_be_chosen(changes: Any, remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        ZhonganSettings(**{**BARE, **changes})


def test_a_word_that_is_neither_yes_nor_no_is_no_success() -> None:
    body = b'{"bizContent": {"isSuccess": "PERHAPS", "policyNo": "P1"}}'

    heard = Heard.of(Reply(200, (), body, ASKED_AT))

    assert heard.accepted is None
