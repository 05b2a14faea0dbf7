"""The shapes of answers, for the OpenAPI document and the reference; the tests hold real answers against them.

Answers are written from plain dictionaries, which is faster; these models say what those contain.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from gateway.model.accounts import Account, Balance, Transaction
from gateway.model.facts import NextAction, PartnerBalance
from gateway.model.money import Money
from gateway.model.problems import Outcome, Retry
from gateway.model.schema import Instant, Model
from gateway.model.states import State
from gateway.store.operation import AttentionItem, Kind, Reason
from gateway.store.webhooks import DeliveryState

__all__ = [
    "AccountPage",
    "BalancePage",
    "ConnectionView",
    "DeliveryPage",
    "DeliveryView",
    "EndpointList",
    "EndpointView",
    "EndpointWithSecret",
    "EventPage",
    "EventView",
    "FieldErrorView",
    "OperationPage",
    "OperationView",
    "PartnerList",
    "PartnerView",
    "ProblemView",
    "RecordView",
    "Requirements",
    "TermsView",
    "TestView",
    "Timeline",
    "TransactionPage",
]


class Quantities(Model):
    """Sums over an operation's follow-ups. `refunded` counts refunds that succeeded."""

    captured: Money | None = None
    refunds_reserved: Money | None = None
    refunded: Money | None = None


class OperationView(Model):
    """An act with an end. Members that are empty are left out.

    States: `processing`, `requires_action` (a person must do what `next_action` says), `unknown` (it may or may not
    have happened; the partner is being asked), `succeeded`, `failed`, `cancelled`, `returned` (the money came back).
    """

    id: Annotated[str, Field(examples=["pay_019ab4c2f1e07c4c9d0b7a1f3a5e6d70"])]
    kind: Kind
    mode: Literal["sandbox", "production"]
    partner: str
    connection: str
    state: State
    status: Annotated[str | None, Field(description="Of what stands afterwards: a consent, a policy, a claim")] = None
    reference: Annotated[str, Field(description="The platform's own key, unique for ever per client and kind")]
    partner_key: Annotated[str, Field(description="The key that the partner sees")]
    amount: Money | None = None
    method: str | None = None
    parent: Annotated[str | None, Field(description="Of a follow-up: the operation that it follows")] = None
    subject: str | None = None
    erased: Annotated[
        bool | None, Field(description="What told about the person was erased; states and amounts are as they were")
    ] = None
    links_to: dict[str, str] | None = None
    reason: Reason | None = None
    attention: Annotated[list[AttentionItem] | None, Field(description="What a person should look at")] = None
    next_action: NextAction | None = None
    next_action_until: Instant | None = None
    next_inquiry_at: Annotated[Instant | None, Field(description="When the partner is asked next")] = None
    partner_references: Annotated[dict[str, str] | None, Field(description="The partner's own ids")] = None
    result: Annotated[
        dict[str, Any] | None, Field(description="What the partner said beyond the state: score, offers, number, …")
    ] = None
    quantities: Quantities | None = None
    attempts: int
    metadata: dict[str, str] | None = None
    sequence: Annotated[int, Field(description="Number of its latest event; a higher one is newer")]
    created_at: Instant
    updated_at: Instant
    refunds: Annotated[list[OperationView] | None, Field(description="Of a payment, when it is read by itself")] = None


class OperationPage(Model):
    """Newest first. `next_cursor` leads to older ones; without it there are none."""

    operations: list[OperationView]
    next_cursor: str | None = None


class FieldErrorView(Model):
    """One wrong field or parameter."""

    path: Annotated[str, Field(examples=["amount.currency"])]
    detail: str


class ProblemView(Model):
    """A problem (RFC 9457). `outcome` says whether money may have moved, `retry` what is safe to do next.

    Some kinds have members of their own, such as `verb` or `parent`; more may come.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Annotated[str, Field(examples=["/problems/invalid_fields"], description="A page here that explains it")]
    title: str
    status: int
    detail: str
    outcome: Outcome
    retry: Retry
    request_id: str
    errors: list[FieldErrorView] | None = None
    operation: Annotated[
        str | OperationView | None,
        Field(description="The id of the operation that stands against the call, or the whole operation that failed"),
    ] = None


class EventView(Model):
    """Something that happened to an operation, with the operation as it stood then."""

    cursor: int
    id: str
    type: Annotated[str, Field(examples=["payment.succeeded"])]
    at: Instant
    sequence: int
    previous_state: State
    data: OperationView
    undeclared_code: str | None = None


class EventPage(Model):
    """Oldest first. Read on with `after` = `next_after`; an empty page gives back the same number."""

    events: list[EventView]
    next_after: int


class EndpointView(Model):
    """Where a client is told what happens. One that is not `active` said that it is gone (410); test it to go on."""

    id: Annotated[str, Field(examples=["whe_019ab4c2f1e07c4c9d0b7a1f3a5e6d70"])]
    client: str
    url: str
    kinds: Annotated[list[str], Field(description="Patterns of event types; none means all of them")]
    active: bool
    created_at: Instant


class EndpointWithSecret(EndpointView):
    """An endpoint with its new secret, which is shown only here."""

    secret: Annotated[str, Field(description="`whsec_` and base64, as Standard Webhooks has it")]


class EndpointList(Model):
    """Oldest first."""

    endpoints: list[EndpointView]


class DeliveryView(Model):
    """One event on its way to one endpoint."""

    event: Annotated[str, Field(description="The event's id, which every try carries as `webhook-id`")]
    type: str
    operation: str
    cursor: Annotated[int, Field(description="Of the event, in the feed")]
    state: Annotated[DeliveryState, Field(description="`dead`: given up after the last try")]
    attempts: int
    next_attempt_at: Annotated[
        Instant | None, Field(description="Absent while it waits for an earlier event of its operation")
    ] = None
    last_status: int | None = None
    last_detail: str | None = None
    updated_at: Instant


class DeliveryPage(Model):
    """Newest first. `next_cursor` leads to older ones; without it there are none."""

    deliveries: list[DeliveryView]
    next_cursor: int | None = None


class TestView(Model):
    """What came of a test."""

    delivered: bool
    status: int | None = None
    detail: str


class RecordView(Model):
    """One record of the log, in the place that it has for ever. `hash` is the RFC 6962 hash of the leaf."""

    number: int
    id: str
    kind: Annotated[str, Field(examples=["intent"])]
    at: Instant
    hash: str
    record: dict[str, Any]


class Timeline(Model):
    """What was sent, answered, told and decided, in order."""

    operation: str
    records: list[RecordView]


class AccountPage(Model):
    """Accounts of a consent."""

    accounts: list[Account]
    next_cursor: str | None = None


class BalancePage(Model):
    """Balances of an account."""

    balances: list[Balance]
    next_cursor: str | None = None


class TransactionPage(Model):
    """Transactions of an account. `available_from`: how far back the partner goes, where it says so."""

    transactions: list[Transaction]
    available_from: Instant | None = None
    next_cursor: str | None = None


class KeyView(Model):
    """How a partner knows an act again: `remembered` for `life_seconds` (absent: for ever), `natural`, or `none`."""

    kind: Literal["remembered", "natural", "none"]
    life_seconds: float | None = None
    path: str | None = None


class PriceView(Model):
    """What one call costs."""

    amount: str
    currency: str


class TermsView(Model):
    """What a caller must know about one verb of a partner. Empty lists mean: no restriction."""

    verb: str
    methods: list[str]
    currencies: list[str]
    at_least: str | None = None
    at_most: str | None = None
    required: list[str]
    remittance_length: int | None = None
    key: KeyView
    inquiry: Annotated[list[str], Field(description="By what the partner can be asked about an act")]
    settle_window_seconds: Annotated[float, Field(description="How long `not found` proves nothing")]
    footprint: Literal["none", "soft", "hard"]
    price: PriceView | None = None
    consent: bool
    proof: Literal["signature", "channel"]
    source: str | None = None
    codes: dict[str, str] | None = None
    by_method: dict[str, TermsView] | None = None


class ConnectionView(Model):
    """One set of credentials at a partner."""

    name: str
    working: bool
    broken: str | None = None
    quarantine: Annotated[
        bool | None, Field(description="The store was put back: acts are inquired before they are sent")
    ] = None
    breakers: Annotated[
        dict[str, str] | None, Field(description="Verbs that were used, and whether calls of them are let through")
    ] = None
    balance: PartnerBalance | None = None


class PartnerView(Model):
    """A partner, what it does, and on which terms. A broken plugin says why instead."""

    partner: str
    title: str | None = None
    protocol: str | None = None
    distribution: str | None = None
    version: str | None = None
    broken: str | None = None
    connections: list[ConnectionView]
    verbs: list[TermsView]


class PartnerList(Model):
    """Every partner that is allowed here."""

    partners: list[PartnerView]
    unattached: Annotated[list[ConnectionView] | None, Field(description="Broken connections without a plugin")] = None


class Requirements(Model):
    """What a call must carry for one verb of a partner: its terms, and the JSON Schemas of body and options."""

    partner: str
    terms: TermsView
    body: dict[str, Any] | None = None
    options: dict[str, Any] | None = None
