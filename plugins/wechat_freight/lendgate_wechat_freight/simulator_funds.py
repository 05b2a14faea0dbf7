"""The merchant's prepaid premium account: open, charge, pay, refund. Premiums leave it at createorder.

Rules
- All amounts are fen. One charge is at most 10,000 yuan.
- A charge adds nothing until a person has paid it at the cashier (`/_sandbox/pay-charge`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from gateway.model.clock import Clock
from lendgate_wechat_freight.simulator_fields import Refused, integer, optional_integer

__all__ = ["PremiumAccount"]

LARGEST_CHARGE_FEN: Final = 1_000_000
UNPAID, PAID, IN_USE, REFUNDED = 1, 2, 3, 6
NOT_REFUNDED, REFUND_DONE = 1, 4
FIRST_ORDER_ID: Final = 9_007_199_254_740_993  # beyond what a double can hold, as a uint64 may be


@dataclass
class Charge:
    """One order to recharge the account."""

    order_id: int
    total_price: int
    create_time: int
    order_status: int = UNPAID
    pay_time: int = 0
    can_refund: bool = False
    refund_time: int = 0
    refund_status: int = NOT_REFUNDED
    refund_amt: int = 0


@dataclass
class PremiumAccount:
    """Opened with 100 yuan in it, so that a first try succeeds; a test empties or closes it."""

    clock: Clock
    is_open: bool = True
    funds: int = 10_000
    notify_funds: int = 0
    charges: dict[int, Charge] = field(default_factory=dict)

    def open(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if self.is_open:
            raise Refused(2001, "already opened")
        self.is_open = True
        return {}

    def query_open(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"is_open": int(self.is_open)}

    def createchargeid(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.require_open()
        quota = integer(body, "quota")
        if quota == 0:
            raise Refused(2, "missing quota")
        if quota > LARGEST_CHARGE_FEN:
            raise Refused(2003, "quota exceeds 10000 yuan")
        charge = Charge(FIRST_ORDER_ID + len(self.charges), quota, self._seconds())
        self.charges[charge.order_id] = charge
        return {"order_id": charge.order_id}

    def applypay(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.require_open()
        charge = self._charge(body)
        if charge.order_status != UNPAID:
            raise Refused(10021, "order can not be paid")
        return {"pay_url": f"https://pay.example/freight/{charge.order_id}"}

    def getpayorderlist(self, body: Mapping[str, Any]) -> dict[str, Any]:
        wanted = body.get("status_list")
        if not isinstance(wanted, list):
            raise Refused(2, "missing status_list")
        offset, limit = optional_integer(body, "offset") or 0, optional_integer(body, "limit") or 30
        found = [asdict(charge) for charge in self.charges.values() if charge.order_status in wanted]
        return {"total": len(found), "list": found[offset : offset + limit]}

    def refund(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send what is left back to the paying account: from the newest charge backwards."""
        self.require_open()
        left, self.funds = self.funds, 0
        for charge in reversed(self.charges.values()):
            if left and charge.order_status in (PAID, IN_USE):
                charge.refund_amt = min(left, charge.total_price)
                left -= charge.refund_amt
                charge.order_status, charge.refund_status, charge.refund_time = REFUNDED, REFUND_DONE, self._seconds()
        return {}

    def update_notify_funds(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.notify_funds = integer(body, "notify_funds")
        return {}

    def require_open(self) -> None:
        if not self.is_open:
            raise Refused(2004, "not opened")

    def spend(self, premium: int) -> None:
        """Take one premium, or refuse with 4001 when the account is short."""
        if self.funds < premium:
            raise Refused(4001, "insufficient funds")
        self.funds -= premium

    def pay(self, order_id: int) -> Charge:
        """A person pays the charge at the cashier. Raises `KeyError` for an unknown charge; paying twice adds once."""
        charge = self.charges[order_id]
        if charge.order_status == UNPAID:
            charge.order_status, charge.pay_time, charge.can_refund = PAID, self._seconds(), True
            self.funds += charge.total_price
        return charge

    def _charge(self, body: Mapping[str, Any]) -> Charge:
        order_id = body.get("order_id")
        if isinstance(order_id, bool) or not isinstance(order_id, int):
            raise Refused(2, "missing order_id")
        if order_id not in self.charges:
            raise Refused(10021, "order not found")
        return self.charges[order_id]

    def _seconds(self) -> int:
        return int(self.clock.now().timestamp())
