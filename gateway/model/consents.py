"""Consents: a person's permission to read accounts, to ask a bureau, to check an identity."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.schema import Instant

__all__ = ["ConsentInitiation", "ConsentInquiry", "ConsentRevocation", "NewConsent", "Scope"]

Scope = Literal["accounts", "balances", "transactions", "beneficiaries"]


class NewConsent(New):
    """Ask a person for permission. What it covers is `scopes`; how long, `expires_at` (None: until revoked)."""

    type: Literal["account_access", "credit_inquiry", "identity", "data_share"]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=8)]
    expires_at: Instant | None = None
    transactions_from: Instant | None = None
    transactions_to: Instant | None = None
    return_url: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")] | None = None


class ConsentInitiation(Initiation, NewConsent):
    """A consent for an adapter."""


class ConsentInquiry(Inquiry):
    """Where does a consent stand?"""


class ConsentRevocation(Initiation):
    """Withdraw a consent; `parent` is the consent."""
