"""The wallet in certificate mode under the suite that every adapter is held to."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from gateway.testing.conformance import Body, House, Operation, Reading, Scenario, conformance
from lendgate_alipay.adapter import Alipay
from lendgate_alipay.simulator import AlipaySimulator

NUMBERS = itertools.count(1)
PERSON = {
    "name": "张三丰",
    "identifiers": [{"scheme": "national_id", "value": "11010119900101001X", "country": "CN"}],
}


def payment(method: Body, amount: str = "433.00") -> Body:
    return {"amount": {"amount": amount, "currency": "CNY"}, "method": method, "description": "分期"}


class PayerCode(Scenario):
    """The payer shows a code and is charged at once."""

    verb, effect = "create_payment", "payment"

    def body(self) -> Body:
        return payment({"type": "payer_code", "code": f"28{next(NUMBERS):013d}00"})


class ScannedCode(Scenario):
    """The payer scans our code, pays, and the wallet notifies."""

    verb, effect, calls_back = "create_payment", "payment", True

    def body(self) -> Body:
        return payment({"type": "wallet_qr"})

    async def people(self, house: House[Any], operation: Operation) -> None:
        await house.at_the_desk("pay", out_trade_no=operation.partner_key)

    async def misstate(self, house: House[Any], operation: Operation) -> bool:
        house.simulator.trades.trades[operation.partner_key].amount -= Decimal("0.01")
        await self.people(house, operation)
        return True


class Refund(Scenario):
    """Part of a payment goes back."""

    verb, effect = "create_refund", "refund"

    def body(self) -> Body:
        return {"amount": {"amount": "33.00", "currency": "CNY"}}

    async def before(self, house: House[Any]) -> Operation:
        return await house.start("create_payment", PayerCode().body())


class ClosedPayment(Scenario):
    """A scanned payment is closed before it is paid."""

    verb, effect = "cancel_payment", "closure"

    async def before(self, house: House[Any]) -> Operation:
        made = await house.start("create_payment", ScannedCode().body())
        await house.at_the_desk("scan", out_trade_no=made.partner_key)
        return made

    def happened(self, house: House[Any], operation: Operation) -> int | None:
        trade = house.followed[operation.parent or ""].partner_key
        count: int = house.simulator.ledger.count("closure")["closure", trade]
        return count


class CancelledPayment(Scenario):
    """A payment by the payer's code, which waits for a confirmation, is cancelled."""

    verb, effect = "cancel_payment", "closure"

    async def before(self, house: House[Any]) -> Operation:
        return await house.start("create_payment", payment({"type": "payer_code", "code": f"28{next(NUMBERS):013d}94"}))

    def happened(self, house: House[Any], operation: Operation) -> int | None:
        return ClosedPayment().happened(house, operation)


class CardTransfer(Scenario):
    """Money goes to a bank card and takes its time."""

    verb, effect = "create_transfer", "transfer"
    amounts = ("1.15", "4.35", "8.20", "19.99")  # a card takes no less than one yuan

    def body(self) -> Body:
        account = {"scheme": "bank_card", "identification": "6222000000000001", "agent": "招商银行"}
        return {
            "amount": {"amount": "1299.00", "currency": "CNY"},
            "creditor": {"name": "李四光", "account": account},
        }


class WalletTransfer(Scenario):
    """Money goes to another wallet, at once."""

    verb, effect = "create_transfer", "transfer"

    def body(self) -> Body:
        account = {"scheme": "wallet_user_id", "identification": "2088000000000002"}
        return {
            "amount": {"amount": "1299.00", "currency": "CNY"},
            "creditor": {"name": "李四光", "account": account},
        }


class ThresholdCheck(Scenario):
    """Does the score reach 600?"""

    verb, effect = "check_threshold", "report"

    def body(self) -> Body:
        return {
            "product": "threshold_check",
            "person": PERSON,
            "threshold": 600,
            "purpose": "credit_application",
            "permission": {"channel": "app"},
        }


class Certification(Scenario):
    """A person's face is recognised behind a link."""

    verb, effect = "request_report", "identity"

    def body(self) -> Body:
        return {
            "product": "identity",
            "person": PERSON,
            "purpose": "identity_check",
            "permission": {"channel": "app"},
        }

    async def people(self, house: House[Any], operation: Operation) -> None:
        biz_no = operation.partner_references["biz_no"]
        await house.at_the_desk("certification", biz_no=biz_no, passed=True)

    async def location(self, house: House[Any], operation: Operation) -> str | None:
        await self.people(house, operation)
        assert operation.handoff is not None
        state, biz_no = operation.handoff["state"], operation.partner_references["biz_no"]
        return f"{operation.handoff['return_url']}?state={state}&bizNo={biz_no}&passed=true"


class RenewedCertificate(Reading):
    """The wallet signs with a certificate that nobody holds yet."""

    verb = "fetch_keys"

    async def read(self, house: House[Any], before: Operation | None) -> Any:
        house.simulator.renew_certificate()
        return await house.start("create_transfer", WalletTransfer().body())


TestAlipay = conformance(
    Alipay,
    simulator=AlipaySimulator,
    scenarios=(
        PayerCode(),
        ScannedCode(),
        Refund(),
        ClosedPayment(),
        CancelledPayment(),
        WalletTransfer(),
        CardTransfer(),
        ThresholdCheck(),
        Certification(),
        RenewedCertificate(),
    ),
)
