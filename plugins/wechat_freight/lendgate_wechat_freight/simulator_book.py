"""The insurer's book: what was paid at WeChat Pay, the policies over it, and their claims.

Rules
- A policy covers one WeChat Pay transaction that was really paid: payer, time (seconds) and amount (fen) must agree.
- One transaction, one policy, one claim; waybills in both directions are unique.
- A policy covers 90 days and then expires if nothing was claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from gateway.model.clock import Clock
from lendgate_wechat_freight.simulator_fields import (
    Refused,
    address,
    integer,
    optional_integer,
    optional_text,
    text,
)

__all__ = ["BEIJING", "Book", "Policy", "Transaction"]

BEIJING: Final = timezone(timedelta(hours=8))
OLDEST_PAYMENT: Final = timedelta(days=3)
COVER: Final = timedelta(days=90)
LARGEST_PAGE: Final = 100
COVERED, CLAIM_RUNNING, PAID, FAILED, EXPIRED = 2, 4, 5, 6, 7
SAME_PROVINCE_FEN, OTHER_PROVINCE_FEN = 800, 1200  # expected payout; the insurer's formula is not published
TEXT_FILTERS: Final = ("openid", "order_no", "policy_no", "report_no", "delivery_no", "refund_delivery_no")


@dataclass(frozen=True)
class Transaction:
    """One payment that WeChat Pay took elsewhere."""

    transaction_id: str
    openid: str
    amount_fen: int
    paid_at: int  # seconds since 1970


@dataclass
class Policy:
    """One insured order, as getorderlist shows it."""

    order_no: str
    openid: str
    policy_no: str
    delivery_no: str
    premium: int
    estimate_amount: int
    created: datetime
    report_no: str = ""
    refund_delivery_no: str = ""
    claim_status: int | None = None
    pay_fail_reason: str = ""
    pay_finish_time: int = 0
    is_home_pick_up: int = 0

    @property
    def ends(self) -> datetime:
        return self.created + COVER

    def status(self, now: datetime) -> int:
        return self.claim_status or (COVERED if now < self.ends else EXPIRED)

    def row(self, now: datetime) -> dict[str, Any]:
        return {
            "order_no": self.order_no,
            "policy_no": self.policy_no,
            "report_no": self.report_no,
            "delivery_no": self.delivery_no,
            "refund_delivery_no": self.refund_delivery_no,
            "premium": self.premium,
            "estimate_amount": self.estimate_amount,
            "status": self.status(now),
            "pay_fail_reason": self.pay_fail_reason,
            "pay_finish_time": self.pay_finish_time,
            "is_home_pick_up": self.is_home_pick_up,
            "insurance_end_date": local(self.ends),
        }


@dataclass
class Book:
    """All transactions and policies of one mini-program."""

    clock: Clock
    premium: int = 45
    transactions: dict[str, Transaction] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)  # by order_no

    def check_order(self, body: Mapping[str, Any]) -> Policy:
        """All checks of createorder in their order; the policy that it would issue, not yet in the book."""
        openid, order_no = text(body, "openid", missing=41009), text(body, "order_no")
        pay_time, pay_amount = integer(body, "pay_time"), integer(body, "pay_amount")
        delivery_no = text(body, "delivery_no")
        sender, receiver = address(body, "delivery_place"), address(body, "receipt_place")
        check_product(body)
        now = self.clock.now()
        if not now - OLDEST_PAYMENT <= datetime.fromtimestamp(pay_time, now.tzinfo) <= now + timedelta(minutes=1):
            raise Refused(1010, "pay_time invalid")
        self._check_paid(openid, order_no, pay_time, pay_amount)
        if order_no in self.policies:
            raise Refused(2015, "order error: already insured")
        if any(policy.delivery_no == delivery_no for policy in self.policies.values()):
            raise Refused(1011, "delivery_no already used")
        if delivery_no.startswith("SIMNOTRACK"):
            raise Refused(2028, "delivery_no has no track")
        estimate = SAME_PROVINCE_FEN if sender["province"] == receiver["province"] else OTHER_PROVINCE_FEN
        number = f"PA{now.astimezone(BEIJING):%Y%m%d}{len(self.policies) + 1:010d}"
        return Policy(order_no, openid, number, delivery_no, self.premium, estimate, now)

    def check_claim(self, body: Mapping[str, Any]) -> tuple[Policy, str]:
        """All checks of claim in their order; the policy and the return waybill."""
        openid, order_no = text(body, "openid", missing=41009), text(body, "order_no")
        refund_delivery_no = text(body, "refund_delivery_no")
        text(body, "refund_company")
        policy = self.policies.get(order_no)
        if policy is None or policy.openid != openid:
            raise Refused(2009, "no policy")
        if policy.claim_status is not None:
            raise Refused(2007, "already claimed")
        if policy.status(self.clock.now()) == EXPIRED:
            raise Refused(2009, "policy expired")
        if any(other.refund_delivery_no == refund_delivery_no for other in self.policies.values()):
            raise Refused(1011, "refund_delivery_no already used")
        return policy, refund_delivery_no

    def file(self, policy: Policy, refund_delivery_no: str) -> None:
        policy.refund_delivery_no = refund_delivery_no
        policy.report_no = f"RP{policy.policy_no[2:]}"
        policy.claim_status = CLAIM_RUNNING
        policy.is_home_pick_up = int("PICKUP" in refund_delivery_no)

    def decide(self, policy: Policy, *, paid: bool) -> None:
        """The insurer ends a running claim."""
        policy.claim_status = PAID if paid else FAILED
        policy.pay_fail_reason = "" if paid else "退货物流异常"
        policy.pay_finish_time = int(self.clock.now().timestamp()) if paid else 0

    def orders(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """getorderlist: every filter is optional and they are joined by and."""
        now = self.clock.now()
        wanted = {name: value for name in TEXT_FILTERS if (value := optional_text(body, name)) is not None}
        begin, end = optional_integer(body, "begin_time"), optional_integer(body, "end_time")
        if begin is not None and end is not None and begin > end:
            raise Refused(1010, "begin_time after end_time")
        statuses = body.get("status_list")
        limit = LARGEST_PAGE if body.get("limit") is None else integer(body, "limit")
        if limit > LARGEST_PAGE or not (statuses is None or isinstance(statuses, list)):
            raise Refused(47001, "limit or status_list invalid")
        found = [
            policy
            for policy in self.policies.values()
            if all(getattr(policy, name) == value for name, value in wanted.items())
            and (begin is None or policy.created.timestamp() >= begin)
            and (end is None or policy.created.timestamp() <= end)
            and (not statuses or policy.status(now) in statuses)
        ]
        found.sort(key=lambda policy: policy.created, reverse=optional_integer(body, "sort_direct") == 1)
        offset = optional_integer(body, "offset") or 0
        return {"total": len(found), "list": [policy.row(now) for policy in found[offset : offset + limit]]}

    def counts(self, body: Mapping[str, Any]) -> dict[str, int]:
        begin, end = optional_integer(body, "begin_time") or 0, optional_integer(body, "end_time")
        inside = [
            policy
            for policy in self.policies.values()
            if begin <= policy.created.timestamp() <= (end if end is not None else float("inf"))
        ]
        claimed = [policy for policy in inside if policy.claim_status is not None]
        return {
            "total": len(inside),
            "claim_num": len(claimed),
            "claim_succ_num": sum(policy.claim_status == PAID for policy in claimed),
        }

    def _check_paid(self, openid: str, order_no: str, pay_time: int, pay_amount: int) -> None:
        paid = self.transactions.get(order_no)
        if paid is None:
            raise Refused(2012, "order_no is not an order of this mini program")
        if paid.openid != openid:
            raise Refused(2011, "order_no or openid error")
        if paid.paid_at != pay_time:
            raise Refused(2013, "pay_time error")
        if paid.amount_fen != pay_amount:
            raise Refused(2014, "pay_amount error")


def check_product(body: Mapping[str, Any]) -> None:
    """product_info is mandatory in the page's table (its sample leaves it out): the strict reading is kept."""
    product = body.get("product_info")
    if not isinstance(product, Mapping):
        raise Refused(2, "missing product_info")
    text(product, "order_path")
    goods = product.get("goods_list")
    if not isinstance(goods, list) or not goods:
        raise Refused(2, "missing goods_list")
    for item in goods:
        if not isinstance(item, Mapping):
            raise Refused(47001, "goods_list is not a list of objects")
        text(item, "name")
        text(item, "url")


def local(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` on the wall clock of Beijing."""
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
