"""The one door: what a fact does to an operation. Nothing else decides a state.

Rules
- `decide` is pure: the operation as it stands, what was said, and the time give the next version.
- The order is: (1) match, (2) weigh what speaks about a request only, (3) the state table, (4) merge what was learnt,
  (5) schedule the next inquiry, (6) say what changed.
- Doubt is the sum over all sends: a refusal of one request never settles an earlier one that may have arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gateway.model.facts import Fact, NextAction, PaymentFact
from gateway.model.initiations import Memory
from gateway.model.money import Money
from gateway.model.states import FINAL, STANDING, Attention, Meaning, State, step
from gateway.model.terms import Terms
from gateway.operations.kinds import KINDS
from gateway.store.operation import AttentionItem, Operation, Reason

__all__ = ["Change", "Said", "Source", "conflict", "decide"]


class Source(StrEnum):
    """By which way a fact came in."""

    REPLY = "reply"  # to our own act
    INQUIRY = "inquiry"  # to our own question
    CALLBACK = "callback"
    FOLLOW_UP = "follow_up"  # a cancellation of this operation succeeded
    PERSON = "person"
    RECOVERY = "recovery"  # the process died in the middle of a call


OURS = frozenset({Source.REPLY, Source.INQUIRY, Source.FOLLOW_UP, Source.PERSON, Source.RECOVERY})
"""Ways that bind a fact to the operation by themselves: a missing field counts as matching."""

ABOUT_THE_REQUEST: Mapping[Meaning, str] = {
    Meaning.NOT_PROCESSED: "not_sent",
    Meaning.BUSY: "busy",
    Meaning.TOKEN_REFUSED: "token_refused",
}

DOUBTS: Mapping[Meaning, str] = {Meaning.SEEN: "duplicate", Meaning.UNKNOWN: "partner_in_doubt"}
"""Genuine answers that settle nothing, and the reason that is shown for each."""

MOVED_NOTHING = frozenset({State.FAILED, State.CANCELLED, State.RETURNED})
"""Ends after which the money is where it was before."""

SHOWN_CHARACTERS = 500
"""How much of a partner's own words is kept with an operation; the whole reply is with the record."""

HORIZON = timedelta(days=3)
"""How long inquiries go on before a person is called as well."""

KEPT_ELSEWHERE = frozenset({"code", "message", "partner_key", "references", "amount", "at", "next_action", "memory"})


@dataclass(frozen=True, slots=True)
class Said:
    """A meaning, where it came from, and the fact that carried it (None: there was no understandable answer)."""

    meaning: Meaning
    source: Source
    fact: Fact | None = None
    status: str | None = None
    reason: Reason | None = None
    in_doubt: bool = False  # a send of this operation may have acted, and this message does not settle it
    proof: str = "signature"
    next_action: NextAction | None = None  # the fact's own, with its link signed
    evidence: str | None = None  # id of the record


@dataclass(frozen=True, slots=True)
class Change:
    """The next version, what it says to the platform, and how it moves the parent's reservation."""

    operation: Operation
    previous: State
    events: tuple[str, ...] = ()
    released: int = 0  # minor units given back to the parent; negative: taken again, the success came late
    raised: tuple[Attention, ...] = field(default=())


def decide(operation: Operation, said: Said, terms: Terms, now: datetime, horizon: timedelta = HORIZON) -> Change:
    """The next version of `operation`. Total: every meaning in every state has an answer.

    `terms` are those of the verb that began it; after `horizon` in doubt a person is called.
    """
    # 1. Does it speak about this act?
    mismatch = _mismatch(operation, said)
    if mismatch is not None:
        return conflict(operation, said, mismatch, terms, now)
    # 2.-3. What does it do to the state?
    state, attention, reason = _weigh(operation, said, terms, now)
    if attention is None and _overdue(operation, state, terms, now, horizon):
        attention = Attention.OVERDUE_UNKNOWN
    # 4. What was learnt?
    learnt = _learnt(operation, said, state, now)
    # 5. When is the next question due?
    inquiries = 0 if state != operation.state else operation.inquiries + (said.source is Source.INQUIRY)
    due = _next_inquiry(state, inquiries, terms, now, horizon)
    # 6. What is new?
    standing = () if said.source is Source.PERSON else operation.attention  # a recorded act clears it
    items, raised = _raise(standing, attention, said, now)
    changed = state != operation.state
    status_changed = learnt.get("status", operation.status) != operation.status
    events = _events(operation, state, changed or status_changed, raised, said)
    new = operation.changed(
        now,
        state=state,
        reason=reason,
        attention=items,
        inquiries=inquiries,
        next_inquiry_at=due,
        sequence=operation.sequence + len(events),
        may_have_acted=_may_have_acted(operation, state, said),
        **learnt,
    )
    return Change(new, operation.state, events, _released(operation, state), raised)


def _overdue(operation: Operation, state: State, terms: Terms, now: datetime, horizon: timedelta) -> bool:
    """Whether a person must look: nobody can be asked, or asking has not helped for too long."""
    if state is not State.UNKNOWN:
        return False
    return not terms.inquiry or now >= (operation.last_sent_at or operation.created_at) + horizon


def _mismatch(operation: Operation, said: Said) -> str | None:
    fact = said.fact
    if fact is None:
        return None
    bound = said.source in OURS
    if fact.partner_key is None and not bound:
        return "the message does not say which act it is about"
    if fact.partner_key is not None and fact.partner_key != operation.partner_key:
        return "the message names another key than the one under which the partner was asked"
    if operation.amount is None or operation.kind in ("policy", "claim", "quote"):
        return None
    if fact.amount is None:
        return None if bound else "the message does not state the amount"
    if fact.amount != operation.amount:
        return f"the message states {fact.amount}, but {operation.amount} was asked for"
    return None


def conflict(operation: Operation, said: Said, why: str, terms: Terms, now: datetime) -> Change:
    """Another amount or order: no state changes, a person is told, and the partner is asked at once.

    Where that is what the partner answered to our question, it is asked again at its rhythm: at once would be for ever.
    """
    items, raised = _raise(operation.attention, Attention.CONFLICT, said, now)
    events = ("attention",) if raised else ()
    asked = said.source is Source.INQUIRY
    inquiries = operation.inquiries + asked
    due = now if operation.open else operation.next_inquiry_at
    new = operation.changed(
        now,
        attention=items,
        reason=operation.reason or Reason(code="conflict", detail=why),
        inquiries=inquiries,
        next_inquiry_at=_next_inquiry(operation.state, inquiries, terms, now) if asked else due,
        sequence=operation.sequence + len(events),
    )
    return Change(new, operation.state, events, 0, raised)


def _weigh(
    operation: Operation, said: Said, terms: Terms, now: datetime
) -> tuple[State, Attention | None, Reason | None]:
    meaning, standing = said.meaning, operation.state
    if said.source is Source.PERSON and meaning in (Meaning.SUCCEEDED, Meaning.FAILED):
        return State(meaning.value), None, said.reason
    # A reply brings the doubt of its run along; recovery knows from the records that nothing which acts had left.
    doubt = said.in_doubt or (operation.may_have_acted and said.source not in (Source.REPLY, Source.RECOVERY))
    if standing in FINAL and meaning in ABOUT_THE_REQUEST.keys() | DOUBTS.keys() | {Meaning.NOT_FOUND}:
        return standing, None, operation.reason
    if meaning in ABOUT_THE_REQUEST:
        if said.source is Source.INQUIRY:
            # No answer about an act that a dead process left behind: it is in doubt, and is shown so.
            left_behind = standing is State.PROCESSING and operation.may_have_acted
            return (State.UNKNOWN if left_behind else standing), None, operation.reason or _reason(said, "no_proof")
        if doubt:
            return State.UNKNOWN, None, _reason(said, "no_proof")
        return State.FAILED, None, _reason(said, ABOUT_THE_REQUEST[meaning])
    if meaning in DOUBTS:
        keeps = said.source is Source.INQUIRY and standing is State.REQUIRES_ACTION
        return (standing if keeps else State.UNKNOWN), None, _reason(said, DOUBTS[meaning])
    if meaning is Meaning.NOT_FOUND:
        return _not_found(operation, said, terms, now)
    if meaning is Meaning.REQUIRES_ACTION and said.source is not Source.REPLY and _step_is_out(operation, terms, now):
        return standing, None, operation.reason
    state, attention = step(standing, meaning)
    if meaning is Meaning.UNDECLARED and said.source is Source.INQUIRY and standing is not State.PROCESSING:
        return standing, None, operation.reason
    if state == standing and state in FINAL:
        return state, attention, operation.reason
    return state, attention, _state_reason(state, said)


def _not_found(
    operation: Operation, said: Said, terms: Terms, now: datetime
) -> tuple[State, Attention | None, Reason | None]:
    """A failure only after the settle window, counted from the last send or the end of what the payer could do."""
    if said.source is not Source.INQUIRY:
        return State.UNKNOWN, None, _reason(said, "not_found")
    last_sent = operation.last_sent_at or operation.created_at
    until = operation.next_action_until
    if until is not None and now < until:
        return operation.state, None, operation.reason
    since = max(last_sent, until) if until is not None else last_sent
    if now >= since + terms.settle_window:
        return State.FAILED, None, _reason(said, "not_found")
    state = State.UNKNOWN if operation.state is State.PROCESSING else operation.state
    return state, None, operation.reason or _reason(said, "not_found")


def _step_is_out(operation: Operation, terms: Terms, now: datetime) -> bool:
    """Whether a step after a person's act may still arrive. That it is still required says only "not yet arrived", as
    `NOT_FOUND` does; believed too early, the same step would be open to be taken twice."""
    proceed = KINDS[operation.kind].proceed
    if proceed is None or operation.acted_verb != proceed.name or not operation.may_have_acted:
        return False
    return now < (operation.last_sent_at or operation.created_at) + terms.settle_window


def _reason(said: Said, code: str) -> Reason:
    if said.reason is not None:
        return said.reason
    fact = said.fact
    return Reason(
        code=code,
        partner_code=_shown(fact.code if fact else None),
        partner_message=_shown(fact.message if fact else None),
    )


def _shown(words: str | None) -> str | None:
    return words if words is None or len(words) <= SHOWN_CHARACTERS else words[: SHOWN_CHARACTERS - 1] + "…"


def _state_reason(state: State, said: Said) -> Reason | None:
    codes = {
        State.FAILED: "declined",
        State.CANCELLED: "cancelled",
        State.RETURNED: "returned",
        State.UNKNOWN: "undeclared_code" if said.fact else "no_proof",
    }
    return _reason(said, codes[state]) if state in codes else None


def _learnt(operation: Operation, said: Said, state: State, now: datetime) -> dict[str, Any]:
    fact = said.fact
    learnt: dict[str, Any] = {}
    if state in FINAL or state is State.PROCESSING:
        learnt |= {"next_action": None}
    status = _status(operation, said)
    if status is not None:
        learnt["status"] = status
    if state is State.SUCCEEDED and operation.amount is not None and operation.kind == "payment":
        learnt["reservable"] = _reservable(operation, operation.amount, fact)
    if fact is None:
        return learnt
    if fact.references:
        learnt["partner_references"] = {**operation.partner_references, **fact.references}
    result = fact.model_dump(mode="json", exclude=set(KEPT_ELSEWHERE), exclude_none=True)
    result = {name: value for name, value in result.items() if value not in ({}, [])}
    if result:
        learnt["result"] = {**operation.result, **result}
    if fact.memory is not None:
        learnt["memory"] = remembered(fact.memory)
    if said.next_action is not None and state is State.REQUIRES_ACTION:
        life = said.next_action.life
        learnt |= {
            "next_action": said.next_action,
            "next_action_until": now + life if life is not None else operation.next_action_until,
        }
    return learnt


def _reservable(operation: Operation, amount: Money, fact: Fact | None) -> int:
    """What refunds may take in all: what was captured. A message that does not say it takes nothing back."""
    captured = fact.captured if isinstance(fact, PaymentFact) else None
    if captured is None and operation.reservable is not None:
        return operation.reservable
    return (captured or amount).minor()


def remembered(memory: Memory) -> Mapping[str, Any]:
    """An adapter's memory as it is stored: the name of its class and its value."""
    return {"name": type(memory).__name__, "value": memory.model_dump(mode="json")}


def _status(operation: Operation, said: Said) -> str | None:
    """The status of what stands afterwards, if the table allows the step."""
    table = STANDING.get(KINDS[operation.kind].standing or "")
    if table is None or said.status is None or said.status not in table:
        return None
    if operation.status is None or said.status in table[operation.status]:
        return said.status
    return None


def _next_inquiry(
    state: State, inquiries: int, terms: Terms, now: datetime, horizon: timedelta = HORIZON
) -> datetime | None:
    if state in FINAL:
        if state is State.SUCCEEDED and inquiries < len(terms.watch):
            return now + timedelta(seconds=terms.watch[inquiries])
        return None
    if not terms.inquiry:
        # Nobody can be asked. In doubt it is with a person already; otherwise it is, if no news comes by then.
        return None if state is State.UNKNOWN else now + horizon
    return now + timedelta(seconds=terms.rhythm[min(inquiries, len(terms.rhythm) - 1)])


def _raise(
    standing: tuple[AttentionItem, ...], attention: Attention | None, said: Said, now: datetime
) -> tuple[tuple[AttentionItem, ...], tuple[Attention, ...]]:
    if attention is None or any(item.code is attention for item in standing):
        return standing, ()
    return (*standing, AttentionItem(code=attention, since=now, evidence=said.evidence)), (attention,)


def _events(
    operation: Operation, state: State, changed: bool, raised: tuple[Attention, ...], said: Said
) -> tuple[str, ...]:
    events = [state.value] if changed else []
    if raised:
        events.append("attention")
    if said.meaning is Meaning.UNDECLARED and said.fact is not None:
        events.append("drift")
    return tuple(events)


def _may_have_acted(operation: Operation, state: State, said: Said) -> bool:
    """Whether doubt remains: only a proven word about the act itself takes it away."""
    if state in FINAL:
        return False
    if said.meaning in (Meaning.PROCESSING, Meaning.SUCCEEDED):
        return False
    if said.meaning is Meaning.REQUIRES_ACTION and state is State.REQUIRES_ACTION:
        return False
    return operation.may_have_acted or said.in_doubt


def _released(operation: Operation, state: State) -> int:
    """A follow-up whose money did not move, or came back, gives its part back; a late success takes it again."""
    if not KINDS[operation.kind].reserves or operation.amount is None:
        return 0
    if state in MOVED_NOTHING and operation.state not in MOVED_NOTHING:
        return operation.amount.minor()
    if operation.state in MOVED_NOTHING and state not in MOVED_NOTHING:
        return -operation.amount.minor()
    return 0
