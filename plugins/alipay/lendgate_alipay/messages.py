"""Bodies of the interfaces: the JSON of `biz_content`, the nodes of replies, and the fields of notifications.

Rules
- Amounts are text in yuan with two decimals; times are Beijing wall-clock text; every member is text unless noted.
- A request holds exactly the members that its page names, so that a repeat has the same bytes.
- What a reply says beyond these members is not read.

Source: opendocs, the page of each interface.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from gateway import AccountIdentification, Model, Money, NotUnderstood, understood
from lendgate_alipay.signing import BEIJING

__all__ = [
    "BankCard",
    "CertificateHeard",
    "CertificationHeard",
    "CertificationStart",
    "CheckHeard",
    "Collection",
    "Heard",
    "Identity",
    "Order",
    "Payee",
    "Precreation",
    "Refund",
    "RefundHeard",
    "SceneReport",
    "ScoreCheck",
    "TradeHeard",
    "TradeNotice",
    "Transfer",
    "TransferHeard",
    "TransferMessage",
    "moment",
    "subject",
]

REDACTED = ("isv.", "isp.", "aop.")
"""Beginnings of gateway codes: their `sub_msg` may repeat the signed string, with everything that it holds."""


def moment(text: str | None) -> datetime | None:
    """A moment in UTC from Beijing wall-clock text, with or without a fraction; None where it has another form."""
    try:
        return datetime.strptime((text or "")[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        return None


def subject(text: str) -> str:
    """A text for `subject`, which may not hold /, = or &."""
    return text.translate({ord(forbidden): " " for forbidden in "/=&"})


def _yuan(value: Any) -> Money | None:
    """An amount in yuan. Raises `ValueError` (pydantic's) for anything that is no decimal text."""
    return None if value in (None, "") else Money.of(value, "CNY")


Yuan = Annotated[Money | None, BeforeValidator(_yuan)]


# What is asked


class Order(Model):
    """What precreate and pay have in common."""

    out_trade_no: str
    total_amount: str
    subject: str
    product_code: str
    timeout_express: str | None = None
    time_expire: str | None = None
    store_id: str | None = None
    operator_id: str | None = None
    terminal_id: str | None = None


class Precreation(Order):
    """alipay.trade.precreate"""


class Collection(Order):
    """alipay.trade.pay with a code that the payer shows."""

    scene: str = "bar_code"
    auth_code: str


class Refund(Model):
    """alipay.trade.refund"""

    out_trade_no: str
    refund_amount: str
    out_request_no: str
    refund_reason: str | None = None


class BankCard(Model):
    """`bankcard_ext_info`; account_type is 1 for a company's account, 2 for a person's."""

    inst_name: str
    account_type: str


class Payee(Model):
    """`payee_info`; the name is checked against the account."""

    identity: str
    identity_type: str
    name: str
    bankcard_ext_info: BankCard | None = None

    @classmethod
    def of(cls, account: AccountIdentification, name: str, account_type: str) -> Payee:
        """Raises `KeyError` for an account that this wallet cannot reach."""
        kinds = {"wallet_user_id": "ALIPAY_USER_ID", "wallet_login": "ALIPAY_LOGON_ID", "bank_card": "BANKCARD_NO"}
        bank = None
        if account.scheme == "bank_card":
            bank = BankCard(inst_name=account.agent or "", account_type={"company": "1", "person": "2"}[account_type])
        return cls(
            identity=account.identification,
            identity_type=kinds[account.scheme],
            name=name,
            bankcard_ext_info=bank,
        )


class SceneReport(Model):
    """One of `transfer_scene_report_infos`, as the contract of the scene asks for."""

    info_type: str
    info_content: str


class Transfer(Model):
    """alipay.fund.trans.uni.transfer"""

    out_biz_no: str
    trans_amount: str
    product_code: str
    biz_scene: str = "DIRECT_TRANSFER"
    order_title: str
    payee_info: Payee
    remark: str | None = None
    transfer_scene_name: str | None = None
    transfer_scene_report_infos: tuple[SceneReport, ...] | None = None


class ScoreCheck(Model):
    """zhima.credit.score.brief.get"""

    transaction_id: str
    product_code: str = "w1010100000000002733"
    cert_type: str
    cert_no: str
    name: str | None = None
    admittance_score: int


class Identity(Model):
    """`identity_param`, which travels as JSON text inside the JSON."""

    identity_type: str = "CERT_INFO"
    cert_type: str = "IDENTITY_CARD"
    cert_name: str
    cert_no: str


class CertificationStart(Model):
    """zhima.customer.certification.initialize"""

    transaction_id: str
    product_code: str = "w1010100000000002978"
    biz_code: str
    identity_param: str
    ext_biz_param: str = "{}"


# What is answered


class Heard(BaseModel):
    """The node of any reply, as far as it decides what happened."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    msg: str | None = None
    sub_code: str | None = None
    sub_msg: str | None = None
    trade_status: str | None = None
    send_pay_date: str | None = None
    status: str | None = None
    fund_change: str | None = None
    refund_status: str | None = None
    retry_flag: str | None = None
    is_admittance: str | None = None
    passed: str | None = None

    @property
    def said(self) -> str:
        """The code of this reply in the words of `codes`."""
        if self.code != "10000":
            return self.sub_code or self.code
        if self.trade_status == "TRADE_CLOSED" and self.send_pay_date:
            return "10000/TRADE_CLOSED/paid"
        word = self.trade_status or self.status or self.refund_status
        if word:
            return f"10000/{word}"
        for name in ("fund_change", "retry_flag", "is_admittance", "passed"):
            if getattr(self, name):
                return f"10000/{name}={getattr(self, name)}"
        return "10000"

    @property
    def message(self) -> str | None:
        """What it says to people. A gateway's own complaint may quote the whole call, so only its class is shown."""
        if self.code == "10000":
            return None
        quoted = (self.sub_code or "").startswith(REDACTED)
        return self.msg if quoted else self.sub_msg or self.msg


class TradeHeard(Heard):
    """precreate, pay, query, close and cancel."""

    out_trade_no: str | None = None
    trade_no: str | None = None
    total_amount: Yuan = None
    qr_code: str | None = None
    gmt_payment: str | None = None


class RefundHeard(Heard):
    """fastpay.refund.query; a refund's own reply states the sum of all refunds, which is not read."""

    out_request_no: str | None = None
    trade_no: str | None = None
    refund_amount: Yuan = None
    gmt_refund_pay: str | None = None


class TransferHeard(Heard):
    """uni.transfer, common.query, and the content of order.changed."""

    out_biz_no: str | None = None
    order_id: str | None = None
    pay_fund_order_id: str | None = None
    trans_amount: Yuan = None
    order_fee: Yuan = None
    trans_date: str | None = None
    pay_date: str | None = None
    error_code: str | None = None
    fail_reason: str | None = None


class CheckHeard(Heard):
    """score.brief.get"""

    biz_no: str | None = None


class CertificationHeard(Heard):
    """certification.initialize and .query"""

    biz_no: str | None = None
    failed_reason: str | None = None


class CertificateHeard(Heard):
    """alipaycert.download: base64 of a PEM file."""

    alipay_cert_content: str | None = None


class TradeNotice(BaseModel):
    """The notification about a trade. `refund_fee` is the sum of all refunds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    seller_id: str
    out_trade_no: str
    trade_no: str
    trade_status: str
    total_amount: Annotated[Money, BeforeValidator(_yuan)]
    gmt_payment: str | None = None
    refund_fee: Yuan = None

    @property
    def said(self) -> str:
        """The code in the words of `codes`: a trade that was paid is not closed like one that was not."""
        paid = "/paid" if self.trade_status == "TRADE_CLOSED" and self.gmt_payment else ""
        return f"10000/{self.trade_status}{paid}"


class TransferMessage(BaseModel):
    """The envelope of alipay.fund.trans.order.changed; its content is JSON text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    biz_content: str

    @property
    def content(self) -> TransferHeard:
        """Raises `NotUnderstood`."""
        try:
            members = json.loads(self.biz_content)
        except ValueError:
            raise NotUnderstood("the content of the message is not JSON") from None
        if not isinstance(members, dict):
            raise NotUnderstood("the content of the message is not an object")
        return understood(TransferHeard, {**members, "code": "10000"})
