"""The adapter of the bench's partner, as a plugin: one payment, RSA-2048 over the body in both directions.

`targets` gives the gateway's process an entry point that names this module, so that `lendgate serve` finds it as it
finds every other plugin.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from gateway import (
    FAILED,
    SUCCEEDED,
    Adapter,
    ByKey,
    CreatePayment,
    Keys,
    Model,
    NotProven,
    PaymentFact,
    PaymentInitiation,
    Remembered,
    Reply,
    Request,
    Scheme,
    Settings,
    Stamp,
    Wire,
    hookimpl,
    hours,
    payment_terms,
)

SIGNATURE = "X-Signature"


class BenchSettings(Settings):
    """`url`: where the partner listens."""

    url: str


class RSABody(Scheme):
    """RS256 over the exact body, base64, in X-Signature."""

    name = "bench-rsa"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request.with_header(SIGNATURE, base64.b64encode(keys.sign(request.body, "RS256")).decode())

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        try:
            signature = base64.b64decode(reply.header(SIGNATURE) or "", validate=True)
        except binascii.Error:
            raise NotProven(f"{SIGNATURE} is not base64") from None
        keys.verify(reply.body, signature, "RS256")
        return reply.body


class Order(Model):
    """What the partner is asked."""

    order: str
    cents: int
    currency: str
    subject: str


class Answer(Model):
    """What it says."""

    code: str
    transaction: str
    note: str = ""


class Bench(Adapter[BenchSettings], CreatePayment):
    """The bench's partner."""

    name = "bench"
    title = "The bench's partner"
    version = "1"
    scheme = RSABody()

    def code(self, reply: Reply) -> str | None:
        return reply.parse(Answer).code

    @payment_terms(
        methods={"wallet_qr"},
        currencies={"CNY"},
        key=Remembered(hours(24)),
        inquiry=(ByKey(),),
        codes={"PAID": SUCCEEDED, "DECLINED": FAILED},
    )
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        order = Order(
            order=payment.partner_key,
            cents=payment.amount.minor(),
            currency=payment.amount.currency,
            subject=payment.description,
        )
        reply = await wire.act(Request.post(f"{self.settings.url}/payments", order))
        answer = reply.parse(Answer)
        return PaymentFact(code=answer.code, references={"transaction": answer.transaction})


@hookimpl
def adapters() -> Sequence[type[Bench]]:
    """The adapter of this module."""
    return [Bench]
