"""Decorators that put terms beside a verb, one for each kind, so that mypy refuses the wrong kind.

@payment_terms(methods={"wallet_qr"}, currencies={"CNY"}, at_most="50000.00", key=Remembered(), codes={…})
async def create_payment(self, payment, wire): …
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from pydantic import BaseModel

from gateway.model.accounts import Accounts, Balances, Transactions
from gateway.model.facts import (
    CancellationFact,
    CaptureFact,
    ClaimFact,
    ConsentFact,
    PartnerBalance,
    PartnerKeys,
    PaymentFact,
    PolicyFact,
    QuoteFact,
    RefundFact,
    ReportFact,
    TransferFact,
)
from gateway.model.states import Meaning
from gateway.model.terms import RHYTHM, Inquiry, Key, NoKey, Price, Proof, Terms, minutes

__all__ = [
    "Marks",
    "accounts_terms",
    "balances_terms",
    "cancellation_terms",
    "capture_terms",
    "claim_terms",
    "consent_terms",
    "marks_of",
    "partner_balance_terms",
    "partner_keys_terms",
    "payment_terms",
    "policy_terms",
    "quote_terms",
    "refund_terms",
    "report_terms",
    "terms",
    "transactions_terms",
    "transfer_terms",
]

MARK = "__terms__"
Answer = TypeVar("Answer")
P = ParamSpec("P")
V = ParamSpec("V")


def terms(
    *,
    codes: Mapping[str, Meaning] | None = None,
    statuses: Mapping[str, str] | None = None,
    methods: Iterable[str] = (),
    currencies: Iterable[str] = (),
    at_least: str | None = None,
    at_most: str | None = None,
    required: Iterable[str] = (),
    remittance_length: int | None = None,
    key: Key = NoKey(),
    inquiry: tuple[Inquiry, ...] = (),
    settle_window: timedelta = minutes(30),
    rhythm: tuple[float, ...] = RHYTHM,
    watch: tuple[float, ...] = (),
    options: type[BaseModel] | None = None,
    proof: Proof = Proof.SIGNATURE,
    price: Price | None = None,
    footprint: Literal["none", "soft", "hard"] = "none",
    consent: bool = False,
    by_method: Mapping[str, Terms] | None = None,
    source: str = "",
) -> Terms:
    """Terms as a value; use it for the narrower terms of `by_method`. Fields: see `model.terms.Terms`."""
    return Terms(
        codes=dict(codes or {}),
        statuses=dict(statuses or {}),
        methods=frozenset(methods),
        currencies=frozenset(currencies),
        at_least=None if at_least is None else Decimal(at_least),
        at_most=None if at_most is None else Decimal(at_most),
        required=tuple(required),
        remittance_length=remittance_length,
        key=key,
        inquiry=inquiry,
        settle_window=settle_window,
        rhythm=rhythm,
        watch=watch,
        options=options,
        proof=proof,
        price=price,
        footprint=footprint,
        consent=consent,
        by_method=dict(by_method or {}),
        source=source,
    )


@dataclass(frozen=True, slots=True)
class Marks(Generic[Answer]):
    """Puts terms on a verb that answers with `Answer`."""

    answers: tuple[type, ...]
    value: Terms

    def __call__(self, method: Callable[V, Coroutine[Any, Any, Answer]]) -> Callable[V, Coroutine[Any, Any, Answer]]:
        setattr(method, MARK, self)
        return method


def _for(answer: type[Answer], build: Callable[P, Terms]) -> Callable[P, Marks[Answer]]:
    def decorate(*args: P.args, **kwargs: P.kwargs) -> Marks[Answer]:
        return Marks((answer,), build(*args, **kwargs))

    return decorate


payment_terms = _for(PaymentFact, terms)
refund_terms = _for(RefundFact, terms)
capture_terms = _for(CaptureFact, terms)
cancellation_terms = _for(CancellationFact, terms)
transfer_terms = _for(TransferFact, terms)
report_terms = _for(ReportFact, terms)
quote_terms = _for(QuoteFact, terms)
policy_terms = _for(PolicyFact, terms)
claim_terms = _for(ClaimFact, terms)
consent_terms = _for(ConsentFact, terms)
accounts_terms = _for(Accounts, terms)
balances_terms = _for(Balances, terms)
transactions_terms = _for(Transactions, terms)
partner_balance_terms = _for(PartnerBalance, terms)
partner_keys_terms = _for(PartnerKeys, terms)


def marks_of(method: object) -> Marks[Any] | None:
    """What a decorator left on `method`."""
    found = getattr(method, MARK, None)
    return found if isinstance(found, Marks) else None
