"""Insurance: quotes, policies and claims."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.money import Money
from gateway.model.parties import Address, Organisation, Party
from gateway.model.schema import Instant, Line, Model, Name

__all__ = [
    "Claim",
    "ClaimInquiry",
    "Goods",
    "NewClaim",
    "NewPolicy",
    "NewQuote",
    "Offer",
    "Parcel",
    "PolicyBinding",
    "PolicyInquiry",
    "PolicyCancellation",
    "QuoteRequest",
]

Product = Literal["credit_life", "return_freight", "goods", "credit"]


class Goods(Model):
    """What was bought."""

    name: Name
    url: Line | None = None
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1


class Parcel(Model):
    """A delivery and the payment that it belongs to."""

    payment_reference: Annotated[str, StringConstraints(min_length=1, max_length=64)]  # the wallet's transaction id
    paid_at: Instant
    paid: Money
    waybill: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    carrier: Line | None = None
    sent_from: Address
    sent_to: Address
    goods: Annotated[tuple[Goods, ...], Field(min_length=1, max_length=50)]
    order_path: Line | None = None


class NewQuote(New):
    """Ask an insurer for offers."""

    product: Product
    insured: Party
    policy_holder: Party | None = None
    beneficiary: Organisation | None = None
    sum_insured: Money
    starts_at: Instant
    ends_at: Instant


class QuoteRequest(Initiation, NewQuote):
    """A quote for an adapter."""


class Offer(Model):
    """One offer of an insurer. `partner_reference` and `terms` are what the insurer needs to see again."""

    premium: Money
    sum_insured: Money
    description: Line | None = None
    exclusions_url: Line | None = None
    expires_at: Instant | None = None
    partner_reference: str | None = None


class NewPolicy(New):
    """Buy a policy: on an offer (`quote`, `offer`), or directly where an insurer sells without quoting (`parcel`)."""

    product: Product
    quote: str | None = None  # id of a quote
    offer: Annotated[int, Field(ge=0, le=50)] = 0  # which of its offers
    parcel: Parcel | None = None
    insured: Party | None = None  # needed without a quote
    premium_payment: str | None = None  # id of the payment that paid the premium
    documents_acknowledged: bool = False


class PolicyBinding(Initiation, NewPolicy):
    """A policy for an adapter. With a quote, `quoted` is its request and `chosen` the offer."""

    quoted: NewQuote | None = None
    chosen: Offer | None = None


class NewClaim(New):
    """Report a loss under a policy. The path names the policy."""

    event: Literal["return", "death", "disability", "default", "damage"]
    amount: Money | None = None
    occurred_at: Instant | None = None
    return_waybill: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    return_carrier: Line | None = None
    evidence: Annotated[tuple[Line, ...], Field(max_length=20)] = ()


class Claim(Initiation, NewClaim):
    """A claim for an adapter; `parent` is the policy."""


class PolicyCancellation(Initiation):
    """Cancel a policy; `parent` is the policy."""


class PolicyInquiry(Inquiry):
    """What became of a policy?"""


class ClaimInquiry(Inquiry):
    """What became of a claim? `parent` is the policy."""
