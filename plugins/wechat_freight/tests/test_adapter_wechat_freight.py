"""The adapter, stepped by hand against the simulated platform over a real TLS socket."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest

from gateway import (
    FAILED,
    NOT_FOUND,
    SEEN,
    SUCCEEDED,
    TOKEN_REFUSED,
    UNKNOWN,
    Address,
    Asked,
    Claim,
    ClaimInquiry,
    Goods,
    Grant,
    Handoff,
    InQuery,
    Invalid,
    Known,
    Memory,
    Money,
    NotUnderstood,
    Parcel,
    Party,
    PolicyBinding,
    PolicyInquiry,
    Reply,
    Request,
    Wire,
)
from gateway.adapters.step import run
from gateway.sandbox import Running, serve
from gateway.testing import ManualClock
from lendgate_wechat_freight.adapter import PolicyMemory, WechatFreight, WechatFreightSettings
from lendgate_wechat_freight.simulator import WechatFreightSimulator

A = TypeVar("A")
HANDOFF = Handoff("state", "nonce", "verifier", "https://gateway.example/return", "https://gateway.example/callback")
OPENID = "oTest-0000000000000000000001"
ORDER = "4200001234202601010000000001"
BOUND, FOUND = WechatFreight.terms["bind_policy"], WechatFreight.terms["fetch_policy"]
FILED, CLAIMED = WechatFreight.terms["file_claim"], WechatFreight.terms["fetch_claim"]
WIRE = Wire()


@dataclass
class Desk:
    """One connection to the simulated platform; it gets and places tokens as the core would."""

    adapter: WechatFreight
    running: Running[WechatFreightSimulator]
    session: aiohttp.ClientSession
    clock: ManualClock
    token: str = ""

    @property
    def simulator(self) -> WechatFreightSimulator:
        return self.running.simulator

    async def send(self, asked: Asked) -> Reply:
        assert asked.access is not None
        assert asked.access.placement == InQuery("access_token")
        if not self.token:
            self.token = await self.fetch_token(asked.access)
        joined = f"{asked.request.url}?access_token={self.token}"
        reply = await self.exchange(asked.request.with_url(joined))
        return Reply(reply.status, (), self.adapter.scheme.verify(reply, asked.request, NO_KEYS), reply.received_at)

    async def fetch_token(self, grant: Grant) -> str:
        request = grant.request(None)
        secret = Path(self.running.onboarding.secrets["app_secret"].removeprefix("file:")).read_bytes()
        reply = await self.exchange(request.with_body(request.body.replace(b"__secret.app_secret__", secret)))
        return str(reply.json()[grant.paths.token])

    async def exchange(self, request: Request) -> Reply:
        async with self.session.post(request.url, data=request.body, headers=dict(request.headers)) as answer:
            return Reply(answer.status, (), await answer.read(), self.clock.now())

    async def run(self, verb: Coroutine[Any, Any, A]) -> A:
        return await run(verb, self.send)

    async def bind(self, **changes: Any) -> Any:
        return await self.run(self.adapter.bind_policy(self.binding(**changes), WIRE))

    async def fetch(self) -> Any:
        inquiry = PolicyInquiry(partner_key=ORDER, requested_at=self.clock.now())
        return await self.run(self.adapter.fetch_policy(inquiry, WIRE))

    async def file(self, **changes: Any) -> Any:
        return await self.run(self.adapter.file_claim(self.claim(**changes), WIRE))

    async def fetch_claim(self, waybill: str = "SF9000000000001") -> Any:
        inquiry = ClaimInquiry(partner_key=waybill, requested_at=self.clock.now(), parent=self.policy())
        return await self.run(self.adapter.fetch_claim(inquiry, WIRE))

    def binding(self, **changes: Any) -> PolicyBinding:
        place = {
            "country": "CN",
            "province": "广东省",
            "city": "广州市",
            "district": "海珠区",
            "street": "新港中路397号",
        }
        parcel = {
            "payment_reference": ORDER,
            "paid_at": self.clock.now() - timedelta(hours=1),
            "paid": Money.of("128.00", "CNY"),
            "waybill": "SF0000000000001",
            "sent_from": Address(**place),
            "sent_to": Address(**{**place, "province": "上海市"}),
            "goods": (Goods(name="外套", url="https://img.example/1"),),
            "order_path": "pages/order?id=1",
            **changes,
        }
        return PolicyBinding(
            **self.filled(ORDER),
            product="return_freight",
            parcel=Parcel(**parcel),
            insured=Party(partner_user_id=OPENID),
        )

    def claim(self, *, memory: Memory | None = None, options: Mapping[str, Any] = {}, **changes: Any) -> Claim:
        waybill = changes.get("return_waybill", "SF9000000000001")
        told = {"event": "return", "return_waybill": waybill, "return_carrier": "SF", **changes}
        parent = self.policy(memory or PolicyMemory(openid=OPENID))
        return Claim(**self.filled(waybill), **told, parent=parent, options=options)

    def policy(self, memory: Memory | None = None) -> Known:
        return Known(partner_key=ORDER, requested_at=self.clock.now(), memory=memory)

    def filled(self, key: str) -> dict[str, Any]:
        return {
            "connection": "freight",
            "reference": f"R-{key[-8:]}",
            "partner_key": key,
            "requested_at": self.clock.now(),
            "handoff": HANDOFF,
        }


NO_KEYS: Any = None  # nothing is signed, so no key may be touched


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    async with await serve(WechatFreightSimulator, tmp_path, clock=clock) as running:
        paid_at = int((clock.now() - timedelta(hours=1)).timestamp())
        running.simulator.seed_transaction(ORDER, OPENID, 12_800, paid_at)
        context = ssl.create_default_context(cafile=running.onboarding.tls["ca"].removeprefix("file:"))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=False) as session:
            adapter = WechatFreight(WechatFreightSettings(**running.onboarding.settings))
            yield Desk(adapter, running, session, clock)


class TestPolicy:
    async def test_a_paid_order_is_insured_and_found_by_its_number(self, desk: Desk) -> None:
        bound, found = await desk.bind(), await desk.fetch()

        assert BOUND.meaning(bound.code) is SUCCEEDED
        assert BOUND.statuses[bound.code] == FOUND.statuses[found.code] == "in_force"
        assert FOUND.meaning(found.code) is SUCCEEDED
        assert (bound.amount, bound.sum_insured) == (Money.of("0.45", "CNY"), Money.of("12.00", "CNY"))
        assert bound.ends_at == desk.clock.now() + timedelta(days=90)
        assert (found.number, found.amount, found.ends_at) == (bound.number, bound.amount, bound.ends_at)
        assert found.partner_key == ORDER
        assert desk.simulator.ledger.count() == {("policy", ORDER): 1}

    async def test_a_second_bind_of_one_order_is_a_reason_to_ask(self, desk: Desk) -> None:
        await desk.bind()

        again = await desk.bind(waybill="SF0000000000002")

        assert BOUND.meaning(again.code) is SEEN
        assert desk.simulator.ledger.count() == {("policy", ORDER): 1}

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"paid": Money.of("1.28", "CNY")}, "2014"),
            ({"paid_at": datetime(2026, 1, 1, tzinfo=UTC)}, "2013"),
            ({"paid_at": datetime(2025, 12, 1, tzinfo=UTC)}, "1010"),
            ({"payment_reference": "4200000000000000000000000000"}, "2012"),
            ({"waybill": "SIMNOTRACK1"}, "2028"),
        ],
    )
    async def test_documented_refusals_are_final(self, desk: Desk, changes: Any, code: str) -> None:
        fact = await desk.bind(**changes)

        assert fact.code == code
        assert BOUND.meaning(fact.code) is FAILED
        assert "rid" not in fact.message
        assert not desk.simulator.ledger.effects

    @pytest.mark.parametrize(("waybill", "issued"), [("SIMBUSY1", False), ("SIMINTERNAL1", True)])
    async def test_busy_and_internal_errors_are_settled_by_asking(self, desk: Desk, waybill: str, issued: bool) -> None:
        answer, found = await desk.bind(waybill=waybill), await desk.fetch()

        assert BOUND.meaning(answer.code) is UNKNOWN
        assert FOUND.meaning(found.code) is (SUCCEEDED if issued else NOT_FOUND)

    async def test_a_short_premium_account_refuses_until_it_is_topped_up(self, desk: Desk) -> None:
        desk.simulator.account.funds = 44

        short = await desk.bind()
        desk.simulator.top_up(1)
        enough = await desk.bind()

        assert (BOUND.meaning(short.code), BOUND.meaning(enough.code)) == (FAILED, SUCCEEDED)

    async def test_a_token_that_ended_means_not_executed(self, desk: Desk) -> None:
        await desk.fetch()
        desk.simulator.tokens.expire(revoke=False)

        aged = await desk.bind()
        desk.token = ""
        desk.simulator.tokens.expire(revoke=True)
        fresh = await desk.bind()

        assert BOUND.meaning(aged.code) is TOKEN_REFUSED
        assert aged.code in desk.adapter.token.refused
        assert BOUND.meaning(fresh.code) is SUCCEEDED

    async def test_an_expired_policy_is_still_a_bind_that_succeeded(self, desk: Desk) -> None:
        await desk.bind()
        desk.clock.advance(timedelta(days=90))
        desk.token = ""

        found = await desk.fetch()

        assert FOUND.meaning(found.code) is SUCCEEDED
        assert FOUND.statuses[found.code] == "expired"

    async def test_a_link_for_goods_is_needed_from_somebody(self, desk: Desk) -> None:
        bare = (Goods(name="外套"),)

        with pytest.raises(Invalid) as refusal:
            await desk.bind(goods=bare)
        settings = desk.adapter.settings.model_copy(update={"goods_url": "https://shop.example/goods"})
        desk.adapter = WechatFreight(settings)
        bound = await desk.bind(goods=bare)

        assert [field.path for field in refusal.value.fields] == ["parcel.goods.0.url"]
        assert BOUND.meaning(bound.code) is SUCCEEDED


class TestClaim:
    async def test_a_filed_claim_is_in_review_until_the_insurer_decides(self, desk: Desk) -> None:
        await desk.bind()
        filed, running = await desk.file(), await desk.fetch_claim()
        desk.simulator.decide_claim(ORDER, paid=True)
        paid = await desk.fetch_claim()

        assert FILED.meaning(filed.code) is SUCCEEDED
        assert (FILED.statuses[filed.code], CLAIMED.statuses[running.code]) == ("filed", "in_review")
        assert (CLAIMED.statuses[paid.code], paid.at) == ("paid", desk.clock.now())
        assert filed.references == {"report_no": running.references["report_no"]}

    async def test_a_rejected_claim_says_why(self, desk: Desk) -> None:
        await desk.bind()
        await desk.file(return_waybill="SIMREJECT1")

        rejected = await desk.fetch_claim("SIMREJECT1")

        assert CLAIMED.statuses[rejected.code] == "rejected"
        assert rejected.message == "退货物流异常"

    async def test_claiming_twice_is_no_failure_and_the_list_shows_whose_claim_it_is(self, desk: Desk) -> None:
        await desk.bind()
        await desk.file(return_waybill="SF9000000000009")

        again, found = await desk.file(), await desk.fetch_claim()

        assert FILED.meaning(again.code) is SEEN
        assert found.partner_key == "SF9000000000009"  # not the waybill that was asked for: the core sees a conflict
        assert desk.simulator.ledger.count("claim") == {("claim", "SF9000000000009"): 1}

    async def test_an_internal_error_after_filing_is_settled_by_asking(self, desk: Desk) -> None:
        await desk.bind()
        before = await desk.fetch_claim()

        filed, found = await desk.file(return_waybill="SIMINTERNAL1"), await desk.fetch_claim("SIMINTERNAL1")

        assert CLAIMED.meaning(before.code) is NOT_FOUND
        assert FILED.meaning(filed.code) is UNKNOWN
        assert CLAIMED.meaning(found.code) is SUCCEEDED

    async def test_no_policy_is_believed_after_one_look(self, desk: Desk) -> None:
        filed, found = await desk.file(), await desk.fetch_claim()

        assert (FILED.meaning(filed.code), CLAIMED.meaning(found.code)) == (SEEN, NOT_FOUND)

    async def test_the_insured_person_is_remembered_or_named(self, desk: Desk) -> None:
        bound = await desk.bind()
        stranger = PolicyMemory(openid="oSomebodyElse")

        named = await desk.file(memory=stranger, options={"openid": OPENID})

        assert bound.memory == PolicyMemory(openid=OPENID)
        assert WechatFreight.memories == {"PolicyMemory": PolicyMemory}
        assert FILED.meaning(named.code) is SUCCEEDED

    async def test_a_claim_of_nobody_is_not_sent(self, desk: Desk) -> None:
        claim = desk.claim().model_copy(update={"parent": desk.policy()})

        with pytest.raises(Invalid, match="insured person"):
            await desk.run(desk.adapter.file_claim(claim, WIRE))

        assert not desk.simulator.ledger.arrivals


class TestPremiumAccount:
    async def test_the_balance_is_what_is_left_for_premiums(self, desk: Desk) -> None:
        await desk.bind()

        balance = await desk.run(desk.adapter.fetch_partner_balance(None, WIRE))

        assert balance.available.amount == Decimal("99.55")
        assert (balance.low, balance.as_of) == (False, desk.clock.now())
        assert balance.details["premium"] == "0.45 CNY"
        assert balance.details["insured_orders"] == "1"

    @pytest.mark.parametrize(("funds", "need_close"), [(44, False), (10_000, True)])
    async def test_low_means_that_the_next_order_would_be_refused(
        self, desk: Desk, funds: int, need_close: bool
    ) -> None:
        desk.simulator.account.funds, desk.simulator.need_close = funds, need_close

        assert (await desk.run(desk.adapter.fetch_partner_balance(None, WIRE))).low

    async def test_an_account_that_was_never_opened_has_no_balance(self, desk: Desk) -> None:
        desk.simulator.account.is_open = False

        with pytest.raises(NotUnderstood, match="2004"):
            await desk.run(desk.adapter.fetch_partner_balance(None, WIRE))


def test_a_bind_sends_fen_seconds_and_raw_chinese() -> None:
    settings = WechatFreightSettings(base_url="https://platform.example", appid="wx00000000000000f1")
    desk = Desk(WechatFreight(settings), NO_KEYS, NO_KEYS, ManualClock())
    verb = desk.adapter.bind_policy(desk.binding(), WIRE)

    asked = verb.send(None)
    verb.close()
    sent = json.loads(asked.request.body)

    assert asked.effect
    assert asked.request.target == "/wxa/business/insurance_freight/createorder"
    assert (sent["pay_amount"], sent["pay_time"]) == (12_800, 1_767_227_400)
    assert "海珠区".encode() in asked.request.body
