"""What the conformance suite must know about Riverbank."""

from __future__ import annotations

from typing import Any

from gateway.testing.conformance import Body, House, Operation, Scenario

PAYMENT: Body = {
    "amount": {"amount": "100.00", "currency": "CNY"},
    "method": {"type": "wallet_qr"},
    "description": "a coat",
}
CREDITOR = {"name": "A Seller of Coats", "account": {"scheme": "bank_card", "identification": "6222000000000000"}}


class Payment(Scenario):
    verb, effect = "create_payment", "payment"

    def body(self) -> Body:
        return dict(PAYMENT)


class ScannedPayment(Scenario):
    """The bank shows a code, the payer scans it, and the bank calls back."""

    verb, effect, calls_back, loses_answers = "create_payment", "payment", True, False
    amounts = ("0.19", "19.19", "1.19")

    def body(self) -> Body:
        return {**PAYMENT, "amount": {"amount": "100.19", "currency": "CNY"}}

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        house.simulator.callback_url = house.callback_url
        return await super().act(house, before, body)

    async def people(self, house: House[Any], operation: Operation) -> None:
        await house.at_the_desk("pay", reference=operation.partner_key)

    async def misstate(self, house: House[Any], operation: Operation) -> bool:
        house.simulator.orders["payment", operation.partner_key]["cents"] -= 1
        await self.people(house, operation)
        return True


class Refund(Scenario):
    verb, effect = "create_refund", "refund"

    def body(self) -> Body:
        return {"amount": {"amount": "2.00", "currency": "CNY"}}

    async def before(self, house: House[Any]) -> Operation:
        return await house.start("create_payment", PAYMENT)


class Transfer(Scenario):
    verb, effect = "create_transfer", "transfer"

    def body(self) -> Body:
        return {"amount": {"amount": "100.00", "currency": "CNY"}, "creditor": CREDITOR}


SCENARIOS = (Payment(), ScannedPayment(), Refund(), Transfer())
