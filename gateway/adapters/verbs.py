"""The verbs: one abstract class each, so that an adapter declares exactly what its institution does.

A verb takes one model and a wire, both positional, and returns a fact. There are no defaults that do nothing: what an
adapter does not do, it does not inherit. `Payments` and its like are bundles, nothing more.

`Verb` objects are how the core addresses a verb with its question's and answer's types intact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from gateway.model.accounts import AccountQuery, Accounts, Balances, TransactionQuery, Transactions
from gateway.model.consents import ConsentInitiation, ConsentInquiry, ConsentRevocation
from gateway.model.credit import CreditReportInitiation, ReportInquiry
from gateway.model.facts import (
    CancellationFact,
    CaptureFact,
    ClaimFact,
    ConsentFact,
    Fact,
    PartnerBalance,
    PartnerKeys,
    PaymentFact,
    PolicyFact,
    QuoteFact,
    RefundFact,
    ReportFact,
    TransferFact,
)
from gateway.model.initiations import Continuation, Memory
from gateway.model.insurance import Claim, ClaimInquiry, PolicyBinding, PolicyCancellation, PolicyInquiry, QuoteRequest
from gateway.model.message import Acknowledgement, Callback, Wire
from gateway.model.payments import (
    Cancellation,
    Capture,
    PaymentInitiation,
    PaymentInquiry,
    RefundInitiation,
    RefundInquiry,
)
from gateway.model.transfers import TransferInitiation, TransferInquiry

R = TypeVar("R", bound=Memory)


class Remembers(Generic[R]):
    """Names the memory that the verbs of an adapter leave and find again, where no `Continue…` base names it."""


class CreatePayment(ABC):
    @abstractmethod
    async def create_payment(self, payment: PaymentInitiation, wire: Wire, /) -> PaymentFact:
        """Ask the partner to collect `payment.amount`. Repeating it under the same partner key moves money once."""


class ContinuePayment(ABC, Generic[R]):
    @abstractmethod
    async def continue_payment(self, step: Continuation[PaymentInitiation, R], wire: Wire, /) -> PaymentFact:
        """Take the next step after the payer did what the earlier step asked for."""


class FetchPayment(ABC):
    @abstractmethod
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire, /) -> PaymentFact:
        """Ask what became of a payment."""


class CapturePayment(ABC):
    @abstractmethod
    async def capture_payment(self, capture: Capture, wire: Wire, /) -> CaptureFact:
        """Take an authorised payment, in whole or in part."""


class CancelPayment(ABC):
    @abstractmethod
    async def cancel_payment(self, cancellation: Cancellation, wire: Wire, /) -> CancellationFact:
        """Close an unpaid payment or void an authorised one; the adapter decides by stage which it is."""


class CreateRefund(ABC):
    @abstractmethod
    async def create_refund(self, refund: RefundInitiation, wire: Wire, /) -> RefundFact:
        """Give `refund.amount` of `refund.parent` back."""


class FetchRefund(ABC):
    @abstractmethod
    async def fetch_refund(self, inquiry: RefundInquiry, wire: Wire, /) -> RefundFact:
        """Ask what became of a refund."""


class Payments(CreatePayment, FetchPayment, CreateRefund, FetchRefund):
    """A bundle for adapters that do all four."""


class CreateTransfer(ABC):
    @abstractmethod
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire, /) -> TransferFact:
        """Ask the partner to send `transfer.amount`, or to prepare it for a person's authorisation."""


class ContinueTransfer(ABC, Generic[R]):
    @abstractmethod
    async def continue_transfer(self, step: Continuation[TransferInitiation, R], wire: Wire, /) -> TransferFact:
        """Submit what a person has authorised."""


class FetchTransfer(ABC):
    @abstractmethod
    async def fetch_transfer(self, inquiry: TransferInquiry, wire: Wire, /) -> TransferFact:
        """Ask what became of a transfer."""


class CancelTransfer(ABC):
    @abstractmethod
    async def cancel_transfer(self, cancellation: Cancellation, wire: Wire, /) -> CancellationFact:
        """Stop a transfer that was not executed yet."""


class Transfers(CreateTransfer, FetchTransfer):
    """A bundle for partners that send without a person's step."""


class RedirectTransfers(CreateTransfer, ContinueTransfer[R], FetchTransfer, Generic[R]):
    """A bundle for partners where a person authorises on the bank's page."""


class CheckThreshold(ABC):
    @abstractmethod
    async def check_threshold(self, report: CreditReportInitiation, wire: Wire, /) -> ReportFact:
        """Ask whether a person's score reaches `report.threshold`, without seeing the score."""


class RequestScore(ABC):
    @abstractmethod
    async def request_score(self, report: CreditReportInitiation, wire: Wire, /) -> ReportFact:
        """Ask for a person's score."""


class RequestReport(ABC):
    @abstractmethod
    async def request_report(self, report: CreditReportInitiation, wire: Wire, /) -> ReportFact:
        """Ask for a report, a watch-list check or an identity check (`report.product`)."""


class FetchReport(ABC):
    @abstractmethod
    async def fetch_report(self, inquiry: ReportInquiry, wire: Wire, /) -> ReportFact:
        """Ask what became of a bureau inquiry."""


class QuotePolicy(ABC):
    @abstractmethod
    async def quote_policy(self, quote: QuoteRequest, wire: Wire, /) -> QuoteFact:
        """Ask for offers. It binds nobody, so it only asks."""


class BindPolicy(ABC):
    @abstractmethod
    async def bind_policy(self, policy: PolicyBinding, wire: Wire, /) -> PolicyFact:
        """Buy the policy."""


class FetchPolicy(ABC):
    @abstractmethod
    async def fetch_policy(self, inquiry: PolicyInquiry, wire: Wire, /) -> PolicyFact:
        """Ask what became of a policy."""


class CancelPolicy(ABC):
    @abstractmethod
    async def cancel_policy(self, cancellation: PolicyCancellation, wire: Wire, /) -> CancellationFact:
        """End a policy early."""


class FileClaim(ABC):
    @abstractmethod
    async def file_claim(self, claim: Claim, wire: Wire, /) -> ClaimFact:
        """Report a loss under `claim.parent`."""


class FetchClaim(ABC):
    @abstractmethod
    async def fetch_claim(self, inquiry: ClaimInquiry, wire: Wire, /) -> ClaimFact:
        """Ask what became of a claim."""


class CreateConsent(ABC):
    @abstractmethod
    async def create_consent(self, consent: ConsentInitiation, wire: Wire, /) -> ConsentFact:
        """Prepare a consent that a person authorises. It creates nothing until then, so it only asks."""


class ContinueConsent(ABC, Generic[R]):
    @abstractmethod
    async def continue_consent(self, step: Continuation[ConsentInitiation, R], wire: Wire, /) -> ConsentFact:
        """Go on after the person came back."""


class FetchConsent(ABC):
    @abstractmethod
    async def fetch_consent(self, inquiry: ConsentInquiry, wire: Wire, /) -> ConsentFact:
        """Ask where a consent stands."""


class RevokeConsent(ABC):
    @abstractmethod
    async def revoke_consent(self, revocation: ConsentRevocation, wire: Wire, /) -> ConsentFact:
        """Withdraw a consent."""


class ListAccounts(ABC):
    @abstractmethod
    async def list_accounts(self, query: AccountQuery, wire: Wire, /) -> Accounts:
        """Read the accounts of a consent."""


class FetchBalances(ABC):
    @abstractmethod
    async def fetch_balances(self, query: AccountQuery, wire: Wire, /) -> Balances:
        """Read balances."""


class FetchTransactions(ABC):
    @abstractmethod
    async def fetch_transactions(self, query: TransactionQuery, wire: Wire, /) -> Transactions:
        """Read transactions."""


class FetchPartnerBalance(ABC):
    @abstractmethod
    async def fetch_partner_balance(self, nothing: None, wire: Wire, /) -> PartnerBalance:
        """Read our own account at the partner."""


class FetchKeys(ABC):
    @abstractmethod
    async def fetch_keys(self, key_id: str, wire: Wire, /) -> PartnerKeys:
        """Read the partner's public keys; the core takes them only if they chain to what the connection pins."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of the facts of one callback: `busy` asks the partner to send it again."""

    busy: bool


class ReadCallbacks(ABC):
    """Callbacks take no wire: reading them must not depend on anything outside."""

    @abstractmethod
    def read(self, callback: Callback, /) -> Sequence[Fact]:
        """The facts in a message whose bytes are proven; each names its kind by its class."""

    @abstractmethod
    def acknowledge(self, callback: Callback, merged: Merged, /) -> Acknowledgement:
        """What the partner wants to hear."""


Q = TypeVar("Q")
A = TypeVar("A")
Bound = Callable[[Q, Wire], Coroutine[Any, Any, A]]


class Verb(Generic[Q, A]):
    """A verb by name, with the types of its question and its answer."""

    def __init__(self, declared_by: type, method: Callable[[Any, Q, Wire], Coroutine[Any, Any, A]]) -> None:
        self.declared_by = declared_by
        self.name = method.__name__

    def of(self, adapter: Any) -> Bound[Q, A] | None:
        """The adapter's bound method, or None if it does not declare the verb."""
        bound: Bound[Q, A] | None = adapter.verbs.get(self.name)
        return bound

    def __repr__(self) -> str:
        return self.name


CREATE_PAYMENT: Final = Verb(CreatePayment, CreatePayment.create_payment)
CONTINUE_PAYMENT: Final = Verb(ContinuePayment, ContinuePayment.continue_payment)
FETCH_PAYMENT: Final = Verb(FetchPayment, FetchPayment.fetch_payment)
CAPTURE_PAYMENT: Final = Verb(CapturePayment, CapturePayment.capture_payment)
CANCEL_PAYMENT: Final = Verb(CancelPayment, CancelPayment.cancel_payment)
CREATE_REFUND: Final = Verb(CreateRefund, CreateRefund.create_refund)
FETCH_REFUND: Final = Verb(FetchRefund, FetchRefund.fetch_refund)
CREATE_TRANSFER: Final = Verb(CreateTransfer, CreateTransfer.create_transfer)
CONTINUE_TRANSFER: Final = Verb(ContinueTransfer, ContinueTransfer.continue_transfer)
FETCH_TRANSFER: Final = Verb(FetchTransfer, FetchTransfer.fetch_transfer)
CANCEL_TRANSFER: Final = Verb(CancelTransfer, CancelTransfer.cancel_transfer)
CHECK_THRESHOLD: Final = Verb(CheckThreshold, CheckThreshold.check_threshold)
REQUEST_SCORE: Final = Verb(RequestScore, RequestScore.request_score)
REQUEST_REPORT: Final = Verb(RequestReport, RequestReport.request_report)
FETCH_REPORT: Final = Verb(FetchReport, FetchReport.fetch_report)
QUOTE_POLICY: Final = Verb(QuotePolicy, QuotePolicy.quote_policy)
BIND_POLICY: Final = Verb(BindPolicy, BindPolicy.bind_policy)
FETCH_POLICY: Final = Verb(FetchPolicy, FetchPolicy.fetch_policy)
CANCEL_POLICY: Final = Verb(CancelPolicy, CancelPolicy.cancel_policy)
FILE_CLAIM: Final = Verb(FileClaim, FileClaim.file_claim)
FETCH_CLAIM: Final = Verb(FetchClaim, FetchClaim.fetch_claim)
CREATE_CONSENT: Final = Verb(CreateConsent, CreateConsent.create_consent)
CONTINUE_CONSENT: Final = Verb(ContinueConsent, ContinueConsent.continue_consent)
FETCH_CONSENT: Final = Verb(FetchConsent, FetchConsent.fetch_consent)
REVOKE_CONSENT: Final = Verb(RevokeConsent, RevokeConsent.revoke_consent)
LIST_ACCOUNTS: Final = Verb(ListAccounts, ListAccounts.list_accounts)
FETCH_BALANCES: Final = Verb(FetchBalances, FetchBalances.fetch_balances)
FETCH_TRANSACTIONS: Final = Verb(FetchTransactions, FetchTransactions.fetch_transactions)
FETCH_PARTNER_BALANCE: Final = Verb(FetchPartnerBalance, FetchPartnerBalance.fetch_partner_balance)
FETCH_KEYS: Final = Verb(FetchKeys, FetchKeys.fetch_keys)

VERBS: Final[dict[str, Verb[Any, Any]]] = {
    verb.name: verb for verb in tuple(globals().values()) if isinstance(verb, Verb)
}
"""Every verb by name."""
