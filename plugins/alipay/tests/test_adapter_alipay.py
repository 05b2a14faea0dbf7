"""The adapter's transfers, Zhima calls, callbacks and settings, stepped by hand against the simulated gateway."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from pydantic import ValidationError
from yarl import URL

from gateway import (
    BUSY,
    FAILED,
    NOT_FOUND,
    PROCESSING,
    REQUIRES_ACTION,
    RETURNED,
    SEEN,
    SUCCEEDED,
    UNKNOWN,
    Callback,
    CreditReportInitiation,
    Handoff,
    Invalid,
    Merged,
    Money,
    NotProven,
    NotUnderstood,
    PaymentFact,
    ReportInquiry,
    SignedLink,
    Stamp,
    TransferFact,
    TransferInitiation,
    TransferInquiry,
    UnknownKey,
    Wire,
)
from lendgate_alipay.adapter import AlipaySettings
from lendgate_alipay.transfers import TransferMemory

WIRE = Wire()
ARRIVED = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
CARD = {"scheme": "bank_card", "identification": "6222000000000001", "agent": "招商银行"}


def meaning(desk: Any, verb: str, fact: Any) -> Any:
    return desk.adapter.terms[verb].meaning(fact.code)


def transfer(desk: Any, account: Any = None, amount: str = "1299.00", **changes: Any) -> TransferInitiation:
    wallet = {"scheme": "wallet_user_id", "identification": "2088000000000002"}
    told = {"amount": Money.of(amount, "CNY"), "creditor": {"name": "李四", "account": account or wallet}, **changes}
    return TransferInitiation(**desk.fill("T" * 32, **told))


async def send(desk: Any, *args: Any, **changes: Any) -> Any:
    return await desk.run(desk.adapter.create_transfer(transfer(desk, *args, **changes), WIRE))


async def find(desk: Any, memory: Any = None) -> Any:
    inquiry = TransferInquiry(**desk.known("T" * 32, None, memory=memory))
    return await desk.run(desk.adapter.fetch_transfer(inquiry, WIRE))


class TestTransfers:
    async def test_a_wallet_gets_it_at_once(self, desk: Any) -> None:
        made, found = await send(desk), await find(desk)

        assert meaning(desk, "create_transfer", made) is SUCCEEDED
        assert meaning(desk, "fetch_transfer", found) is SUCCEEDED
        assert found.amount == Money.of("1299.00", "CNY")
        assert (made.partner_key, made.references["order_id"]) == ("T" * 32, found.references["order_id"])
        assert desk.client.count("transfer") == 1

    async def test_a_card_is_followed_until_the_money_comes_back(self, desk: Any) -> None:
        made = await send(desk, {**CARD, "identification": "6222000000000003"})
        facts = []
        for seconds in (0, 10, 50):
            desk.client.clock.advance(timedelta(seconds=seconds))
            facts.append(await find(desk, made.memory))

        assert made.memory == TransferMemory(product_code="TRANS_BANKCARD_NO_PWD")
        assert meaning(desk, "create_transfer", made) is PROCESSING
        assert [meaning(desk, "fetch_transfer", fact) for fact in facts] == [PROCESSING, SUCCEEDED, RETURNED]
        assert facts[2].returned == Money.of("1299.00", "CNY")
        assert facts[2].message == "收款银行退票"

    async def test_what_is_not_remembered_is_found_under_either_product(self, desk: Any) -> None:
        nothing = await find(desk)
        await send(desk, CARD)

        assert meaning(desk, "fetch_transfer", nothing) is NOT_FOUND
        assert (await find(desk)).memory == TransferMemory(product_code="TRANS_BANKCARD_NO_PWD")

    @pytest.mark.parametrize(
        ("remittance", "expected"),
        [
            ("SIM_PAYEE_USERINFO_ERROR", FAILED),
            ("SIM_PAYER_BALANCE_NOT_ENOUGH", FAILED),
            ("SIM_SYSTEM_ERROR", UNKNOWN),
            ("SIM_REQUEST_PROCESSING", UNKNOWN),
            ("SIM_UNKNOWN", UNKNOWN),
            ("SIM_PAYMENT_INFO_INCONSISTENCY", SEEN),
            ("SIM_RESOURCE_LIMIT_EXCEED", BUSY),
        ],
    )
    async def test_refusals_and_doubt_are_told_apart(self, desk: Any, remittance: str, expected: Any) -> None:
        assert meaning(desk, "create_transfer", await send(desk, remittance=remittance)) is expected

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"account": {"scheme": "iban", "identification": "GB33BUKB20201555555555"}}, "creditor.account.scheme"),
            ({"account": {**CARD, "agent": None}}, "creditor.account.agent"),
            ({"account": CARD, "amount": "0.99"}, "amount.amount"),
            ({"amount": "50000.00"}, "remittance"),
            ({"execution_date": "2026-02-01"}, "execution_date"),
        ],
    )
    async def test_what_the_wallet_cannot_send_is_refused_first(
        self, desk: Any, changes: dict[str, Any], path: str
    ) -> None:
        with pytest.raises(Invalid) as refused:
            await send(desk, **changes)

        assert refused.value.fields[0].path == path
        assert desk.asked == []

    async def test_public_key_mode_transfers_nothing(self, public_desk: Any) -> None:
        with pytest.raises(Invalid) as refused:
            await send(public_desk)

        assert refused.value.fields[0].path == "connection"

    async def test_scene_and_kind_of_account_are_told(self, desk: Any) -> None:
        scene = {"transfer_scene_name": "业务结算", "transfer_scene_reports": [{"info_type": "a", "info_content": "b"}]}
        desk.adapter.settings = AlipaySettings.model_validate(desk.adapter.settings.model_dump() | scene)

        made = await send(desk, CARD, options={"account_type": "company"})

        body = json.loads(parse_qs(desk.asked[0].request.body.decode())["biz_content"][0])
        assert meaning(desk, "create_transfer", made) is PROCESSING
        assert body["transfer_scene_name"] == "业务结算"
        assert body["payee_info"]["bankcard_ext_info"] == {"inst_name": "招商银行", "account_type": "1"}


def report(desk: Any, product: str = "threshold_check", number: str = "11010119900101001X", **changes: Any) -> Any:
    person = {"name": "张三", "identifiers": [{"scheme": "national_id", "value": number}]}
    told = {
        "product": product,
        "person": person,
        "purpose": "credit_application",
        "permission": {"channel": "app"},
        "threshold": 600,
        **changes,
    }
    return CreditReportInitiation(**desk.fill("C" * 32, **told))


class TestZhima:
    @pytest.mark.parametrize(
        ("number", "outcome"),
        [
            ("11010119900101001X", "passed"),
            ("110101199001010011", "not_passed"),
            ("110101199001010012", "no_record"),
        ],
    )
    async def test_a_threshold_is_answered(self, desk: Any, number: str, outcome: str) -> None:
        fact = await desk.run(desk.adapter.check_threshold(report(desk, number=number), WIRE))

        assert meaning(desk, "check_threshold", fact) is SUCCEEDED
        assert (fact.outcome, fact.score) == (outcome, None)
        assert fact.references["biz_no"]

    async def test_doubt_is_settled_by_the_same_words_and_charged_once(self, desk: Any) -> None:
        person = {"name": "SIM_UNKNOWN", "identifiers": [{"scheme": "partner_user_id", "value": "2088000000000005"}]}

        first, second = [
            await desk.run(desk.adapter.check_threshold(report(desk, person=person), WIRE)) for _ in range(2)
        ]

        assert meaning(desk, "check_threshold", first) is UNKNOWN
        assert desk.asked[0].request == desk.asked[1].request
        assert second == first
        assert desk.client.count("report") == 1

    async def test_a_wallet_user_needs_no_name(self, desk: Any) -> None:
        asked = report(desk, person={"partner_user_id": "2088000000000005"})

        assert (await desk.run(desk.adapter.check_threshold(asked, WIRE))).outcome == "passed"

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"threshold": 349}, "threshold"),
            ({"threshold": 610}, "threshold"),
            ({"person": {"name": "张三"}}, "person.identifiers"),
            ({"person": {"identifiers": [{"scheme": "passport", "value": "E1234567"}]}}, "person.name"),
        ],
    )
    async def test_what_cannot_be_checked_is_refused_first(self, desk: Any, changes: dict[str, Any], path: str) -> None:
        desk.adapter.settings = desk.adapter.settings.model_copy(update={"thresholds": (600, 650)})

        with pytest.raises(Invalid) as refused:
            await desk.run(desk.adapter.check_threshold(report(desk, **changes), WIRE))

        assert refused.value.fields[0].path == path
        assert desk.asked == []

    @pytest.mark.parametrize(("passed", "outcome"), [(True, "passed"), (False, "not_passed")])
    async def test_a_person_is_certified_behind_a_signed_link(self, desk: Any, passed: bool, outcome: str) -> None:
        begun = await desk.run(desk.adapter.request_report(report(desk, "identity"), WIRE))
        link = begun.next_action
        assert isinstance(link, SignedLink)
        url = desk.adapter.scheme.link(link, desk.handoff, desk.keys, Stamp(desk.client.clock.now(), "0" * 32))
        async with desk.client.session.get(URL(url, encoded=True)) as page:
            shown = await page.text()
        known = desk.known("C" * 32, None, partner_references=begun.references)
        pending = await desk.run(desk.adapter.fetch_report(ReportInquiry(**known), WIRE))
        await desk.client.people("certification", biz_no=begun.references["biz_no"], passed=passed)
        done = await desk.run(desk.adapter.fetch_report(ReportInquiry(**known), WIRE))

        assert meaning(desk, "request_report", begun) is REQUIRES_ACTION
        assert begun.references["biz_no"] in shown
        assert f"{desk.handoff.return_url}?state={desk.handoff.state}" in shown
        assert meaning(desk, "fetch_report", pending) is REQUIRES_ACTION
        assert meaning(desk, "fetch_report", done) is SUCCEEDED
        assert done.outcome == outcome

    async def test_a_repeat_finds_the_certification_that_was_begun(self, desk: Any) -> None:
        first, second = [await desk.run(desk.adapter.request_report(report(desk, "identity"), WIRE)) for _ in range(2)]

        assert second.references == first.references
        assert desk.client.count("identity") == 1

    async def test_a_person_who_stays_away_ends_it(self, desk: Any) -> None:
        begun = await desk.run(desk.adapter.request_report(report(desk, "identity"), WIRE))
        desk.client.clock.advance(timedelta(hours=24))
        known = desk.known("C" * 32, None, partner_references=begun.references)

        fact = await desk.run(desk.adapter.fetch_report(ReportInquiry(**known), WIRE))

        assert meaning(desk, "fetch_report", fact) is FAILED

    async def test_another_report_is_not_given(self, desk: Any) -> None:
        with pytest.raises(Invalid):
            await desk.run(desk.adapter.request_report(report(desk, "report"), WIRE))


def callback(form: Any) -> Callback:
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    return Callback("POST", "/callback", (), body, ARRIVED)


async def heard(desk: Any, listener: Any) -> list[Any]:
    """What the adapter reads from everything that came."""
    async with asyncio.timeout(20):
        await desk.client.simulator.notifier.settled()
        await desk.client.simulator.forger.settled()
    proven = []
    for told in listener.heard:
        one = callback(told)
        proven.append(replace(one, body=desk.adapter.scheme.verify_callback(one, desk.keys)))
    return [fact for one in proven for fact in desk.adapter.read(one)]


class TestCallbacks:
    @pytest.fixture(autouse=True)
    def _told(self, desk: Any, listener: Any) -> None:
        desk.handoff = Handoff("s", "n", "v", "https://gw.example/return", listener.url)

    async def test_a_payment_and_its_refunds_are_told(self, desk: Any, listener: Any) -> None:
        await desk.run(desk.adapter.create_payment(desk.payment(), WIRE))
        await desk.client.people("pay", out_trade_no="A" * 32)
        key = {"out_trade_no": "A" * 32, "out_request_no": "R1"}
        await desk.client.call("alipay.trade.refund", {**key, "refund_amount": "433.00"})

        facts = {fact.code: fact for fact in await heard(desk, listener)}

        paid, refunded = facts["10000/TRADE_SUCCESS"], facts["10000/TRADE_CLOSED/paid"]
        assert isinstance(paid, PaymentFact)
        assert (paid.partner_key, paid.amount) == ("A" * 32, Money.of("433.00", "CNY"))
        assert meaning(desk, "fetch_payment", paid) is SUCCEEDED
        assert refunded.refunded == Money.of("433.00", "CNY")
        assert meaning(desk, "fetch_payment", refunded) is SUCCEEDED

    async def test_a_bounce_is_told_by_message(self, desk: Any, listener: Any) -> None:
        await desk.client.people("message-gateway", url=listener.url)
        await send(desk)
        await desk.client.people("bounce", out_biz_no="T" * 32)

        facts = {fact.code: fact for fact in await heard(desk, listener)}

        bounced = facts["10000/REFUND"]
        assert isinstance(bounced, TransferFact)
        assert (bounced.partner_key, bounced.amount) == ("T" * 32, Money.of("1299.00", "CNY"))
        assert meaning(desk, "fetch_transfer", bounced) is RETURNED

    @pytest.mark.parametrize("signature", ["stranger", "none", "altered"])
    async def test_a_forgery_is_not_proven(self, desk: Any, listener: Any, signature: str) -> None:
        await desk.run(desk.adapter.create_payment(desk.payment(), WIRE))
        await desk.client.people("forge", out_trade_no="A" * 32, signature=signature)

        with pytest.raises(NotProven):
            await heard(desk, listener)

    async def test_what_is_about_another_merchant_is_refused(self, desk: Any, listener: Any) -> None:
        await desk.run(desk.adapter.create_payment(desk.payment(), WIRE))
        await desk.client.people("pay", out_trade_no="A" * 32)
        desk.adapter.settings = desk.adapter.settings.model_copy(update={"seller_id": "2088000000000009"})

        with pytest.raises(NotUnderstood, match="another merchant"):
            await heard(desk, listener)

    def test_messages_of_other_kinds_say_nothing(self, desk: Any) -> None:
        assert desk.adapter.read(callback({"msg_method": "alipay.open.auth.notify"})) == []

    @pytest.mark.parametrize("content", ["{", "[]", '{"trans_amount":"1e9"}'])
    def test_a_message_without_sense_is_not_understood(self, desk: Any, content: str) -> None:
        told = {"msg_method": "alipay.fund.trans.order.changed", "biz_content": content}

        with pytest.raises(NotUnderstood):
            desk.adapter.read(callback(told))

    def test_the_answer_is_exactly_what_the_wallet_waits_for(self, desk: Any) -> None:
        taken, again = [desk.adapter.acknowledge(callback({}), Merged(busy=busy)) for busy in (False, True)]

        assert (taken.status, taken.body) == (200, b"success")
        assert again.body == b"fail"


async def test_a_renewed_certificate_is_fetched_by_its_number(desk: Any) -> None:
    new = desk.client.simulator.renew_certificate()
    with pytest.raises(UnknownKey):
        await desk.run(desk.adapter.create_payment(desk.payment(), WIRE))

    fetched = await desk.run(desk.adapter.fetch_keys(new, WIRE))
    desk.keys.add_partner_key(new, fetched.keys[new])

    assert (await desk.run(desk.adapter.create_payment(desk.payment(), WIRE))).code == "10000"
    with pytest.raises(NotUnderstood):
        await desk.run(desk.adapter.fetch_keys("0" * 32, WIRE))


class TestSettings:
    def test_certificate_mode_needs_certificates_that_can_be_read(self, desk: Any) -> None:
        good = desk.adapter.settings.model_dump()

        for name in ("app_certificate", "root_certificates"):
            for value in (None, "no certificate"):
                with pytest.raises(ValidationError, match="certificate"):
                    AlipaySettings.model_validate(good | {name: value})

    @pytest.mark.parametrize(
        "changes", [{"gateway_url": "openapi.alipay.com"}, {"seller_id": "1"}, {"app_id": "x"}, {"mode": "both"}]
    )
    def test_what_cannot_be_right_is_refused(self, desk: Any, changes: dict[str, str]) -> None:
        with pytest.raises(ValidationError):
            AlipaySettings.model_validate(desk.adapter.settings.model_dump() | changes)

    def test_every_setting_is_described(self) -> None:
        assert all(field.description for field in AlipaySettings.model_fields.values())
