"""Transfers at the institution's side: to wallets at once, to bank cards with delay, and money that comes back.

Rules
- One out_biz_no (with its product and scene) moves money once; the same words again get the same order.
- Time acts when somebody looks: a card transfer is decided ten seconds after it was taken.
- The ledger gets `transfer` when money arrives, and `transfer_return` when it bounces (both by out_biz_no).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.model.clock import Clock
from gateway.sandbox import Effect, Ledger
from lendgate_alipay.simulator_envelope import BEIJING, Call, wall_clock
from lendgate_alipay.simulator_fields import Fields, Refused, magic, unknown

__all__ = ["Transfer", "TransferBook"]

TO_ACCOUNT: Final = "TRANS_ACCOUNT_NO_PWD"
TO_CARD: Final = "TRANS_BANKCARD_NO_PWD"
LEAST: Final = {TO_ACCOUNT: "0.10", TO_CARD: "1.00"}
MEMBERS: Final = (
    "out_biz_no trans_amount product_code biz_scene order_title payee_info remark business_params passback_params"
    " transfer_scene_name transfer_scene_report_infos"
).split()
PAYEE: Final = "identity identity_type name cert_no cert_type bankcard_ext_info".split()
SCENES: Final = "现金营销 企业退款 佣金报酬 业务结算 二手回收 公益补助 行政补贴和退款 保险理赔".split()
IDENTITIES: Final = {
    "ALIPAY_USER_ID": re.compile(r"2088[0-9]{12}\Z"),
    "ALIPAY_LOGON_ID": re.compile(r"([^@\s]+@[^@\s]+|1[0-9]{10})\Z"),
    "BANKCARD_NO": re.compile(r"[0-9]{12,19}\Z"),
    "BANKCARD_ACCOUNT": re.compile(r"[0-9]{12,19}\Z"),
}
REMARK_FROM: Final = Decimal("50000")
CARD_TAKES: Final = timedelta(seconds=10)
BOUNCES_AFTER: Final = timedelta(seconds=60)


@dataclass
class Transfer:
    """One order; `bounces` says that its card will send the money back."""

    out_biz_no: str
    amount: Decimal
    product_code: str
    asked: str
    app_id: str
    order_id: str
    status: str
    taken_at: datetime
    identity: str
    ended_at: datetime | None = None
    error_code: str | None = None
    fail_reason: str | None = None
    bounces: bool = False

    @property
    def pay_fund_order_id(self) -> str:
        return self.order_id[:-1] + "P"


class TransferBook:
    """All transfers of the merchant, and the balance that they are paid from."""

    def __init__(self, clock: Clock, ledger: Ledger, told: Callable[[Transfer], None]) -> None:
        self.transfers: dict[str, Transfer] = {}
        self.balance = Decimal("10000000.00")
        self._clock = clock
        self._ledger = ledger
        self._told = told

    # What people and banks do

    def bounce(self, out_biz_no: str) -> Transfer:
        """The payee's bank sends the money back. Raises `LookupError`."""
        transfer = self._settled(self.transfers[out_biz_no])
        if transfer.status != "SUCCESS":
            raise LookupError(f"{out_biz_no} is {transfer.status}; only what arrived can come back")
        transfer.error_code, transfer.fail_reason = "PAYEE_CARD_INFO_ERROR", "收款银行退票"
        self.balance += transfer.amount
        self._end(transfer, "REFUND", "transfer_return")
        return transfer

    def decide(self, out_biz_no: str, *, arrives: bool) -> Transfer:
        """The payee's bank decides about a transfer that is under way. Raises `LookupError`."""
        transfer = self.transfers[out_biz_no]
        if transfer.status != "DEALING":
            raise LookupError(f"{out_biz_no} is {transfer.status} already")
        if arrives:
            self._end(transfer, "SUCCESS", "transfer")
        else:
            transfer.error_code, transfer.fail_reason = "PAYEE_CARD_INFO_ERROR", "收款方银行卡信息有误"
            self.balance += transfer.amount
            self._end(transfer, "FAIL", None)
        return transfer

    def top_up(self, amount: str) -> Decimal:
        """Put money into the balance that transfers are paid from; a negative amount takes it out."""
        self.balance += Decimal(amount)
        return self.balance

    # The interfaces, with the fields of their pages

    def transfer(self, call: Call) -> dict[str, Any]:
        """alipay.fund.trans.uni.transfer"""
        self._require_certificates(call)
        fields = Fields(call.biz_content, MEMBERS, "")
        product = fields.one_of("product_code", TO_ACCOUNT, TO_CARD)
        fields.one_of("biz_scene", "DIRECT_TRANSFER")
        key = fields.key("out_biz_no")
        amount = fields.amount("trans_amount", LEAST[product], "100000000.00")
        remark, title = fields.optional("remark", 200), fields.optional("order_title", 128)
        identity = self._payee(fields, product)
        self._check_scene(fields)
        fields.refuse_by_magic(remark, title)
        if amount >= REMARK_FROM and not remark:
            raise fields.refuse("MEMO_REQUIRED_IN_TRANSFER_ERROR", "请填写转账备注")
        asked = json.dumps(call.biz_content, sort_keys=True)
        transfer = self.transfers.get(key)
        if transfer is None:
            transfer = self._take(fields, Transfer(key, amount, product, asked, *self._origin(call), identity))
        elif transfer.asked != asked:
            raise fields.refuse("PAYMENT_INFO_INCONSISTENCY", "两次请求商户单号一样，但是参数不一致")
        if "UNKNOWN" in (magic(remark), magic(title)):
            raise unknown()
        self._settled(transfer)
        told = {"trans_date": wall_clock(transfer.ended_at)} if transfer.ended_at else {}
        return {**self._described(transfer), **told}

    def query(self, call: Call) -> dict[str, Any]:
        """alipay.fund.trans.common.query"""
        self._require_certificates(call)
        fields = Fields(call.biz_content, "product_code biz_scene out_biz_no order_id pay_fund_order_id".split(), "")
        product = fields.one_of("product_code", TO_ACCOUNT, TO_CARD)
        fields.one_of("biz_scene", "DIRECT_TRANSFER")
        wanted = {name: fields.optional(name, 64) for name in ("out_biz_no", "order_id", "pay_fund_order_id")}
        wanted = {name: value for name, value in wanted.items() if value}
        if not wanted:
            raise fields.invalid("out_biz_no, order_id and pay_fund_order_id are all missing")
        for transfer in self.transfers.values():
            same = all(getattr(transfer, name) == value for name, value in wanted.items())
            if same and transfer.product_code == product:
                return self._found(self._settled(transfer))
        raise fields.refuse("ORDER_NOT_EXIST", "转账订单不存在")

    def message(self, transfer: Transfer) -> Mapping[str, Any]:
        """The content of `alipay.fund.trans.order.changed`."""
        return {
            **{name: value for name, value in self._found(transfer).items() if name not in ("order_fee",)},
            "product_code": transfer.product_code,
            "biz_scene": "DIRECT_TRANSFER",
            "origin_interface": "alipay.fund.trans.uni.transfer",
            "action_type": "FINISH",
        }

    # How a transfer comes and goes

    def _require_certificates(self, call: Call) -> None:
        if call.application.cert_sn is None:
            raise Refused("40006", "isv.insufficient-isv-permissions", "转账接口只支持公钥证书模式")

    def _payee(self, fields: Fields, product: str) -> str:
        payee = fields.within("payee_info", PAYEE)
        kinds = ("BANKCARD_NO", "BANKCARD_ACCOUNT") if product == TO_CARD else ("ALIPAY_USER_ID", "ALIPAY_LOGON_ID")
        kind = payee.one_of("identity_type", *kinds)
        identity = payee.text("identity", 64)
        if not IDENTITIES[kind].match(identity):
            raise payee.refuse("PAYEE_ACCOUNT_NOT_EXSIT" if product == TO_ACCOUNT else "INVALID_CARDNO")
        name = payee.optional("name", 100)
        if name is None and kind != "ALIPAY_USER_ID":
            raise payee.invalid("payee_info.name is missing")
        if magic(name):
            payee.refuse_by_magic(name)
        if product == TO_CARD:
            bank = payee.within(
                "bankcard_ext_info", "inst_name inst_province inst_city inst_branch_name bank_code account_type".split()
            )
            bank.text("inst_name", 64)
            bank.one_of("account_type", "1", "2")
        if identity.endswith("0404"):
            raise payee.refuse("PAYEE_NOT_EXIST", "收款账号不存在")
        return identity

    def _check_scene(self, fields: Fields) -> None:
        scene, reports = fields.optional("transfer_scene_name", 64), fields.raw("transfer_scene_report_infos")
        if scene is not None and scene not in SCENES:
            raise fields.refuse("TRANSFER_SCENE_NAME_ILLEGAL", scene)
        for report in reports or ():
            if not isinstance(report, dict) or set(report) != {"info_type", "info_content"}:
                raise fields.refuse("TRANSFER_SCENE_REPORT_INFO_ILLEGAL")

    def _origin(self, call: Call) -> tuple[str, str, str, datetime]:
        now = self._clock.now()
        number = f"{now.astimezone(BEIJING):%Y%m%d}02070{len(self.transfers) + 1:014d}0"
        return call.application.app_id, number, "DEALING", now

    def _take(self, fields: Fields, transfer: Transfer) -> Transfer:
        if transfer.amount > self.balance:
            raise fields.refuse("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")
        self.balance -= transfer.amount
        self.transfers[transfer.out_biz_no] = transfer
        if transfer.product_code == TO_ACCOUNT:
            self._end(transfer, "SUCCESS", "transfer")
        transfer.bounces = transfer.product_code == TO_CARD and transfer.identity.endswith("03")
        return transfer

    def _settled(self, transfer: Transfer) -> Transfer:
        """Let the time that has passed act."""
        now, waits = self._clock.now(), transfer.identity.endswith("04")
        if transfer.status == "DEALING" and not waits and now >= transfer.taken_at + CARD_TAKES:
            self.decide(transfer.out_biz_no, arrives=not transfer.identity.endswith("02"))
        if transfer.bounces and transfer.status == "SUCCESS" and now >= transfer.taken_at + BOUNCES_AFTER:
            transfer.bounces = False
            self.bounce(transfer.out_biz_no)
        return transfer

    def _end(self, transfer: Transfer, status: str, effect: str | None) -> None:
        transfer.status, transfer.ended_at = status, self._clock.now()
        if effect is not None:
            detail = {"identity": transfer.identity, "order_id": transfer.order_id}
            self._ledger.record(Effect(effect, transfer.out_biz_no, transfer.ended_at, transfer.amount, "CNY", detail))
        self._told(transfer)

    def _described(self, transfer: Transfer) -> dict[str, Any]:
        return {
            "out_biz_no": transfer.out_biz_no,
            "order_id": transfer.order_id,
            "pay_fund_order_id": transfer.pay_fund_order_id,
            "status": transfer.status,
        }

    def _found(self, transfer: Transfer) -> dict[str, Any]:
        told = {**self._described(transfer), "trans_amount": str(transfer.amount), "order_fee": "0.00"}
        if transfer.ended_at is not None:
            told["pay_date"] = wall_clock(transfer.ended_at)
        else:
            told["arrival_time_end"] = wall_clock(transfer.taken_at + timedelta(days=1))
        if transfer.status in ("FAIL", "REFUND"):
            told |= {"error_code": transfer.error_code or "", "fail_reason": transfer.fail_reason or ""}
        return told
