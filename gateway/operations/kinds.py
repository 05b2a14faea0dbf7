"""The kinds of operations as a table: which models and which verbs make up each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.adapters import verbs
from gateway.adapters.verbs import Verb
from gateway.model.consents import ConsentInitiation, ConsentInquiry, ConsentRevocation, NewConsent
from gateway.model.credit import CreditReportInitiation, NewCreditReport, ReportInquiry
from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.insurance import (
    Claim,
    ClaimInquiry,
    NewClaim,
    NewPolicy,
    NewQuote,
    PolicyBinding,
    PolicyCancellation,
    PolicyInquiry,
    QuoteRequest,
)
from gateway.model.payments import (
    Cancellation,
    CancellationInquiry,
    Capture,
    CaptureInquiry,
    NewCancellation,
    NewCapture,
    NewPayment,
    NewRefund,
    PaymentInitiation,
    PaymentInquiry,
    RefundInitiation,
    RefundInquiry,
)
from gateway.model.problems import Unsupported
from gateway.model.transfers import NewTransfer, TransferInitiation, TransferInquiry
from gateway.store.operation import Kind

__all__ = ["KINDS", "KindOf", "starting_verb"]


@dataclass(frozen=True, slots=True)
class KindOf:
    """One kind. `follows`: the kinds of parent of a follow-up; `reserves`: it holds part of its parent."""

    name: Kind
    prefix: str
    new: type[New]
    initiation: type[Initiation]
    inquiry: type[Inquiry]
    create: Verb[Any, Any] | None
    fetch: Verb[Any, Any] | None
    proceed: Verb[Any, Any] | None = None
    follows: tuple[Kind, ...] = ()
    reserves: bool = False
    standing: str | None = None  # the status table of what stands afterwards


KINDS: Final[Mapping[Kind, KindOf]] = {
    kind.name: kind
    for kind in (
        KindOf(
            "payment",
            "pay",
            NewPayment,
            PaymentInitiation,
            PaymentInquiry,
            verbs.CREATE_PAYMENT,
            verbs.FETCH_PAYMENT,
            verbs.CONTINUE_PAYMENT,
        ),
        KindOf(
            "refund",
            "rfd",
            NewRefund,
            RefundInitiation,
            RefundInquiry,
            verbs.CREATE_REFUND,
            verbs.FETCH_REFUND,
            follows=("payment",),
            reserves=True,
        ),
        KindOf(
            "capture",
            "cap",
            NewCapture,
            Capture,
            CaptureInquiry,
            verbs.CAPTURE_PAYMENT,
            None,
            follows=("payment",),
        ),
        KindOf(
            "cancellation",
            "can",
            NewCancellation,
            Cancellation,
            CancellationInquiry,
            None,
            None,
            follows=("payment", "transfer", "policy", "consent"),
        ),
        KindOf(
            "transfer",
            "trf",
            NewTransfer,
            TransferInitiation,
            TransferInquiry,
            verbs.CREATE_TRANSFER,
            verbs.FETCH_TRANSFER,
            verbs.CONTINUE_TRANSFER,
        ),
        KindOf(
            "credit_report",
            "rep",
            NewCreditReport,
            CreditReportInitiation,
            ReportInquiry,
            None,
            verbs.FETCH_REPORT,
        ),
        KindOf("quote", "quo", NewQuote, QuoteRequest, PolicyInquiry, verbs.QUOTE_POLICY, None),
        KindOf(
            "policy",
            "pol",
            NewPolicy,
            PolicyBinding,
            PolicyInquiry,
            verbs.BIND_POLICY,
            verbs.FETCH_POLICY,
            standing="policy",
        ),
        KindOf(
            "claim",
            "clm",
            NewClaim,
            Claim,
            ClaimInquiry,
            verbs.FILE_CLAIM,
            verbs.FETCH_CLAIM,
            follows=("policy",),
            standing="claim",
        ),
        KindOf(
            "consent",
            "con",
            NewConsent,
            ConsentInitiation,
            ConsentInquiry,
            verbs.CREATE_CONSENT,
            verbs.FETCH_CONSENT,
            verbs.CONTINUE_CONSENT,
            standing="consent",
        ),
    )
}

_REPORTS: Final[Mapping[str, Verb[Any, Any]]] = {
    "threshold_check": verbs.CHECK_THRESHOLD,
    "score": verbs.REQUEST_SCORE,
    "report": verbs.REQUEST_REPORT,
    "watchlist": verbs.REQUEST_REPORT,
    "identity": verbs.REQUEST_REPORT,
}
_CANCELLATIONS: Final[Mapping[Kind, tuple[Verb[Any, Any], type[Initiation]]]] = {
    "payment": (verbs.CANCEL_PAYMENT, Cancellation),
    "transfer": (verbs.CANCEL_TRANSFER, Cancellation),
    "policy": (verbs.CANCEL_POLICY, PolicyCancellation),
    "consent": (verbs.REVOKE_CONSENT, ConsentRevocation),
}


def starting_verb(kind: KindOf, body: New, parent: Kind | None) -> tuple[Verb[Any, Any], type[Initiation]]:
    """The verb that begins an operation, and the model that it takes. Raises `Unsupported`."""
    if kind.create is not None:
        return kind.create, kind.initiation
    if isinstance(body, NewCreditReport):
        return _REPORTS[body.product], kind.initiation
    if parent is not None and parent in _CANCELLATIONS:
        return _CANCELLATIONS[parent]
    raise Unsupported(f"a {parent or kind.name} cannot be cancelled")
