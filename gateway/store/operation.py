"""The operation: an act with an end, as it is stored and shown.

Rules
- Only `operations.facts` decides a state; the store writes what it is given, and refuses a write that is based on an
  older version.
- Columns that the store searches or guards are named in `interface`; everything else is one JSON document.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from gateway.model.facts import NextAction
from gateway.model.money import Money
from gateway.model.schema import Instant, Model
from gateway.model.states import OPEN, Attention, State

__all__ = ["AttentionItem", "Kind", "Operation", "Reason"]

Kind = Literal[
    "payment",
    "refund",
    "capture",
    "cancellation",
    "transfer",
    "credit_report",
    "quote",
    "policy",
    "claim",
    "consent",
]


class Reason(Model):
    """Why it stands where it stands: our code and sentence, and the partner's own."""

    code: str
    detail: str | None = None
    partner_code: str | None = None
    partner_message: str | None = None


class AttentionItem(Model):
    """Something a person should look at, until a recorded act clears it."""

    code: Attention
    since: Instant
    evidence: str | None = None  # id of the record that shows it


class Operation(Model):
    """One act. `version` counts its writes; `sequence` counts its events."""

    id: str
    client: str
    kind: Kind
    mode: Literal["sandbox", "production"]
    partner: str
    connection: str
    verb: str
    state: State
    reference: str
    partner_key: str
    created_at: Instant
    updated_at: Instant
    version: int = 1
    sequence: int = 0

    amount: Money | None = None
    method: str | None = None
    subject: str | None = None
    parent: str | None = None
    links_to: Mapping[str, str] = {}
    body: Mapping[str, Any] = {}  # the call's body, as JSON
    fingerprint: str = ""  # SHA-256 of route and body: what "the same call" means
    metadata: Mapping[str, str] = {}

    reason: Reason | None = None
    attention: tuple[AttentionItem, ...] = ()
    next_action: NextAction | None = None
    next_action_until: Instant | None = None
    partner_references: Mapping[str, str] = {}
    result: Mapping[str, Any] = {}  # what the partner said beyond the state: score, offers, policy number, …
    status: str | None = None  # of what stands afterwards: a consent, a policy, a claim
    memory: Mapping[str, Any] | None = None  # {"name": class, "value": …}, for the adapter alone
    handoff: Mapping[str, str] | None = None

    attempts: int = 0
    may_have_acted: bool = False  # a send may have reached the partner, and no proof settled it yet
    acted_verb: str | None = None  # the verb whose act may have left; a replay runs it again
    first_sent_at: Instant | None = None
    last_sent_at: Instant | None = None
    parent_consumed: bool = False  # an inquiry by parent has shown that it happened
    next_inquiry_at: Instant | None = None
    inquiries: int = 0
    reserved: int = 0  # minor units held by follow-ups; kept by the store, not by the document
    reservable: int | None = None  # minor units that follow-ups may hold in all

    sealed: str | None = None  # as it rests: base64 of what could tell about a person, which then stands nowhere else
    erased: bool = False  # what was sealed cannot be opened any more

    @classmethod
    def begun(cls, **fields: Any) -> Operation:
        """A new operation of `fields` that fit, which is not checked again: the core made each of them."""
        return _BLANK.model_copy(update=fields)

    @property
    def open(self) -> bool:
        return self.state in OPEN

    def changed(self, now: datetime, **fields: Any) -> Operation:
        """The next version with `fields` replaced."""
        return self.model_copy(update={"version": self.version + 1, "updated_at": now, **fields})


_BLANK: Final = Operation.model_construct()
