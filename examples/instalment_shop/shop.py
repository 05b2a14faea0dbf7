"""One purchase on instalments, as a lending platform runs it. It knows the gateway's API and no institution's protocol.

A shopper in China buys a ¥1,299.00 coat from a British merchant in three instalments of ¥433.00.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from examples.instalment_shop.client import Client

__all__ = ["Loan", "Shop"]

THRESHOLD = 600
RATE = Decimal("0.1087")
"""Pounds for a yuan: what the shop prints on the contract."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What the shop knows about the purchase."""

    id: str
    price: Decimal
    instalments: int
    shopper: dict[str, Any]
    subject: str

    @property
    def instalment(self) -> Decimal:
        return (self.price / self.instalments).quantize(Decimal("0.01"))

    @property
    def disbursed(self) -> Decimal:
        """In pounds, to the merchant."""
        return (self.price * RATE).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


class Shop:
    """The steps of a purchase; each is one call of the API and gives the operation back."""

    def __init__(self, client: Client, loan: Loan) -> None:
        self._client = client
        self.loan = loan

    async def gate(self) -> dict[str, Any]:
        """May this shopper buy on credit? The bureau says yes or no and keeps the score to itself."""
        agreed = hashlib.sha256(b"I agree that my credit is checked for this purchase.").hexdigest()
        return await self._client.create(
            "/v1/credit-reports",
            {
                **self._common("alipay", "gate"),
                "product": "threshold_check",
                "threshold": THRESHOLD,
                "person": self.loan.shopper,
                "purpose": "credit_application",
                "permission": {"document_hash": agreed, "channel": "app", "given_at": _now().isoformat()},
            },
        )

    async def quote(self) -> dict[str, Any]:
        """What does a credit-life policy over the loan cost?"""
        return await self._client.create(
            "/v1/insurance/quotes",
            {
                **self._common("zhongan", "quote"),
                "product": "credit_life",
                "insured": self.loan.shopper,
                "beneficiary": {"name": "Instalment Shop Lending Ltd"},
                "sum_insured": _yuan(self.loan.price),
                "starts_at": _now().isoformat(),
                "ends_at": (_now() + timedelta(days=90)).isoformat(),
            },
        )

    async def insure(self, quote: dict[str, Any]) -> dict[str, Any]:
        """Buy the policy on the first offer."""
        body = {
            **self._common("zhongan", "policy"),
            "product": "credit_life",
            "quote": quote["id"],
            "offer": 0,
            "documents_acknowledged": True,
        }
        return await self._client.create("/v1/insurance/policies", body)

    async def disburse(self) -> dict[str, Any]:
        """Pay the merchant in pounds; the lender's treasurer authorises at the bank."""
        return await self._client.create(
            "/v1/transfers",
            {
                **self._common("openbanking_uk", "disbursement"),
                "amount": {"amount": str(self.loan.disbursed), "currency": "GBP"},
                "creditor": {
                    "name": "Coats of London Ltd",
                    "account": {
                        "scheme": "sort_code_account_number",
                        "identification": "20325412345678",
                        "name": "Coats of London Ltd",
                    },
                },
                "remittance": f"Order {self.loan.id}",
            },
        )

    async def collect(self, number: int) -> dict[str, Any]:
        """Collect an instalment: the answer carries a QR code for the shopper's wallet."""
        return await self._client.create(
            "/v1/payments",
            {
                **self._common("alipay", f"instalment-{number}"),
                "amount": _yuan(self.loan.instalment),
                "method": {"type": "wallet_qr"},
                "description": f"Instalment {number} of {self.loan.instalments}, order {self.loan.id}",
            },
        )

    async def insure_return(self, transaction: str, paid_at: datetime, paid: Decimal, openid: str) -> dict[str, Any]:
        """Return-freight cover for the parcel, on the mini-program order that WeChat Pay was paid for."""
        place = {"country": "CN", "province": "Shanghai", "city": "Shanghai", "street": "1 Century Avenue"}
        home = {"country": "CN", "province": "Zhejiang", "city": "Hangzhou", "street": "5 Lake Road"}
        place["district"] = "Pudong"
        home["district"] = "Xihu"
        return await self._client.create(
            "/v1/insurance/policies",
            {
                **self._common("wechat_freight", "return-freight"),
                "product": "return_freight",
                "insured": {"partner_user_id": openid},
                "parcel": {
                    "payment_reference": transaction,
                    "paid_at": paid_at.isoformat(),
                    "paid": _yuan(paid),
                    "waybill": f"SF{self.loan.id[-8:]}",
                    "sent_from": place,
                    "sent_to": home,
                    "goods": [{"name": "Coat", "url": "pages/goods/coat"}],
                    "order_path": "pages/order/detail",
                },
            },
        )

    async def refund(self, payment: dict[str, Any]) -> dict[str, Any]:
        """Give an instalment back."""
        body = {**self._common("alipay", "refund-1"), "amount": payment["amount"], "reason": "Goodwill"}
        return await self._client.create(f"/v1/payments/{payment['id']}/refunds", body)

    def _common(self, connection: str, step: str) -> dict[str, Any]:
        return {
            "connection": connection,
            "reference": f"{self.loan.id}/{step}",
            "links_to": {"loan": self.loan.id, "step": step.replace("-", "_")},
            "subject": self.loan.subject,
        }


def _yuan(amount: Decimal) -> dict[str, str]:
    return {"amount": str(amount), "currency": "CNY"}


def _now() -> datetime:
    return datetime.now(UTC)
