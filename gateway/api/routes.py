"""Every address of the API, in the order of the reference."""

from __future__ import annotations

from typing import Final

from gateway.api.handler import Page, Route
from gateway.api.resources import (
    accounts,
    audit,
    callbacks,
    consents,
    credit_reports,
    erasures,
    events,
    evidence,
    health,
    insurance,
    operations,
    partners,
    payments,
    quarantine,
    returns,
    transfers,
    webhooks,
)

__all__ = ["PAGES", "ROUTES"]

ROUTES: Final[tuple[Route, ...]] = (
    *payments.ROUTES,
    *transfers.ROUTES,
    *credit_reports.ROUTES,
    *insurance.ROUTES,
    *consents.ROUTES,
    *accounts.ROUTES,
    *operations.ROUTES,
    *events.ROUTES,
    *webhooks.ROUTES,
    *partners.ROUTES,
    *quarantine.ROUTES,
    *evidence.ROUTES,
    *erasures.ROUTES,
)

PAGES: Final[tuple[Page, ...]] = (*callbacks.PAGES, *returns.PAGES, *audit.PAGES, *health.PAGES)
