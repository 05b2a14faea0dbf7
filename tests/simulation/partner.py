"""The adapter of the story's bank: one verb for each way in which a gateway may get something wrong.

Payments and refunds are keyed, for a few minutes only; transfers are executed anew each time they arrive, and only
their channel is proof; what is paid by the payer's code can be asked about by repeating it and in no other way. Every
call needs a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from gateway import (
    BUSY,
    CANCELLED,
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    PROCESSING,
    REQUIRES_ACTION,
    RETURNED,
    SEEN,
    SUCCEEDED,
    TOKEN_REFUSED,
    UNKNOWN,
    Acknowledgement,
    Adapter,
    ByKey,
    Callback,
    ClientCredentials,
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
    Proof,
    ReadCallbacks,
    RefundFact,
    RefundInitiation,
    RefundInquiry,
    Remembered,
    Replay,
    Reply,
    Request,
    Scheme,
    Settings,
    Stamp,
    TransferFact,
    TransferInitiation,
    TransferInquiry,
    Wire,
    payment_terms,
    refund_terms,
    seconds,
    terms,
    transfer_terms,
)

__all__ = ["KEY_LIFE_SECONDS", "SETTLE_SECONDS", "Saltmarsh", "SaltmarshSettings"]

KEY_LIFE_SECONDS = 360.0
SETTLE_SECONDS = 180.0
ACTION_SECONDS = 40.0


class SaltmarshSettings(Settings):
    url: str


class Signed(Scheme):
    """HMAC-SHA256 over the exact body in X-Signature, both ways."""

    name = "saltmarsh-hmac"

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


class ChannelOnly(Signed):
    """Requests are signed, replies are not: their status says whether they can be the bank's."""

    name = "saltmarsh-channel"

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        return reply.body


class Order(Model):
    reference: str
    cents: int
    currency: str
    method: str = ""
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


CODES = {
    "PAID": SUCCEEDED,
    "PENDING": PROCESSING,
    "SCAN": REQUIRES_ACTION,
    "DECLINED": FAILED,
    "EXPIRED": CANCELLED,
    "BOUNCED": RETURNED,
    "UNSURE": UNKNOWN,
    "LATER": BUSY,
    "TOKEN": TOKEN_REFUSED,
    "REFUSED": NOT_PROCESSED,
}
ASKED = {**CODES, "NONE": NOT_FOUND}
TOLD = {**CODES, "DUPLICATE": SEEN}
KEYED = Remembered(seconds(KEY_LIFE_SECONDS))
RHYTHM = (1, 3, 10, 30)
BY_REPLAY = terms(
    methods={"payer_code"},
    currencies={"CNY"},
    key=KEYED,
    inquiry=(Replay(),),
    settle_window=seconds(SETTLE_SECONDS),
    rhythm=RHYTHM,
    codes=TOLD,
)


class Saltmarsh(
    Adapter[SaltmarshSettings],
    CreatePayment,
    FetchPayment,
    CreateRefund,
    FetchRefund,
    CreateTransfer,
    FetchTransfer,
    ReadCallbacks,
):
    """Saltmarsh Bank."""

    name = "saltmarsh"
    title = "Saltmarsh"
    version = "1"
    scheme = Signed()

    def code(self, reply: Reply) -> str | None:
        return reply.parse(Answer).code

    @payment_terms(
        methods={"wallet_qr", "payer_code"},
        currencies={"CNY"},
        key=KEYED,
        inquiry=(ByKey(),),
        settle_window=seconds(SETTLE_SECONDS),
        rhythm=RHYTHM,
        watch=(60,),
        codes=TOLD,
        by_method={"payer_code": BY_REPLAY},
    )
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        order = self._order("payments", payment.partner_key, payment.amount, method=payment.method.type)
        return self._payment(await wire.act(order, self.token))

    @payment_terms(codes=ASKED)
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire) -> PaymentFact:
        return self._payment(await wire.ask(self._find("payments", inquiry.partner_key), self.token))

    @refund_terms(
        key=KEYED, inquiry=(ByKey(),), settle_window=seconds(SETTLE_SECONDS), rhythm=RHYTHM, watch=(60,), codes=TOLD
    )
    async def create_refund(self, refund: RefundInitiation, wire: Wire) -> RefundFact:
        parent = refund.parent.partner_key if refund.parent else None
        order = self._order("refunds", refund.partner_key, refund.amount, of=parent)
        return self._refund(await wire.act(order, self.token))

    @refund_terms(codes=ASKED)
    async def fetch_refund(self, inquiry: RefundInquiry, wire: Wire) -> RefundFact:
        return self._refund(await wire.ask(self._find("refunds", inquiry.partner_key), self.token))

    @transfer_terms(
        currencies={"CNY"},
        inquiry=(ByKey(),),
        settle_window=seconds(SETTLE_SECONDS),
        rhythm=RHYTHM,
        watch=(60, 60),
        proof=Proof.CHANNEL,
        codes=TOLD,
    )
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
        order = self._order("transfers", transfer.partner_key, transfer.amount)
        return self._transfer(await wire.act(self._by_channel(order), self.token))

    @transfer_terms(codes=ASKED, proof=Proof.CHANNEL)
    async def fetch_transfer(self, inquiry: TransferInquiry, wire: Wire) -> TransferFact:
        question = self._by_channel(self._find("transfers", inquiry.partner_key))
        return self._transfer(await wire.ask(question, self.token))

    def read(self, callback: Callback) -> Sequence[Fact]:
        answer = callback.parse(Answer)
        kind = {"payment": PaymentFact, "refund": RefundFact, "transfer": TransferFact}[answer.kind]
        return [kind(**self._said(answer))]

    def acknowledge(self, callback: Callback, merged: Merged) -> Acknowledgement:
        return Acknowledgement(503, b"again") if merged.busy else Acknowledgement(200, b"ok")

    @property
    def token(self) -> ClientCredentials:
        return ClientCredentials("app", f"{self.settings.url}/token", "lender", "body")

    def _order(self, path: str, key: str, amount: Money, *, method: str = "", of: str | None = None) -> Request:
        order = Order(reference=key, cents=amount.minor(), currency=amount.currency, method=method, of=of)
        return Request.post(f"{self.settings.url}/{path}", order)

    def _find(self, path: str, key: str) -> Request:
        return Request.get(f"{self.settings.url}/{path}/{key}")

    def _by_channel(self, request: Request) -> Request:
        return Request(request.method, request.url, request.headers, request.body, ChannelOnly())

    def _payment(self, reply: Reply) -> PaymentFact:
        return PaymentFact(**self._said(reply.parse(Answer)))

    def _refund(self, reply: Reply) -> RefundFact:
        return RefundFact(**self._said(reply.parse(Answer)))

    def _transfer(self, reply: Reply) -> TransferFact:
        return TransferFact(**self._said(reply.parse(Answer)))

    @staticmethod
    def _said(answer: Answer) -> dict[str, object]:
        action = NextAction(kind="qr_code", qr_code=answer.qr, life=seconds(ACTION_SECONDS)) if answer.qr else None
        return {
            "code": answer.code,
            "partner_key": answer.reference,
            "amount": answer.money,
            "references": {"saltmarsh_id": answer.id} if answer.id else {},
            "next_action": action,
        }
