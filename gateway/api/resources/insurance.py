"""Insurance: quotes, policies and claims."""

from __future__ import annotations

from typing import Final

from gateway.api.acts import creating, following, reading, refreshing
from gateway.model.insurance import NewClaim, NewPolicy, NewQuote
from gateway.model.payments import NewCancellation

__all__ = ["ROUTES"]

TAG: Final = "Insurance"

ROUTES: Final = (
    creating(
        "/v1/insurance/quotes",
        "quote",
        NewQuote,
        TAG,
        "Ask an insurer for offers",
        description="It binds nobody. The offers stand in `result.offers`; a policy names one by its number, from 0.",
    ),
    reading("/v1/insurance/quotes/{id}", "quote", TAG, "Read a quote"),
    creating("/v1/insurance/policies", "policy", NewPolicy, TAG, "Buy a policy"),
    reading("/v1/insurance/policies/{id}", "policy", TAG, "Read a policy"),
    following(
        "/v1/insurance/policies/{id}/cancel",
        "cancellation",
        ("policy",),
        NewCancellation,
        TAG,
        "End a policy early",
    ),
    refreshing("/v1/insurance/policies/{id}/refresh", "policy", TAG),
    following(
        "/v1/insurance/policies/{id}/claims", "claim", ("policy",), NewClaim, TAG, "Report a loss under a policy"
    ),
    reading("/v1/insurance/claims/{id}", "claim", TAG, "Read a claim"),
    refreshing("/v1/insurance/claims/{id}/refresh", "claim", TAG),
)
