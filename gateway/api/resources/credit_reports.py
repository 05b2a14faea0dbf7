"""Credit reports: scores, threshold checks, reports and identity checks, each with its purpose and permission."""

from __future__ import annotations

from typing import Final

from gateway.api.acts import creating, reading, refreshing
from gateway.model.credit import NewCreditReport

__all__ = ["ROUTES"]

TAG: Final = "Credit reports"

ROUTES: Final = (
    creating(
        "/v1/credit-reports",
        "credit_report",
        NewCreditReport,
        TAG,
        "Ask a bureau about a person",
        description="That a bureau has no record of a person is an answer: `succeeded` with the outcome `no_record`.",
    ),
    reading("/v1/credit-reports/{id}", "credit_report", TAG, "Read a credit report"),
    refreshing("/v1/credit-reports/{id}/refresh", "credit_report", TAG),
)
