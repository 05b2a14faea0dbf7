"""Consents: a person's permission to read accounts or to ask a bureau."""

from __future__ import annotations

from typing import Final

from gateway.api.acts import creating, following, reading, refreshing
from gateway.model.consents import NewConsent
from gateway.model.payments import NewCancellation

__all__ = ["ROUTES"]

TAG: Final = "Consents"

ROUTES: Final = (
    creating(
        "/v1/consents",
        "consent",
        NewConsent,
        TAG,
        "Ask a person for permission",
        description="It answers with a link that the person opens; the consent counts once its `status` is `active`.",
    ),
    reading("/v1/consents/{id}", "consent", TAG, "Read a consent"),
    refreshing("/v1/consents/{id}/refresh", "consent", TAG),
    following("/v1/consents/{id}/revoke", "cancellation", ("consent",), NewCancellation, TAG, "Withdraw a consent"),
)
