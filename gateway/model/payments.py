"""Money in: payments and their refunds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.money import Money
from gateway.model.parties import Party
from gateway.model.schema import SECRET, Instant, Line, Model, Name

__all__ = [
    "Cancellation",
    "Capture",
    "CancellationInquiry",
    "CaptureInquiry",
    "NewCancellation",
    "NewCapture",
    "NewPayment",
    "NewRefund",
    "PaymentInitiation",
    "PaymentInquiry",
    "PaymentMethod",
    "RefundInitiation",
    "RefundInquiry",
]

MethodName = Literal[
    "wallet_qr", "wallet_app", "wallet_mini", "wallet_page", "payer_code", "card_token", "bank_redirect", "bank_debit"
]


class PaymentMethod(Model):
    """How the payer pays. `payer_code` is what the payer shows to be scanned; it lives for a minute or two."""

    type: MethodName
    code: Annotated[str, StringConstraints(min_length=8, max_length=128), SECRET] | None = None


class NewPayment(New):
    """Collect money from a payer."""

    amount: Money
    method: PaymentMethod
    capture: Literal["automatic", "manual"] = "automatic"
    description: Name
    payer: Party | None = None
    expires_at: Instant | None = None
    return_url: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")] | None = None


class PaymentInitiation(Initiation, NewPayment):
    """A payment for an adapter."""


class NewRefund(New):
    """Give back a payment, in whole or in part. The path names the payment."""

    amount: Money
    reason: Line | None = None


class RefundInitiation(Initiation, NewRefund):
    """A refund for an adapter; `parent` is the payment."""


class NewCapture(New):
    """Take an authorised payment, in whole or in part."""

    amount: Money


class Capture(Initiation, NewCapture):
    """A capture for an adapter; `parent` is the payment."""


class NewCancellation(New):
    """Close an unpaid payment, void an authorised one, or stop a transfer that was not executed."""

    reason: Line | None = None


class Cancellation(Initiation, NewCancellation):
    """A cancellation for an adapter; `parent` is what is to be cancelled."""


class PaymentInquiry(Inquiry):
    """What became of a payment?"""


class RefundInquiry(Inquiry):
    """What became of a refund? `parent` is the payment."""


class CaptureInquiry(Inquiry):
    """What became of a capture? `parent` is the payment."""


class CancellationInquiry(Inquiry):
    """What became of a cancellation? `parent` is what was to be cancelled."""
