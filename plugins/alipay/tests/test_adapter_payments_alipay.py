"""The adapter's payments, cancellations and refunds, stepped by hand against the simulated gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway import (
    CANCELLED,
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    PROCESSING,
    REQUIRES_ACTION,
    SEEN,
    SUCCEEDED,
    UNKNOWN,
    Cancellation,
    Invalid,
    Known,
    Money,
    NotProven,
    PaymentInquiry,
    RefundInitiation,
    RefundInquiry,
    Wire,
)
from gateway.crypto.keys import KeyRing

WIRE = Wire()
PAY, SEE = "create_payment", "fetch_payment"


def meaning(desk: Any, verb: str, fact: Any, method: str = "wallet_qr") -> Any:
    return desk.adapter.terms[verb].for_method(method).meaning(fact.code)


async def pay(desk: Any, key: str = "A" * 32, **changes: Any) -> Any:
    return await desk.run(desk.adapter.create_payment(desk.payment(key, **changes), WIRE))


async def see(desk: Any, key: str = "A" * 32) -> Any:
    return await desk.run(desk.adapter.fetch_payment(PaymentInquiry(**desk.known(key)), WIRE))


async def refund(desk: Any, key: str = "R" * 32, amount: str = "33.00", reason: str | None = None) -> Any:
    told = {"amount": Money.of(amount, "CNY"), "parent": Known(**desk.known()), "reason": reason}
    return await desk.run(desk.adapter.create_refund(RefundInitiation(**desk.fill(key, **told)), WIRE))


async def see_refund(desk: Any, key: str = "R" * 32) -> Any:
    inquiry = RefundInquiry(**desk.known(key), parent=Known(**desk.known()))
    return await desk.run(desk.adapter.fetch_refund(inquiry, WIRE))


async def cancel(desk: Any, method: str = "wallet_qr") -> Any:
    told = desk.fill("X" * 32, parent=Known(**desk.known(method=method)))
    return await desk.run(desk.adapter.cancel_payment(Cancellation(**told), WIRE))


class TestQR:
    async def test_a_code_is_shown_scanned_and_paid(self, desk: Any) -> None:
        shown = await pay(desk)
        unscanned = await see(desk)
        await desk.client.people("scan", qr_code=shown.next_action.qr_code)
        waiting = await see(desk)
        await desk.client.people("pay", qr_code=shown.next_action.qr_code)
        paid = await see(desk)

        said = [meaning(desk, SEE, fact) for fact in (unscanned, waiting, paid)]
        assert meaning(desk, PAY, shown) is REQUIRES_ACTION
        assert (shown.next_action.kind, shown.next_action.life) == ("qr_code", timedelta(minutes=90))
        assert shown.partner_key == "A" * 32
        assert said == [NOT_FOUND, REQUIRES_ACTION, SUCCEEDED]
        assert (paid.amount, paid.partner_key) == (Money.of("433.00", "CNY"), "A" * 32)
        assert paid.references["trade_no"]
        assert paid.at == datetime(2026, 1, 1, 1, 30, tzinfo=UTC)

    async def test_public_key_mode_does_the_same(self, public_desk: Any) -> None:
        assert meaning(public_desk, PAY, await pay(public_desk)) is REQUIRES_ACTION

    async def test_a_repeat_is_the_same_bytes_and_the_same_code(self, desk: Any) -> None:
        first, second = await pay(desk), await pay(desk)

        assert first == second
        assert desk.asked[0].request == desk.asked[1].request

    async def test_an_end_is_told_in_beijing_time(self, desk: Any) -> None:
        shown = await pay(desk, expires_at=datetime(2026, 1, 1, 2, 0, tzinfo=UTC))
        await desk.client.people("scan", out_trade_no="A" * 32)
        desk.client.clock.advance(timedelta(minutes=30))

        closed = await see(desk)
        assert shown.next_action.life == timedelta(minutes=30)
        assert meaning(desk, SEE, closed) is CANCELLED

    async def test_an_end_that_is_far_away_leaves_the_code_its_two_hours(self, desk: Any) -> None:
        shown = await pay(desk, expires_at=datetime(2026, 1, 3, tzinfo=UTC))

        assert shown.next_action.life == timedelta(hours=2)

    async def test_options_name_the_shop(self, desk: Any) -> None:
        await pay(desk, options={"store_id": "S1", "operator_id": None})

        assert b"store_id%22%3A%22S1" in desk.asked[0].request.body
        assert b"operator_id" not in desk.asked[0].request.body

    @pytest.mark.parametrize(
        ("description", "expected"),
        [
            ("SIM_TOTAL_FEE_EXCEED", FAILED),
            ("SIM_UNKNOWN", UNKNOWN),
            ("SIM_SYSTEM_ERROR", UNKNOWN),
            ("SIM_TRADE_HAS_SUCCESS", SEEN),
            ("SIM_CONTEXT_INCONSISTENT", SEEN),
        ],
    )
    async def test_refusals_and_doubt_are_told_apart(self, desk: Any, description: str, expected: Any) -> None:
        assert meaning(desk, PAY, await pay(desk, description=description)) is expected

    async def test_a_code_that_nobody_listed_says_nothing(self, desk: Any) -> None:
        fact = await pay(desk, description="SIM_BRAND_NEW_CODE")

        assert fact.code == "ACQ.BRAND_NEW_CODE"
        assert meaning(desk, PAY, fact).value == "undeclared"

    async def test_a_number_with_another_amount_is_looked_up_not_failed(self, desk: Any) -> None:
        await pay(desk)

        assert meaning(desk, PAY, await pay(desk, amount=Money.of("1.00", "CNY"))) is SEEN

    async def test_an_unsigned_refusal_proves_nothing(self, desk: Any) -> None:
        await desk.client.people("replies", unsigned_errors=True)

        with pytest.raises(NotProven):
            await pay(desk, description="SIM_TOTAL_FEE_EXCEED")

    async def test_a_refusal_at_the_gate_was_not_processed_and_its_message_quotes_nothing(self, desk: Any) -> None:
        stranger = (desk.client.simulator.directory / "alipay.key").read_text()
        desk.keys = KeyRing.load("test", private_key=stranger, partner_keys=desk.partner_keys())

        fact = await pay(desk)

        assert fact.code == "isv.invalid-signature"
        assert meaning(desk, PAY, fact) is NOT_PROCESSED
        assert fact.message == "Invalid Arguments"

    async def test_what_cannot_be_captured_later_is_refused(self, desk: Any) -> None:
        with pytest.raises(Invalid) as refused:
            await pay(desk, capture="manual")

        assert refused.value.fields[0].path == "capture"
        assert desk.asked == []


class TestPayerCode:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("280000000000000000", SUCCEEDED),
            ("280000000000000091", PROCESSING),
            ("280000000000000092", FAILED),
            ("280000000000000093", NOT_PROCESSED),
        ],
    )
    async def test_what_a_shown_code_does(self, desk: Any, code: str, expected: Any) -> None:
        fact = await pay(desk, code=code)

        assert meaning(desk, PAY, fact, "payer_code") is expected
        assert fact.next_action is None

    async def test_a_payer_who_confirms_is_followed_to_the_end(self, desk: Any) -> None:
        await pay(desk, code="280000000000000091")
        waiting = await see(desk)
        desk.client.clock.advance(timedelta(seconds=5))

        assert meaning(desk, SEE, waiting, "payer_code") is PROCESSING
        assert meaning(desk, SEE, await see(desk), "payer_code") is SUCCEEDED

    async def test_a_payer_who_never_confirms_is_let_go_by_the_wallet(self, desk: Any) -> None:
        await pay(desk, code="280000000000000094")
        desk.client.clock.advance(timedelta(minutes=5))

        assert meaning(desk, SEE, await see(desk), "payer_code") is CANCELLED

    async def test_a_repeat_of_what_was_paid_is_looked_up(self, desk: Any) -> None:
        await pay(desk, code="280000000000000000")

        again = await pay(desk, code="280000000000000000")
        assert meaning(desk, PAY, again, "payer_code") is SEEN
        assert desk.client.count("payment") == 1

    async def test_without_a_code_nothing_is_asked(self, desk: Any) -> None:
        with pytest.raises(Invalid):
            await pay(desk, method={"type": "payer_code"})


class TestCancellation:
    async def test_an_unscanned_code_cannot_be_closed(self, desk: Any) -> None:
        await pay(desk)

        fact = await cancel(desk)
        assert meaning(desk, "cancel_payment", fact) is FAILED
        assert [asked.effect for asked in desk.asked] == [True, False]

    async def test_a_scanned_trade_is_closed_and_stays_so_when_asked_again(self, desk: Any) -> None:
        await pay(desk)
        await desk.client.people("scan", out_trade_no="A" * 32)

        first, second = await cancel(desk), await cancel(desk)

        assert [meaning(desk, "cancel_payment", fact) for fact in (first, second)] == [SUCCEEDED, SUCCEEDED]
        assert desk.client.count("closure") == 1
        assert meaning(desk, SEE, await see(desk)) is CANCELLED

    async def test_what_was_paid_is_not_closed(self, desk: Any) -> None:
        await pay(desk)
        await desk.client.people("pay", out_trade_no="A" * 32)

        assert meaning(desk, "cancel_payment", await cancel(desk)) is FAILED

    async def test_a_payment_by_shown_code_is_cancelled_and_may_be_repeated(self, desk: Any) -> None:
        await pay(desk, code="280000000000000094")

        facts = [await cancel(desk, "payer_code"), await cancel(desk, "payer_code")]

        assert [meaning(desk, "cancel_payment", fact, "payer_code") for fact in facts] == [SUCCEEDED, SUCCEEDED]
        assert desk.client.count("closure") == 1


class TestRefund:
    async def paid(self, desk: Any) -> None:
        await pay(desk)
        await desk.client.people("pay", out_trade_no="A" * 32)

    async def test_a_refund_and_what_the_query_says_of_it(self, desk: Any) -> None:
        await self.paid(desk)

        made, found = await refund(desk), await see_refund(desk)

        assert meaning(desk, "create_refund", made) is SUCCEEDED
        assert made.amount is None  # the reply states a sum of all refunds, not this one's amount
        assert meaning(desk, "fetch_refund", found) is SUCCEEDED
        assert (found.amount, found.partner_key) == (Money.of("33.00", "CNY"), "R" * 32)

    async def test_a_repeat_refunds_once_and_says_that_it_was_done(self, desk: Any) -> None:
        await self.paid(desk)
        await refund(desk)

        again = await refund(desk)

        assert again.code == "10000/REFUND_SUCCESS"
        assert meaning(desk, "create_refund", again) is SUCCEEDED
        assert desk.client.simulator.ledger.total("refund", "CNY") == Decimal("33.00")

    async def test_a_repeat_with_another_amount_is_looked_up(self, desk: Any) -> None:
        await self.paid(desk)
        await refund(desk)

        assert meaning(desk, "create_refund", await refund(desk, amount="34.00")) is SEEN

    async def test_silence_about_a_refund_is_not_failure(self, desk: Any) -> None:
        await self.paid(desk)
        made = await refund(desk, reason="SIM_LATE")
        early = await see_refund(desk)
        desk.client.clock.advance(timedelta(seconds=10))

        assert meaning(desk, "create_refund", made) is SEEN
        assert meaning(desk, "fetch_refund", early) is NOT_FOUND
        assert meaning(desk, "fetch_refund", await see_refund(desk)) is SUCCEEDED

    async def test_a_trade_that_was_refunded_in_full_is_still_one_that_was_paid(self, desk: Any) -> None:
        await self.paid(desk)
        await refund(desk, amount="433.00")

        found = await see(desk)
        assert found.code == "10000/TRADE_CLOSED/paid"
        assert meaning(desk, SEE, found) is SUCCEEDED

    @pytest.mark.parametrize(
        ("amount", "reason", "expected"),
        [
            ("433.01", None, FAILED),
            ("1.00", "SIM_SELLER_BALANCE_NOT_ENOUGH", FAILED),
            ("1.00", "SIM_SYSTEM_ERROR", UNKNOWN),
            ("1.00", "SIM_UNKNOWN", UNKNOWN),
        ],
    )
    async def test_refusals_and_doubt(self, desk: Any, amount: str, reason: str | None, expected: Any) -> None:
        await self.paid(desk)

        assert meaning(desk, "create_refund", await refund(desk, amount=amount, reason=reason)) is expected
