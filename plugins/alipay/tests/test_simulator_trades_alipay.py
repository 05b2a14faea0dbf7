"""The simulated trades: codes that are scanned, codes that are shown, and refunds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest


class TestQRPayment:
    async def test_before_the_scan_there_is_no_trade(self, client: Any) -> None:
        created = await client.precreate()

        assert created["qr_code"].startswith("https://qr.alipay.com/")
        assert (await client.query("P1"))["sub_code"] == "ACQ.TRADE_NOT_EXIST"
        closed = await client.call("alipay.trade.close", {"out_trade_no": "P1"})
        assert closed["sub_code"] == "ACQ.TRADE_NOT_EXIST"

    async def test_scan_and_pay_move_money_once(self, client: Any) -> None:
        created = await client.precreate()
        await client.people("scan", qr_code=created["qr_code"])
        waiting = await client.query("P1")
        paid = await client.people("pay", qr_code=created["qr_code"])
        again = await client.people("pay", qr_code=created["qr_code"])

        found = await client.query("P1")
        assert waiting["trade_status"] == "WAIT_BUYER_PAY"
        assert (found["trade_status"], found["total_amount"]) == ("TRADE_SUCCESS", "433.00")
        assert found["send_pay_date"] == "2026-01-01 09:30:00"
        assert (paid, again) == (200, 422)
        assert client.simulator.ledger.total("payment", "CNY") == Decimal("433.00")

    async def test_the_same_words_get_the_same_code_and_other_words_are_refused(self, client: Any) -> None:
        first = await client.precreate()

        assert (await client.precreate())["qr_code"] == first["qr_code"]
        assert (await client.precreate(total_amount="433.01"))["sub_code"] == "ACQ.CONTEXT_INCONSISTENT"

    async def test_asking_too_often_is_refused(self, client: Any) -> None:
        codes = [(await client.precreate()).get("sub_code") for _ in range(21)]

        assert codes == [None] * 20 + ["ACQ.APPLY_PC_MERCHANT_CODE_ERROR"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"total_amount": "43300"},  # fen
            {"total_amount": "433.0"},
            {"total_amount": 433.00},
            {"total_amount": "0.00"},
            {"subject": "分期 1/3"},
            {"subject": "a&b"},
            {"subject": None},
            {"out_trade_no": "P-1"},
            {"out_trade_no": "P" * 65},
            {"timeout_express": "16d"},
            {"timeout_express": "1.5h"},
            {"product_code": "FAST_INSTANT_TRADE_PAY"},
            {"buyer": "unknown member"},
        ],
    )
    async def test_a_field_that_breaks_the_rules_is_refused(self, client: Any, changes: dict[str, Any]) -> None:
        assert (await client.precreate(**changes))["sub_code"] == "ACQ.INVALID_PARAMETER"

    async def test_an_expired_code_cannot_be_paid_and_a_scanned_trade_closes(self, client: Any) -> None:
        await client.precreate("P1", timeout_express="90m")
        await client.precreate("P2", timeout_express="90m")
        await client.people("scan", out_trade_no="P2")
        client.clock.advance(timedelta(minutes=90))

        assert await client.people("pay", out_trade_no="P1") == 422
        closed = await client.query("P2")
        assert closed["trade_status"] == "TRADE_CLOSED"
        assert "send_pay_date" not in closed

    async def test_a_code_lives_two_hours_at_most(self, client: Any) -> None:
        await client.precreate(timeout_express="1d")
        client.clock.advance(timedelta(hours=2))

        assert await client.people("pay", out_trade_no="P1") == 422

    async def test_an_end_in_the_past_is_refused(self, client: Any) -> None:
        refused = await client.precreate(time_expire="2026-01-01 09:29:59")

        assert refused["sub_code"] == "ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR"

    async def test_a_scanned_trade_closes_once(self, client: Any) -> None:
        await client.precreate()
        await client.people("scan", out_trade_no="P1")

        first = await client.call("alipay.trade.close", {"out_trade_no": "P1"})
        second = await client.call("alipay.trade.close", {"out_trade_no": "P1"})

        assert first["code"] == "10000"
        assert second["sub_code"] == "ACQ.REASON_TRADE_STATUS_INVALID"
        assert await client.people("pay", out_trade_no="P1") == 422

    async def test_magic_subjects_refuse_or_leave_it_unknown(self, client: Any) -> None:
        refused = await client.precreate("P1", subject="SIM_TOTAL_FEE_EXCEED")
        unknown = await client.precreate("P2", subject="SIM_UNKNOWN")

        assert refused["sub_code"] == "ACQ.TOTAL_FEE_EXCEED"
        assert (unknown["code"], unknown["sub_code"]) == ("20000", "isp.unknow-error")
        assert list(client.simulator.trades.trades) == ["P2"]


class TestPayerCode:
    async def test_a_code_pays_at_once_and_once(self, client: Any) -> None:
        first = await client.show("280000000000000000")
        second = await client.show("280000000000000000")
        other = await client.show("280000000000000000", "C2")

        assert (first["code"], first["total_amount"]) == ("10000", "88.00")
        assert second["sub_code"] == "ACQ.TRADE_HAS_SUCCESS"
        assert other["sub_code"] == "ACQ.PAYMENT_AUTH_CODE_INVALID"
        assert client.simulator.ledger.count("payment") == {("payment", "C1"): 1}

    async def test_a_payer_who_confirms_is_waited_for(self, client: Any) -> None:
        first = await client.show("280000000000000091")
        repeated = await client.show("280000000000000091")
        waiting = await client.query("C1")
        client.clock.advance(timedelta(seconds=5))

        assert (first["code"], repeated["code"]) == ("10003", "10003")
        assert waiting["trade_status"] == "WAIT_BUYER_PAY"
        assert (await client.query("C1"))["trade_status"] == "TRADE_SUCCESS"

    async def test_much_money_needs_a_password(self, client: Any) -> None:
        asked = await client.show("280000000000000000", amount="1000.01")
        await client.people("pay", out_trade_no="C1")

        assert asked["code"] == "10003"
        assert (await client.query("C1"))["trade_status"] == "TRADE_SUCCESS"

    @pytest.mark.parametrize(
        ("code", "sub_code"),
        [
            ("280000000000000092", "ACQ.BUYER_BALANCE_NOT_ENOUGH"),
            ("280000000000000093", "ACQ.PAYMENT_AUTH_CODE_INVALID"),
            ("990000000000000000", "ACQ.PAYMENT_AUTH_CODE_INVALID"),
            ("2800", "ACQ.PAYMENT_AUTH_CODE_INVALID"),
        ],
    )
    async def test_a_code_that_does_not_pay_leaves_no_trade(self, client: Any, code: str, sub_code: str) -> None:
        assert (await client.show(code))["sub_code"] == sub_code
        assert (await client.query("C1"))["sub_code"] == "ACQ.TRADE_NOT_EXIST"

    async def test_20000_after_it_was_paid(self, client: Any) -> None:
        answer = await client.show("280000000000000000", subject="SIM_UNKNOWN")

        assert answer["code"] == "20000"
        assert client.count("payment") == 1

    async def test_cancel_closes_what_is_unpaid_and_may_be_repeated(self, client: Any) -> None:
        await client.show("280000000000000094")

        first = await client.call("alipay.trade.cancel", {"out_trade_no": "C1"})
        second = await client.call("alipay.trade.cancel", {"out_trade_no": "C1"})

        assert (first["retry_flag"], first["action"]) == ("N", "close")
        assert (second["retry_flag"], second.get("action")) == ("N", None)
        assert (await client.query("C1"))["trade_status"] == "TRADE_CLOSED"

    async def test_cancel_refunds_what_was_paid(self, client: Any) -> None:
        await client.show("280000000000000000")

        answer = await client.call("alipay.trade.cancel", {"out_trade_no": "C1"})

        assert answer["action"] == "refund"
        assert client.simulator.ledger.total("refund", "CNY") == Decimal("88.00")


class TestRefund:
    async def test_refunds_add_up_and_never_exceed_the_payment(self, client: Any) -> None:
        await client.paid()

        answers = [
            await client.refund(amount, number)
            for amount, number in [("133.00", "R1"), ("133.00", "R1"), ("200.00", "R2"), ("100.01", "R3")]
        ]

        assert [answer.get("fund_change") for answer in answers] == ["Y", "N", "Y", None]
        assert [answer.get("refund_fee") for answer in answers] == ["133.00", "133.00", "333.00", None]
        assert answers[3]["sub_code"] == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
        assert client.simulator.ledger.total("refund", "CNY") == Decimal("333.00")

    async def test_a_full_refund_closes_the_trade_that_was_paid(self, client: Any) -> None:
        await client.paid()
        await client.refund("433.00", None)

        found = await client.query("P1")
        assert found["trade_status"] == "TRADE_CLOSED"
        assert found["send_pay_date"]
        assert (await client.refund("0.01"))["sub_code"] == "ACQ.TRADE_HAS_CLOSE"
        assert (await client.query_refund("P1"))["refund_status"] == "REFUND_SUCCESS"

    async def test_the_same_number_with_another_amount_is_refused(self, client: Any) -> None:
        await client.paid()
        await client.refund("1.00")

        assert (await client.refund("2.00"))["sub_code"] == "ACQ.DISCORDANT_REPEAT_REQUEST"

    async def test_a_part_needs_a_number(self, client: Any) -> None:
        await client.paid()

        assert (await client.refund("1.00", None))["sub_code"] == "ACQ.INVALID_PARAMETER"

    async def test_what_is_unpaid_cannot_be_refunded(self, client: Any) -> None:
        await client.precreate()
        unscanned = await client.refund("1.00")
        await client.people("scan", out_trade_no="P1")

        assert unscanned["sub_code"] == "ACQ.TRADE_NOT_EXIST"
        assert (await client.refund("1.00"))["sub_code"] == "ACQ.TRADE_STATUS_ERROR"

    async def test_after_a_year_nothing_is_refunded(self, client: Any) -> None:
        await client.paid()
        client.clock.advance(timedelta(days=365))

        assert (await client.query("P1"))["trade_status"] == "TRADE_FINISHED"
        assert (await client.refund("1.00"))["sub_code"] == "ACQ.TRADE_HAS_FINISHED"

    async def test_the_query_is_silent_about_what_it_does_not_know(self, client: Any) -> None:
        await client.paid()

        answer = await client.query_refund()

        assert answer == {"code": "10000", "msg": "Success"}

    async def test_a_late_refund_shows_after_ten_seconds(self, client: Any) -> None:
        await client.paid()
        answer = await client.refund("1.00", refund_reason="SIM_LATE")
        early = await client.query_refund()
        client.clock.advance(timedelta(seconds=10))

        assert answer["fund_change"] == "N"
        assert "refund_status" not in early
        assert (await client.query_refund())["refund_amount"] == "1.00"
        assert client.count("refund") == 1
