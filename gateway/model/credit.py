"""Credit bureaus: scores, threshold checks, reports, and identity checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.parties import Party
from gateway.model.schema import Instant, Line, Model

__all__ = ["CreditReportInitiation", "NewCreditReport", "PermissionProof", "ReportInquiry", "Score"]

Purpose = Literal["credit_application", "account_review", "collection", "identity_check", "fraud_prevention"]


class PermissionProof(Model):
    """How the person agreed to the inquiry: by a consent of this gateway, or as the platform recorded it."""

    consent: str | None = None  # id of a consent
    document_hash: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = (
        None  # SHA-256 of what was agreed
    )
    channel: Line | None = None  # app, web, branch
    given_at: Instant | None = None


class Score(Model):
    """A score on its scale."""

    value: int
    minimum: int
    maximum: int
    model: Line | None = None


class NewCreditReport(New):
    """Ask a bureau about a person. `threshold` is required for `threshold_check`."""

    product: Literal["threshold_check", "score", "report", "watchlist", "identity"]
    person: Party
    purpose: Purpose
    permission: PermissionProof
    threshold: Annotated[int, Field(ge=0, le=2000)] | None = None
    footprint: Literal["soft", "hard"] = "soft"
    return_url: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")] | None = None


class CreditReportInitiation(Initiation, NewCreditReport):
    """A bureau inquiry for an adapter."""


class ReportInquiry(Inquiry):
    """What became of a bureau inquiry?"""
