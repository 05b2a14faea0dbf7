"""A fictional bank and its adapter: the smallest whole example, used wherever a test needs some partner.

Riverbank Pay, specification 2026-03: JSON over HTTP, HMAC-SHA256 over the body in `X-Signature` both ways.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Literal

from gateway import (
    FAILED,
    NOT_FOUND,
    PROCESSING,
    REQUIRES_ACTION,
    RETURNED,
    SEEN,
    SUCCEEDED,
    Acknowledgement,
    Adapter,
    ByKey,
    Callback,
    CreatePayment,
    CreateRefund,
    CreateTransfer,
    Fact,
    FetchPayment,
    FetchRefund,
    FetchTransfer,
    Keys,
    Merged,
    Model,
    Money,
    NextAction,
    NotProven,
    PaymentFact,
    PaymentInitiation,
    PaymentInquiry,
    ReadCallbacks,
    RefundFact,
    RefundInitiation,
    RefundInquiry,
    Remembered,
    Reply,
    Request,
    Scheme,
    Settings,
    Stamp,
    TransferFact,
    TransferInitiation,
    TransferInquiry,
    Wire,
    hours,
    minutes,
    payment_terms,
    refund_terms,
    transfer_terms,
)


class RiverbankSettings(Settings):
    url: str


class BodyHMAC(Scheme):
    """HMAC-SHA256 over the exact body, hexadecimal, in X-Signature."""

    name = "riverbank-hmac"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request.with_header("X-Signature", keys.mac(request.body, "HS256", "shared").hex())

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        return self._verify(reply.header("X-Signature"), reply.body, keys)

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        return self._verify(callback.header("X-Signature"), callback.body, keys)

    def _verify(self, signature: str | None, body: bytes, keys: Keys) -> bytes:
        try:
            tag = bytes.fromhex(signature or "")
        except ValueError:
            raise NotProven("X-Signature is not hexadecimal") from None
        keys.verify_mac(body, tag, "HS256", "shared")
        return body


class Order(Model):
    reference: str
    cents: int
    currency: str
    of: str | None = None


class Answer(Model):
    code: str
    kind: Literal["payment", "refund", "transfer"] = "payment"
    reference: str | None = None
    cents: int | None = None
    currency: str = "CNY"
    id: str | None = None
    qr: str | None = None

    @property
    def money(self) -> Money | None:
        return None if self.cents is None else Money.from_minor(self.cents, self.currency)


CODES = {"PAID": SUCCEEDED, "PENDING": PROCESSING, "SCAN": REQUIRES_ACTION, "DECLINED": FAILED, "BOUNCED": RETURNED}
ASKED = {**CODES, "NONE": NOT_FOUND}
TOLD = {**CODES, "DUPLICATE": SEEN}


class Riverbank(
    Adapter[RiverbankSettings],
    CreatePayment,
    FetchPayment,
    CreateRefund,
    FetchRefund,
    CreateTransfer,
    FetchTransfer,
    ReadCallbacks,
):
    """Riverbank Pay, specification 2026-03."""

    name = "riverbank"
    title = "Riverbank"
    version = "2026-03"
    scheme = BodyHMAC()

    def code(self, reply: Reply) -> str | None:
        return reply.parse(Answer).code

    @payment_terms(
        methods={"wallet_qr", "payer_code"},
        currencies={"CNY"},
        at_most="50000.00",
        key=Remembered(hours(24)),
        inquiry=(ByKey(),),
        settle_window=minutes(30),
        rhythm=(1, 2, 4, 8, 60),
        codes=TOLD,
    )
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        return self._payment(await wire.act(self._order("payments", payment.partner_key, payment.amount)))

    @payment_terms(codes=ASKED)
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire) -> PaymentFact:
        return self._payment(await wire.ask(self._find("payments", inquiry.partner_key)))

    @refund_terms(key=Remembered(hours(24)), inquiry=(ByKey(),), rhythm=(1, 2, 4), codes=TOLD)
    async def create_refund(self, refund: RefundInitiation, wire: Wire) -> RefundFact:
        parent = refund.parent.partner_key if refund.parent else None
        return self._refund(await wire.act(self._order("refunds", refund.partner_key, refund.amount, parent)))

    @refund_terms(codes=ASKED)
    async def fetch_refund(self, inquiry: RefundInquiry, wire: Wire) -> RefundFact:
        return self._refund(await wire.ask(self._find("refunds", inquiry.partner_key)))

    @transfer_terms(currencies={"CNY"}, inquiry=(ByKey(),), rhythm=(1, 2, 4), codes=TOLD)
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
        return self._transfer(await wire.act(self._order("transfers", transfer.partner_key, transfer.amount)))

    @transfer_terms(codes=ASKED)
    async def fetch_transfer(self, inquiry: TransferInquiry, wire: Wire) -> TransferFact:
        return self._transfer(await wire.ask(self._find("transfers", inquiry.partner_key)))

    def read(self, callback: Callback) -> Sequence[Fact]:
        answer = callback.parse(Answer)
        kind = {"payment": PaymentFact, "refund": RefundFact, "transfer": TransferFact}[answer.kind]
        return [kind(**self._said(answer))]

    def acknowledge(self, callback: Callback, merged: Merged) -> Acknowledgement:
        return Acknowledgement(503, b"again") if merged.busy else Acknowledgement(200, b"ok")

    def _order(self, path: str, key: str, amount: Money, of: str | None = None) -> Request:
        order = Order(reference=key, cents=amount.minor(), currency=amount.currency, of=of)
        return Request.post(f"{self.settings.url}/{path}", order)

    def _find(self, path: str, key: str) -> Request:
        return Request.get(f"{self.settings.url}/{path}/{key}")

    def _payment(self, reply: Reply) -> PaymentFact:
        return PaymentFact(**self._said(reply.parse(Answer)))

    def _refund(self, reply: Reply) -> RefundFact:
        return RefundFact(**self._said(reply.parse(Answer)))

    def _transfer(self, reply: Reply) -> TransferFact:
        return TransferFact(**self._said(reply.parse(Answer)))

    @staticmethod
    def _said(answer: Answer) -> dict[str, object]:
        return {
            "code": answer.code,
            "partner_key": answer.reference,
            "amount": answer.money,
            "references": {"riverbank_id": answer.id} if answer.id else {},
            "next_action": NextAction(kind="qr_code", qr_code=answer.qr, life=minutes(5)) if answer.qr else None,
        }


def signature(body: bytes, secret: bytes = b"shared-secret-of-32-bytes-length") -> str:
    """What Riverbank itself would put into X-Signature."""
    return hmac.new(secret, body, hashlib.sha256).hexdigest()
