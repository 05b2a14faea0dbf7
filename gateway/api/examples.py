"""One example body for each call that takes one. A test holds each against its model, so that none goes stale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["EXAMPLES"]

_CNY: Final = {"amount": "433.00", "currency": "CNY"}
_FOLLOW_UP: Final = {"connection": "riverbank", "reference": "LN-1001/refund-1"}
_SHOPPER: Final = {"name": "Li Wei", "identifiers": [{"scheme": "national_id", "value": "110101199003070134"}]}

EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "POST /v1/payments": {
        "connection": "riverbank",
        "reference": "LN-1001/instalment-1",
        "amount": _CNY,
        "method": {"type": "wallet_qr"},
        "description": "Instalment 1 of 3, order LN-1001",
        "links_to": {"loan": "LN-1001", "instalment": "1"},
    },
    "POST /v1/payments/{id}/capture": {**_FOLLOW_UP, "reference": "LN-1001/capture-1", "amount": _CNY},
    "POST /v1/payments/{id}/cancel": {**_FOLLOW_UP, "reference": "LN-1001/cancel-1", "reason": "Order withdrawn"},
    "POST /v1/payments/{id}/refunds": {**_FOLLOW_UP, "amount": _CNY, "reason": "Goods returned"},
    "POST /v1/transfers": {
        "connection": "thames_bank",
        "reference": "LN-1001/disbursement",
        "amount": {"amount": "141.20", "currency": "GBP"},
        "creditor": {
            "name": "Coats of London Ltd",
            "account": {"scheme": "sort_code_account_number", "identification": "20325412345678"},
        },
        "remittance": "Order LN-1001",
    },
    "POST /v1/transfers/{id}/cancel": {"connection": "thames_bank", "reference": "LN-1001/cancel-2"},
    "POST /v1/credit-reports": {
        "connection": "city_bureau",
        "reference": "LN-1001/gate",
        "product": "threshold_check",
        "threshold": 600,
        "person": _SHOPPER,
        "purpose": "credit_application",
        "permission": {
            "document_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "channel": "app",
            "given_at": "2026-03-01T09:30:00+08:00",
        },
        "links_to": {"loan": "LN-1001"},
    },
    "POST /v1/insurance/quotes": {
        "connection": "harbour_life",
        "reference": "LN-1001/quote",
        "product": "credit_life",
        "insured": _SHOPPER,
        "beneficiary": {"name": "Instalment Shop Lending Ltd"},
        "sum_insured": {"amount": "1299.00", "currency": "CNY"},
        "starts_at": "2026-03-01T00:00:00+08:00",
        "ends_at": "2026-05-30T00:00:00+08:00",
    },
    "POST /v1/insurance/policies": {
        "connection": "harbour_life",
        "reference": "LN-1001/policy",
        "product": "credit_life",
        "quote": "quo_019ab4c2f1e07c4c9d0b7a1f3a5e6d70",
        "offer": 0,
        "documents_acknowledged": True,
    },
    "POST /v1/insurance/policies/{id}/cancel": {"connection": "harbour_life", "reference": "LN-1001/policy-end"},
    "POST /v1/insurance/policies/{id}/claims": {
        "connection": "harbour_life",
        "reference": "LN-1001/claim-1",
        "event": "disability",
        "occurred_at": "2026-04-02T12:00:00+08:00",
    },
    "POST /v1/consents": {
        "connection": "thames_bank",
        "reference": "LN-1001/consent",
        "type": "account_access",
        "scopes": ["accounts", "balances", "transactions"],
        "expires_at": "2026-06-01T00:00:00Z",
        "return_url": "https://shop.example/back",
    },
    "POST /v1/operations/{id}/settle": {
        "state": "succeeded",
        "reason": "The bank confirmed by telephone that the money arrived",
        "evidence": "Ticket 4711, statement of 2 March, line 12",
    },
    "POST /v1/audit/evidence": {
        "operation": "pay_019ab4c2f1e07c4c9d0b7a1f3a5e6d70",
        "bodies": True,
        "reason": "Complaint 4713, asked for by the shopper on 9 March",
    },
    "POST /v1/audit/erasures": {"client": "shop", "subject": "person-4711", "reason": "Request E-17"},
    "POST /v1/audit/holds": {"client": "shop", "subject": "person-4711", "reason": "Court order 12 of 2 March"},
    "POST /v1/audit/holds/release": {"client": "shop", "subject": "person-4711", "reason": "Court order 12 ended"},
    "POST /v1/quarantine/clear": {
        "reason": "Compared with the bank's statement of 2 March, ticket 4712",
        "connection": "riverbank",
    },
    "POST /v1/webhook-endpoints": {
        "url": "https://shop.example/lendgate/events",
        "kinds": ["payment.*", "refund.*", "*.attention"],
    },
    "POST /v1/consents/{id}/revoke": {"connection": "thames_bank", "reference": "LN-1001/consent-end"},
}
"""By the name of the route."""
