"""Payments by code, their cancellation and their refunds: alipay.trade.*

Rules
- A QR code waits to be scanned: until then the gateway knows no trade, and that is no failure.
- A payer's code is charged at once or after the payer's confirmation; the answer "paying" is followed by questions.
- A full refund closes a trade with the same word as a lapsed one: the moment of payment tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from gateway import (
    ByKey,
    Cancellation,
    CancellationFact,
    CancelPayment,
    NextAction,
    NotUnderstood,
    PaymentFact,
    PaymentInitiation,
    PaymentInquiry,
    Payments,
    RefundFact,
    RefundInitiation,
    RefundInquiry,
    Remembered,
    Replay,
    Wire,
    cancellation_terms,
    hours,
    minutes,
    payment_terms,
    refund_terms,
    terms,
)
from lendgate_alipay import codes
from lendgate_alipay.desk import Desk, named, parent_of, wrong
from lendgate_alipay.messages import Collection, Precreation, Refund, RefundHeard, TradeHeard, moment, subject
from lendgate_alipay.settings import PaymentOptions
from lendgate_alipay.signing import wall_clock

__all__ = ["Trades"]

CODE_LIFE: Final = hours(2)  # alipay.trade.precreate: no code lives longer
PAYER_CODE_LIFE: Final = "5m"  # the shortest that the page advises
COLLECTING: Final[Mapping[str, Any]] = {
    "methods": {"wallet_qr", "payer_code"},
    "currencies": {"CNY"},
    "at_least": "0.01",
    "at_most": "100000000.00",
    "key": Remembered(),
    "inquiry": (ByKey(),),
    "settle_window": minutes(5),
    "options": PaymentOptions,
}
CANCELLING: Final[Mapping[str, Any]] = {
    "key": Remembered(),
    "inquiry": (Replay(),),
    "rhythm": (3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
}


class Trades(Desk, Payments, CancelPayment):
    """The part of the adapter for payments."""

    @payment_terms(
        **COLLECTING,
        codes=codes.PRECREATE,
        rhythm=(5, 5, 10, 15, 30, 60),
        by_method={
            "payer_code": terms(
                **COLLECTING,
                codes=codes.PAYER_CODE,
                rhythm=(3, 3, 4, 5, 5, 5, 5, 10, 30, 60, 300),
                watch=(15.0,),  # "in rare cases" an accepted payment is rolled back
                source="alipay.trade.pay",
            )
        },
        source="alipay.trade.precreate",
    )
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        if payment.capture != "automatic":
            raise wrong("capture", "must be automatic: this partner collects at once")
        if payment.method.type == "payer_code":
            return _payment(await self._collect(payment, wire))
        life = timedelta(minutes=self.settings.qr_minutes)
        order = Precreation(**self._order(payment, self.settings.qr_product_code, f"{self.settings.qr_minutes}m"))
        if payment.expires_at is not None:
            life = min(payment.expires_at - payment.requested_at, CODE_LIFE)
        request = self.call("alipay.trade.precreate", order, notify_url=payment.handoff.callback_url)
        heard = (await wire.act(request)).parse(TradeHeard)
        if heard.said == "10000" and not heard.qr_code:
            raise NotUnderstood("precreate was accepted, but no qr_code came")
        return _payment(heard, NextAction(kind="qr_code", qr_code=heard.qr_code, life=life) if heard.qr_code else None)

    @payment_terms(
        codes=codes.TRADE_BY_QR,
        by_method={"payer_code": terms(codes=codes.TRADE_BY_PAYER_CODE, source="alipay.trade.query")},
        source="alipay.trade.query",
    )
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire) -> PaymentFact:
        return _payment(await self._standing(inquiry.partner_key, wire))

    @cancellation_terms(
        **CANCELLING,
        codes=codes.CLOSE,
        by_method={"payer_code": terms(**CANCELLING, codes=codes.CANCEL, source="alipay.trade.cancel")},
        source="alipay.trade.close",
    )
    async def cancel_payment(self, cancellation: Cancellation, wire: Wire) -> CancellationFact:
        parent = parent_of(cancellation)
        trade = {"out_trade_no": parent.partner_key}
        if parent.method == "payer_code":
            heard = (await wire.act(self.call("alipay.trade.cancel", trade))).parse(TradeHeard)
            return CancellationFact(code=heard.said, message=heard.message)
        # A second close is refused whoever made the first: what stands tells more than the refusal would.
        heard = await self._standing(parent.partner_key, wire)
        if heard.said not in codes.NOT_TO_CLOSE:
            heard = (await wire.act(self.call("alipay.trade.close", trade))).parse(TradeHeard)
        return CancellationFact(code=heard.said, message=heard.message)

    @refund_terms(
        currencies={"CNY"},
        at_least="0.01",
        key=Remembered(),
        inquiry=(ByKey(),),
        settle_window=minutes(30),
        rhythm=(10, 15, 30, 60, 300, 900, 3600),  # "query ten seconds after the refund, at the earliest"
        codes=codes.REFUND,
        source="alipay.trade.refund",
    )
    async def create_refund(self, refund: RefundInitiation, wire: Wire) -> RefundFact:
        parent = parent_of(refund)
        body = Refund(
            out_trade_no=parent.partner_key,
            refund_amount=str(refund.amount.amount),
            out_request_no=refund.partner_key,
            refund_reason=refund.reason[:256] if refund.reason else None,
        )
        heard = (await wire.act(self.call("alipay.trade.refund", body))).parse(RefundHeard)
        if heard.said == "10000/fund_change=N":  # carried out before; was it this very refund?
            found = await self._refund(refund.partner_key, parent.partner_key, wire)
            heard = found if found.said == "10000/REFUND_SUCCESS" else heard
        return _refund(heard)

    @refund_terms(codes=codes.REFUND_QUERY, source="alipay.trade.fastpay.refund.query")
    async def fetch_refund(self, inquiry: RefundInquiry, wire: Wire) -> RefundFact:
        return _refund(await self._refund(inquiry.partner_key, parent_of(inquiry).partner_key, wire))

    def _order(self, payment: PaymentInitiation, product_code: str, life: str) -> dict[str, Any]:
        """What precreate and pay have in common."""
        ends = payment.expires_at
        return {
            "out_trade_no": payment.partner_key,
            "total_amount": str(payment.amount.amount),
            "subject": subject(payment.description),
            "product_code": product_code,
            "timeout_express": None if ends else life,
            "time_expire": wall_clock(ends) if ends else None,
            **PaymentOptions.model_validate(payment.options).model_dump(),
        }

    async def _collect(self, payment: PaymentInitiation, wire: Wire) -> TradeHeard:
        if payment.method.code is None:
            raise wrong("method.code", "is needed: what the payer shows to be scanned")
        common = self._order(payment, self.settings.payer_code_product_code, PAYER_CODE_LIFE)
        order = Collection(**common, auth_code=payment.method.code)
        request = self.call("alipay.trade.pay", order, notify_url=payment.handoff.callback_url)
        return (await wire.act(request)).parse(TradeHeard)

    async def _standing(self, key: str, wire: Wire) -> TradeHeard:
        return (await wire.ask(self.call("alipay.trade.query", {"out_trade_no": key}))).parse(TradeHeard)

    async def _refund(self, key: str, trade: str, wire: Wire) -> RefundHeard:
        body = {"out_request_no": key, "out_trade_no": trade}
        return (await wire.ask(self.call("alipay.trade.fastpay.refund.query", body))).parse(RefundHeard)


def _payment(heard: TradeHeard, next_action: NextAction | None = None) -> PaymentFact:
    return PaymentFact(
        code=heard.said,
        message=heard.message,
        partner_key=heard.out_trade_no,
        references=named(trade_no=heard.trade_no),
        amount=heard.total_amount,
        at=moment(heard.send_pay_date or heard.gmt_payment),
        next_action=next_action,
    )


def _refund(heard: RefundHeard) -> RefundFact:
    return RefundFact(
        code=heard.said,
        message=heard.message,
        partner_key=heard.out_request_no,
        references=named(trade_no=heard.trade_no),
        amount=heard.refund_amount,
        at=moment(heard.gmt_refund_pay),
    )
