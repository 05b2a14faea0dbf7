"""Facts: what a partner said, in our words but with its own codes. Never a state.

An adapter copies what the message says; a field that the message does not carry stays None. What a code means stands
in the terms of the verb; what it does to an operation is decided by `operations.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import ConfigDict

from gateway.model.credit import Score
from gateway.model.initiations import Memory
from gateway.model.insurance import Offer
from gateway.model.message import SignedLink
from gateway.model.money import Money
from gateway.model.schema import Instant, Line, Model

__all__ = [
    "CancellationFact",
    "CaptureFact",
    "ClaimFact",
    "ConsentFact",
    "Fact",
    "NextAction",
    "PartnerBalance",
    "PartnerKeys",
    "PaymentFact",
    "PolicyFact",
    "QuoteFact",
    "RefundFact",
    "ReportFact",
    "TransferFact",
]


class NextAction(Model):
    """What a person must do now: open a page, scan a code, confirm in an app. `life`: how long it can be done."""

    kind: Literal["redirect", "qr_code", "app_confirmation"]
    url: str | None = None
    qr_code: str | None = None
    life: timedelta | None = None


class Fact(Model):
    """What every fact may say. `references` are the partner's own ids, shown to people; `memory` is for the adapter."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    kind: ClassVar[str] = ""

    code: str | None
    message: str | None = None
    partner_key: str | None = None
    references: Mapping[str, str] = {}
    amount: Money | None = None
    at: Instant | None = None
    next_action: NextAction | SignedLink | None = None
    memory: Memory | None = None


class PaymentFact(Fact):
    """About a payment. `amount` is what was asked for; `captured` and `refunded` are sums so far."""

    kind: ClassVar[str] = "payment"
    captured: Money | None = None
    refunded: Money | None = None
    fee: Money | None = None


class RefundFact(Fact):
    """About one refund; `amount` is this refund's own amount (leave it out where the partner gives only a sum)."""

    kind: ClassVar[str] = "refund"


class CaptureFact(Fact):
    """About a capture; `amount` is what was taken."""

    kind: ClassVar[str] = "capture"


class CancellationFact(Fact):
    """About a cancellation: of a payment, a transfer or a policy."""

    kind: ClassVar[str] = "cancellation"


class TransferFact(Fact):
    """About a transfer. `scheme_status` is the ISO 20022 ExternalPaymentTransactionStatus, if there is one."""

    kind: ClassVar[str] = "transfer"
    scheme_status: Line | None = None
    returned: Money | None = None
    fee: Money | None = None


class ReportFact(Fact):
    """A bureau's answer. `no_record` is an answer too: there is nothing about this person."""

    kind: ClassVar[str] = "credit_report"
    outcome: Literal["scored", "passed", "not_passed", "no_record"] | None = None
    score: Score | None = None
    valid_until: Instant | None = None
    document: Mapping[str, str] = {}


class QuoteFact(Fact):
    """An insurer's offers; none and a code that means FAILED: it declines."""

    kind: ClassVar[str] = "quote"
    offers: tuple[Offer, ...] = ()


class PolicyFact(Fact):
    """About a policy. `amount` is the premium."""

    kind: ClassVar[str] = "policy"
    number: Line | None = None
    sum_insured: Money | None = None
    starts_at: Instant | None = None
    ends_at: Instant | None = None
    certificate_url: Line | None = None


class ClaimFact(Fact):
    """About a claim. `paid` is what the insurer paid."""

    kind: ClassVar[str] = "claim"
    paid: Money | None = None


class ConsentFact(Fact):
    """About a consent."""

    kind: ClassVar[str] = "consent"
    expires_at: Instant | None = None


class PartnerBalance(Model):
    """Our own account at a partner, such as prepaid premium."""

    available: Money
    as_of: Instant | None = None
    low: bool = False  # the partner says that it is running out
    details: Mapping[str, str] = {}


class PartnerKeys(Model):
    """Public keys of a partner: key id to PEM (a public key or a certificate)."""

    keys: Mapping[str, str]
