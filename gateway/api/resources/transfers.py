"""Transfers: money out, to a bank account or a wallet."""

from __future__ import annotations

from typing import Final

from gateway.api.acts import creating, following, reading, refreshing
from gateway.model.payments import NewCancellation
from gateway.model.transfers import NewTransfer

__all__ = ["ROUTES"]

TAG: Final = "Transfers"

ROUTES: Final = (
    creating(
        "/v1/transfers",
        "transfer",
        NewTransfer,
        TAG,
        "Send money to a creditor",
        description="Where a person must authorise at the bank, it answers with `requires_action` and a link.",
    ),
    reading("/v1/transfers/{id}", "transfer", TAG, "Read a transfer"),
    following(
        "/v1/transfers/{id}/cancel",
        "cancellation",
        ("transfer",),
        NewCancellation,
        TAG,
        "Stop a transfer that was not executed yet",
    ),
    refreshing("/v1/transfers/{id}/refresh", "transfer", TAG),
)
