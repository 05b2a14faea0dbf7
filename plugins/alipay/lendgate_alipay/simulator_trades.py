"""Trades at the institution's side: orders with a code, payments by the payer's code, refunds, and how they end.

Rules
- A prepared order is no trade yet: until somebody scans its code, query and close know nothing of it.
- Time acts when somebody looks: an unpaid trade past its end is closed, a payment that was due to confirm is paid.
- One out_request_no refunds once; all refunds together never exceed the payment.
- The ledger gets `payment` (by out_trade_no), `refund` (by out_request_no) and `closure` (by out_trade_no).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.model.clock import Clock
from gateway.sandbox import Effect, Ledger
from lendgate_alipay.simulator_envelope import BEIJING, Call, wall_clock
from lendgate_alipay.simulator_fields import Fields, magic, unknown

__all__ = ["Refund", "Trade", "TradeBook"]

ORDER: Final = (
    "out_trade_no total_amount subject product_code body seller_id store_id operator_id terminal_id merchant_order_no"
    " timeout_express time_expire"
).split()
TIMEOUT: Final = re.compile(r"([1-9][0-9]{0,3})([mhd])\Z")
UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
PAYER_CODE: Final = re.compile(r"(2[5-9]|30)[0-9]{14,22}\Z")
CODE_LIFE: Final = timedelta(hours=2)
REFUNDABLE: Final = timedelta(days=365)
REPEATS_AT_MOST: Final = 20
PASSWORD_ABOVE: Final = Decimal("1000")
CONFIRMS_AFTER: Final = timedelta(seconds=5)
LATE: Final = timedelta(seconds=10)
BUYER: Final = "2088000000000003"


@dataclass
class Refund:
    """One refund; a late one does not show in queries before `visible_at`."""

    out_request_no: str
    amount: Decimal
    made_at: datetime
    visible_at: datetime


@dataclass
class Trade:
    """A prepared order, and the trade that came of it. `trade_no` is empty until somebody scanned or paid."""

    out_trade_no: str
    amount: Decimal
    subject: str
    asked: str  # what it was created with, to compare repeats
    app_id: str
    notify_url: str | None
    created_at: datetime
    ends_at: datetime
    qr_code: str | None = None
    times_prepared: int = 0
    trade_no: str = ""
    status: str = ""
    paid_at: datetime | None = None
    closed_at: datetime | None = None
    confirms_at: datetime | None = None
    refunds: dict[str, Refund] = field(default_factory=dict)

    @property
    def refunded(self) -> Decimal:
        return sum((refund.amount for refund in self.refunds.values()), Decimal("0.00"))


class TradeBook:
    """All trades of the merchant. `told` is called with a trade, and the refund it is about, when it has news."""

    def __init__(self, clock: Clock, ledger: Ledger, told: Callable[[Trade, Refund | None], None]) -> None:
        self.trades: dict[str, Trade] = {}
        self._clock = clock
        self._ledger = ledger
        self._told = told
        self._used_codes: dict[str, str] = {}
        self._running = 0

    # What people do

    def scan(self, *, qr_code: str | None = None, out_trade_no: str | None = None) -> Trade:
        """A shopper scans a code; now there is a trade. Raises `LookupError` for a code that is not valid."""
        found = [
            trade
            for trade in self.trades.values()
            if (qr_code is None or trade.qr_code == qr_code) and out_trade_no in (None, trade.out_trade_no)
        ]
        if (qr_code is None and out_trade_no is None) or len(found) != 1:
            raise LookupError("no such code or order")
        trade = self._settled(found[0])
        if trade.status not in ("", "WAIT_BUYER_PAY") or self._clock.now() >= trade.ends_at:
            raise LookupError(f"the order {trade.out_trade_no} can be paid no more ({trade.status or 'expired'})")
        self._open(trade)
        return trade

    def pay(self, *, qr_code: str | None = None, out_trade_no: str | None = None) -> Trade:
        """A shopper scans and pays, or confirms what is waiting. Raises `LookupError`."""
        trade = self.scan(qr_code=qr_code, out_trade_no=out_trade_no)
        self._paid(trade)
        return trade

    # The interfaces, with the fields of their pages

    def precreate(self, call: Call) -> dict[str, Any]:
        """alipay.trade.precreate"""
        fields = Fields(call.biz_content, [*ORDER, "qr_code_timeout_express"], "ACQ.")
        order = self._order(fields, call, ("QR_CODE_OFFLINE", "FACE_TO_FACE_PAYMENT"))
        fields.refuse_by_magic(order.subject)
        trade = self._same(fields, order)
        trade.times_prepared += 1
        if trade.times_prepared > REPEATS_AT_MOST:
            raise fields.refuse("APPLY_PC_MERCHANT_CODE_ERROR", "asked too often for one order")
        if trade.qr_code is None:
            trade.ends_at = min(trade.ends_at, trade.created_at + CODE_LIFE)
            trade.qr_code = f"https://qr.alipay.com/bax{self._next():012d}"
        if magic(order.subject) == "UNKNOWN":
            raise unknown()
        return {"out_trade_no": trade.out_trade_no, "qr_code": trade.qr_code}

    def collect(self, call: Call) -> dict[str, Any]:
        """alipay.trade.pay"""
        fields = Fields(call.biz_content, [*ORDER, "scene", "auth_code"], "ACQ.")
        fields.one_of("scene", "bar_code")
        code = fields.text("auth_code", 64)
        order = self._order(fields, call, ("FACE_TO_FACE_PAYMENT", "OFFLINE_PAYMENT"))
        fields.refuse_by_magic(order.subject)
        trade = self._same(fields, order, create=False)
        if trade.out_trade_no not in self.trades:
            self._take(fields, trade, code)
        if magic(trade.subject) == "UNKNOWN":
            raise unknown()
        told = {"code": "10000", "gmt_payment": wall_clock(trade.paid_at)} if trade.paid_at else {"code": "10003"}
        return {**told, **self._described(trade)}

    def query(self, call: Call) -> dict[str, Any]:
        """alipay.trade.query"""
        trade = self._named(Fields(call.biz_content, ("trade_no", "out_trade_no", "query_options"), "ACQ."))
        paid = {"send_pay_date": wall_clock(trade.paid_at)} if trade.paid_at else {}
        return {**self._described(trade), "trade_status": trade.status, **paid}

    def close(self, call: Call) -> dict[str, Any]:
        """alipay.trade.close"""
        fields = Fields(call.biz_content, ("trade_no", "out_trade_no", "operator_id"), "ACQ.")
        trade = self._named(fields)
        if trade.status != "WAIT_BUYER_PAY":
            raise fields.refuse("REASON_TRADE_STATUS_INVALID", "交易状态不合法")
        self._closed(trade, self._clock.now())
        self._record("closure", trade.out_trade_no, trade.amount)
        return {"trade_no": trade.trade_no, "out_trade_no": trade.out_trade_no}

    def cancel(self, call: Call) -> dict[str, Any]:
        """alipay.trade.cancel: it refunds what was paid meanwhile."""
        fields = Fields(call.biz_content, ("trade_no", "out_trade_no"), "ACQ.")
        key = fields.optional("out_trade_no", 64)
        order = self.trades.get(key or "")
        if order is not None and not order.trade_no:
            order.ends_at = min(order.ends_at, self._clock.now())  # nobody may scan its code any more
            return {"out_trade_no": order.out_trade_no, "retry_flag": "N"}
        if order is None and fields.optional("trade_no", 64) is None:
            return {"out_trade_no": key or "", "retry_flag": "N"}
        trade = self._named(fields)
        action = {}
        if trade.status == "TRADE_FINISHED":
            raise fields.refuse("TRADE_HAS_FINISHED", "交易已完结")
        if trade.status == "WAIT_BUYER_PAY":
            self._closed(trade, self._clock.now())
            self._record("closure", trade.out_trade_no, trade.amount)
            action = {"action": "close"}
        elif trade.status == "TRADE_SUCCESS":
            self._refund(trade, trade.out_trade_no, trade.amount - trade.refunded, late=False)
            action = {"action": "refund"}
        return {"trade_no": trade.trade_no, "out_trade_no": trade.out_trade_no, "retry_flag": "N", **action}

    def refund(self, call: Call) -> dict[str, Any]:
        """alipay.trade.refund"""
        allowed = "trade_no out_trade_no refund_amount out_request_no refund_reason operator_id query_options".split()
        fields = Fields(call.biz_content, allowed, "ACQ.")
        amount = fields.amount("refund_amount", "0.01", "100000000.00")
        reason = fields.optional("refund_reason", 256)
        trade = self._named(fields)
        given = fields.optional("out_request_no", 64)
        if given is None and amount != trade.amount:
            raise fields.invalid("out_request_no is mandatory for a part of the payment")
        number = fields.key("out_request_no") if given else trade.out_trade_no
        fields.refuse_by_magic(reason)
        first = trade.refunds.get(number)
        if first is None:
            self._check_refund(fields, trade, amount)
            self._refund(trade, number, amount, late=magic(reason) == "LATE")
        elif first.amount != amount:
            raise fields.refuse("DISCORDANT_REPEAT_REQUEST", "请求信息不一致")
        if magic(reason) == "UNKNOWN":
            raise unknown()
        fresh = first is None and magic(reason) != "LATE"
        return {
            "trade_no": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "buyer_logon_id": "sim***@sandbox.com",
            "refund_fee": str(trade.refunded),
            "fund_change": "Y" if fresh else "N",
        }

    def query_refund(self, call: Call) -> dict[str, Any]:
        """alipay.trade.fastpay.refund.query"""
        fields = Fields(call.biz_content, ("trade_no", "out_trade_no", "out_request_no", "query_options"), "ACQ.")
        number = fields.key("out_request_no")
        trade = self._named(fields)
        refund = trade.refunds.get(number)
        if refund is None or self._clock.now() < refund.visible_at:
            return {}
        return {
            "trade_no": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "out_request_no": refund.out_request_no,
            "total_amount": str(trade.amount),
            "refund_amount": str(refund.amount),
            "refund_status": "REFUND_SUCCESS",
        }

    # How a trade comes and goes

    def _order(self, fields: Fields, call: Call, products: tuple[str, ...]) -> Trade:
        subject = fields.text("subject", 256)
        if re.search("[/=&]", subject):
            raise fields.invalid("subject holds /, = or &")
        if fields.optional("product_code", 64) is not None:
            fields.one_of("product_code", *products)
        return Trade(
            out_trade_no=fields.key("out_trade_no"),
            amount=fields.amount("total_amount", "0.01", "100000000.00"),
            subject=subject,
            asked=json.dumps([call.method, call.biz_content], sort_keys=True),
            app_id=call.application.app_id,
            notify_url=call.notify_url,
            created_at=self._clock.now(),
            ends_at=self._end(fields),
        )

    def _end(self, fields: Fields) -> datetime:
        now = self._clock.now()
        given = fields.optional("time_expire", 19)
        if given is not None:
            try:
                end = datetime.strptime(given, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
            except ValueError:
                raise fields.invalid("time_expire is not yyyy-MM-dd HH:mm:ss") from None
            if end <= now:
                raise fields.refuse("NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "already past")
            return end
        text = fields.optional("timeout_express", 6) or "3h"
        if text == "1c":
            local = now.astimezone(BEIJING)
            return local.replace(hour=23, minute=59, second=59, microsecond=0)
        match = TIMEOUT.match(text)
        life = timedelta(**{UNITS[match[2]]: int(match[1])}) if match else timedelta(0)
        if not timedelta(minutes=1) <= life <= timedelta(days=15):
            raise fields.invalid("timeout_express is not 1m to 15d")
        return now + life

    def _same(self, fields: Fields, order: Trade, *, create: bool = True) -> Trade:
        """The trade of this number, if it was asked for in the same words; a new one where there is none."""
        known = self.trades.get(order.out_trade_no)
        if known is None:
            if create:
                self.trades[order.out_trade_no] = order
            return order
        if known.asked != order.asked:
            raise fields.refuse("CONTEXT_INCONSISTENT", "交易信息被篡改")
        self._settled(known)
        if known.status in ("TRADE_SUCCESS", "TRADE_FINISHED"):
            raise fields.refuse("TRADE_HAS_SUCCESS", "交易已被支付")
        if known.status == "TRADE_CLOSED":
            raise fields.refuse("TRADE_HAS_CLOSE", "交易已经关闭")
        return known

    def _take(self, fields: Fields, trade: Trade, code: str) -> None:
        """Charge the payer who showed `code`, at once or after the payer's confirmation."""
        outcome = code[-2:]
        if not PAYER_CODE.match(code) or outcome == "93" or code in self._used_codes:
            raise fields.refuse("PAYMENT_AUTH_CODE_INVALID", "支付失败，获取顾客账户信息失败")
        if outcome == "92":
            raise fields.refuse("BUYER_BALANCE_NOT_ENOUGH", "买家余额不足")
        self._used_codes[code] = trade.out_trade_no
        self.trades[trade.out_trade_no] = trade
        self._open(trade)
        if outcome == "91":
            trade.confirms_at = self._clock.now() + CONFIRMS_AFTER
        elif outcome != "94" and trade.amount <= PASSWORD_ABOVE:
            self._paid(trade)

    def _check_refund(self, fields: Fields, trade: Trade, amount: Decimal) -> None:
        refusals = {
            "WAIT_BUYER_PAY": "TRADE_STATUS_ERROR",
            "TRADE_CLOSED": "TRADE_HAS_CLOSE",
            "TRADE_FINISHED": "TRADE_HAS_FINISHED",
        }
        if trade.status in refusals:
            raise fields.refuse(refusals[trade.status], "交易状态不允许退款")
        if trade.refunded + amount > trade.amount:
            raise fields.refuse("REASON_TRADE_REFUND_FEE_ERR", "退款金额无效")

    def _named(self, fields: Fields) -> Trade:
        """The trade of a call; trade_no wins where both are given."""
        trade_no, key = fields.optional("trade_no", 64), fields.optional("out_trade_no", 64)
        if trade_no is None and key is None:
            raise fields.invalid("trade_no and out_trade_no are both missing")
        by_number = {trade.trade_no: trade for trade in self.trades.values() if trade.trade_no}
        trade = by_number.get(trade_no) if trade_no else self.trades.get(key or "")
        if trade is None or not trade.trade_no:
            raise fields.refuse("TRADE_NOT_EXIST", "交易不存在")
        return self._settled(trade)

    def _settled(self, trade: Trade) -> Trade:
        """Let the time that has passed act."""
        now = self._clock.now()
        if trade.status == "WAIT_BUYER_PAY" and trade.confirms_at and now >= trade.confirms_at:
            self._paid(trade)
        if trade.status == "WAIT_BUYER_PAY" and now >= trade.ends_at:
            self._closed(trade, trade.ends_at)
        if trade.status == "TRADE_SUCCESS" and trade.paid_at and now >= trade.paid_at + REFUNDABLE:
            trade.status = "TRADE_FINISHED"
        return trade

    def _open(self, trade: Trade) -> None:
        if not trade.trade_no:
            trade.trade_no = f"{self._clock.now().astimezone(BEIJING):%Y%m%d}22001{self._next():015d}"
            trade.status = "WAIT_BUYER_PAY"

    def _paid(self, trade: Trade) -> None:
        trade.status, trade.paid_at = "TRADE_SUCCESS", self._clock.now()
        self._record("payment", trade.out_trade_no, trade.amount, trade_no=trade.trade_no)
        self._told(trade, None)

    def _closed(self, trade: Trade, at: datetime) -> None:
        trade.status, trade.closed_at = "TRADE_CLOSED", at

    def _refund(self, trade: Trade, number: str, amount: Decimal, *, late: bool) -> None:
        now = self._clock.now()
        refund = Refund(number, amount, now, now + LATE if late else now)
        trade.refunds[number] = refund
        self._record("refund", number, amount, out_trade_no=trade.out_trade_no)
        if trade.refunded == trade.amount:
            self._closed(trade, now)
        self._told(trade, refund)

    def _described(self, trade: Trade) -> dict[str, Any]:
        amounts: dict[str, Any] = {"total_amount": str(trade.amount), "receipt_amount": "0.00"}
        if trade.paid_at:
            bill = [{"amount": str(trade.amount), "fund_channel": "ALIPAYACCOUNT"}]
            amounts |= {"receipt_amount": str(trade.amount), "fund_bill_list": bill}
        return {
            "trade_no": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "buyer_logon_id": "sim***@sandbox.com",
            "buyer_user_id": BUYER,
            "buyer_pay_amount": "0.00",
            **amounts,
        }

    def _record(self, kind: str, key: str, amount: Decimal, **detail: str) -> None:
        self._ledger.record(Effect(kind, key, self._clock.now(), amount, "CNY", detail))

    def _next(self) -> int:
        self._running += 1
        return self._running

    def notice(self, trade: Trade, refund: Refund | None) -> dict[str, str]:
        """The business part of a trade's notification."""
        moments = {"gmt_create": trade.created_at, "gmt_payment": trade.paid_at, "gmt_close": trade.closed_at}
        told = {
            "trade_no": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "trade_status": trade.status,
            "subject": trade.subject,
            "buyer_id": BUYER,
            "buyer_logon_id": "sim***@sandbox.com",
            "total_amount": str(trade.amount),
            "receipt_amount": str(trade.amount),
            "buyer_pay_amount": str(trade.amount),
            "fund_bill_list": json.dumps([{"amount": str(trade.amount), "fundChannel": "ALIPAYACCOUNT"}]),
            **{name: wall_clock(moment) for name, moment in moments.items() if moment is not None},
        }
        if refund is not None:
            told["out_biz_no"] = refund.out_request_no
            told["refund_fee"] = str(trade.refunded)
            told["gmt_refund"] = f"{wall_clock(refund.made_at)}.000"
        return told
