"""The simulated transfers and the Zhima desk."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

PAYEE = {"identity": "2088000000000002", "identity_type": "ALIPAY_USER_ID"}
CARD = {
    "identity": "6222000000000001",
    "identity_type": "BANKCARD_NO",
    "name": "李四",
    "bankcard_ext_info": {"inst_name": "招商银行", "account_type": "2"},
}


class TestTransfer:
    async def test_a_wallet_gets_it_at_once_and_once(self, client: Any) -> None:
        first = await client.transfer()
        second = await client.transfer()

        assert first["status"] == "SUCCESS"
        assert second["order_id"] == first["order_id"]
        assert client.simulator.ledger.count("transfer") == {("transfer", "T1"): 1}
        assert client.simulator.transfers.balance == Decimal("9998701.00")

    async def test_the_same_number_with_other_words_is_refused(self, client: Any) -> None:
        await client.transfer()

        assert (await client.transfer(trans_amount="1.00"))["sub_code"] == "PAYMENT_INFO_INCONSISTENCY"

    async def test_public_key_mode_may_not_transfer(self, public_client: Any) -> None:
        assert (await public_client.transfer())["code"] == "40006"
        assert public_client.count("transfer") == 0

    @pytest.mark.parametrize(
        ("changes", "sub_code"),
        [
            ({"trans_amount": "0.09"}, "INVALID_PARAMETER"),
            ({"trans_amount": "129900"}, "INVALID_PARAMETER"),
            ({"trans_amount": "50000.00"}, "MEMO_REQUIRED_IN_TRANSFER_ERROR"),
            ({"trans_amount": "10000000.01", "remark": "放款"}, "PAYER_BALANCE_NOT_ENOUGH"),
            ({"remark": "SIM_EXCEED_LIMIT_DM_AMOUNT"}, "EXCEED_LIMIT_DM_AMOUNT"),
            ({"transfer_scene_name": "发工资"}, "TRANSFER_SCENE_NAME_ILLEGAL"),
            ({"payee": {**PAYEE, "identity": "2088000000000404"}}, "PAYEE_NOT_EXIST"),
            ({"payee": {**PAYEE, "identity_type": "ALIPAY_LOGON_ID"}}, "PAYEE_ACCOUNT_NOT_EXSIT"),
            ({"payee": {"identity": "a@b.cn", "identity_type": "ALIPAY_LOGON_ID"}}, "INVALID_PARAMETER"),
            ({"payee": {**CARD, "identity": "62220000"}}, "INVALID_CARDNO"),
        ],
    )
    async def test_a_wrong_transfer_is_refused(self, client: Any, changes: dict[str, Any], sub_code: str) -> None:
        assert (await client.transfer(**changes))["sub_code"] == sub_code
        assert client.count("transfer") == 0
        assert (await client.find())["sub_code"] == "ORDER_NOT_EXIST"

    @pytest.mark.parametrize(("card", "ends"), [("6222000000000001", "SUCCESS"), ("6222000000000002", "FAIL")])
    async def test_a_card_takes_its_time(self, client: Any, card: str, ends: str) -> None:
        asked = await client.transfer(payee={**CARD, "identity": card})
        client.clock.advance(timedelta(seconds=10))

        found = await client.find(product="TRANS_BANKCARD_NO_PWD")
        assert asked["status"] == "DEALING"
        assert found["status"] == ends
        assert ("error_code" in found) is (ends == "FAIL")
        assert client.count("transfer") == (ends == "SUCCESS")

    async def test_the_query_needs_the_right_product(self, client: Any) -> None:
        await client.transfer()

        assert (await client.find())["status"] == "SUCCESS"
        assert (await client.find(product="TRANS_BANKCARD_NO_PWD"))["sub_code"] == "ORDER_NOT_EXIST"

    async def test_money_comes_back_after_it_arrived(self, client: Any) -> None:
        await client.transfer(payee={**CARD, "identity": "6222000000000003"})
        states = []
        for seconds in (0, 10, 50):
            client.clock.advance(timedelta(seconds=seconds))
            states.append((await client.find(product="TRANS_BANKCARD_NO_PWD"))["status"])

        assert states == ["DEALING", "SUCCESS", "REFUND"]
        assert client.simulator.transfers.balance == Decimal("10000000.00")
        assert client.count("transfer_return") == 1

    async def test_a_bank_decides_and_bounces_on_demand(self, client: Any) -> None:
        await client.transfer(payee={**CARD, "identity": "6222000000000004"})
        client.clock.advance(timedelta(days=3))
        waiting = await client.find(product="TRANS_BANKCARD_NO_PWD")

        answers = [
            await client.people("bounce", out_biz_no="T1"),
            await client.people("settle", out_biz_no="T1", arrives=True),
            await client.people("bounce", out_biz_no="T1"),
        ]

        assert waiting["status"] == "DEALING"
        assert answers == [422, 200, 200]
        assert (await client.find(product="TRANS_BANKCARD_NO_PWD"))["status"] == "REFUND"

    async def test_20000_after_it_was_sent(self, client: Any) -> None:
        assert (await client.transfer(remark="SIM_UNKNOWN"))["code"] == "20000"
        assert (await client.find())["status"] == "SUCCESS"


class TestZhima:
    @pytest.mark.parametrize(
        ("number", "admitted"),
        [
            ("11010119900101001X", "Y"),
            ("110101199001010015", "Y"),
            ("110101199001010011", "N"),
            ("110101199001010012", "N/A"),
            ("110101199001010013", "N"),
        ],
    )
    async def test_a_threshold_is_answered_and_the_score_is_not(self, client: Any, number: str, admitted: str) -> None:
        answer = await client.brief(number)

        assert answer["is_admittance"] == admitted
        assert set(answer) == {"code", "msg", "biz_no", "is_admittance"}

    async def test_one_id_is_charged_once_for_a_day(self, client: Any) -> None:
        number = "110101199001010019"
        first = await client.brief(number)
        client.simulator.zhima.scores[number] = 400
        again = await client.brief(number)
        other = await client.brief(number, admittance_score=700)
        client.clock.advance(timedelta(days=1))
        late = await client.brief(number)

        assert again == first
        assert other["sub_code"] == "ZMCREDIT.transaction_id_repeat"
        assert late["sub_code"] == "ZMCREDIT.transaction_id_expired"
        assert client.count("report") == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {"admittance_score": 349},
            {"admittance_score": "600"},
            {"name": None},
            {"cert_type": "DRIVING_LICENCE"},
            {"cert_no": "1101011990010100"},
            {"transaction_id": "Z-1"},
        ],
    )
    async def test_a_wrong_field_is_refused_and_not_charged(self, client: Any, changes: dict[str, Any]) -> None:
        answer = await client.brief("110101199001010019", **changes)

        assert answer["sub_code"] == "INVALID_PARAMETER"
        assert client.count("report") == 0

    async def test_a_person_is_certified_through_a_signed_link(self, client: Any) -> None:
        begun = await client.initialize()
        again = await client.initialize()
        pending = await client.call("zhima.customer.certification.query", {"biz_no": begun["biz_no"]})
        given = client.public(
            "zhima.customer.certification.certify", {"biz_no": begun["biz_no"]}, return_url="https://shop.example/back"
        )
        url = f"{client.running.url}/gateway.do?{urlencode(client.signed(given))}"
        async with client.session.get(url) as page:
            shown = await page.text()
        form = {"biz_no": begun["biz_no"], "passed": "true", "return_url": "https://shop.example/back?state=1"}
        desk = f"{client.running.url}/_sandbox/certification"
        async with client.session.post(desk, data=form, allow_redirects=False) as reply:
            location = reply.headers["Location"]

        found = await client.call("zhima.customer.certification.query", {"biz_no": begun["biz_no"]})
        assert again == begun
        assert "passed" not in pending
        assert begun["biz_no"] in shown
        assert location == f"https://shop.example/back?state=1&bizNo={begun['biz_no']}&passed=true"
        assert found["passed"] == "true"
        assert client.count("identity") == 1

    async def test_a_link_with_another_number_shows_an_error_in_gbk(self, client: Any) -> None:
        begun = await client.initialize()
        given = client.signed(client.public("zhima.customer.certification.certify", {"biz_no": begun["biz_no"]}))
        given["biz_content"] = '{"biz_no":"ZM1"}'

        async with client.session.get(f"{client.running.url}/gateway.do?{urlencode(given)}") as page:
            shown = (await page.read()).decode("gbk")

        assert "isv.invalid-signature" in shown

    async def test_a_person_who_fails_or_stays_away(self, client: Any) -> None:
        failed, away = await client.initialize("I1"), await client.initialize("I2")
        assert await client.people("certification", biz_no=failed["biz_no"], passed=False) == 200
        client.clock.advance(timedelta(hours=24))

        answers = [
            await client.call("zhima.customer.certification.query", {"biz_no": begun["biz_no"]})
            for begun in (failed, away)
        ]

        assert (answers[0]["passed"], answers[0]["failed_reason"]) == ("false", "人脸比对不通过")
        assert answers[1]["sub_code"] == "ZMCREDIT.transaction_close"

    async def test_other_words_under_the_same_id_are_refused(self, client: Any) -> None:
        await client.initialize()

        assert (await client.initialize(cert_name="李四"))["sub_code"] == "ZMCREDIT.transaction_id_repeat"
