"""How the state of an operation changes, as a table. Everything about transitions is here.

A partner's code *means* something; the table says what that meaning does to the state that stands. It knows no partner,
no clock and no store. Two rules shape it:

- An old message never overwrites a newer truth: once an act has ended, only a different end can change it.
- Doubt is never failure and an error is never success: a meaning that proves nothing leads to `unknown`.

`SEEN`, `UNKNOWN`, `NOT_FOUND`, `NOT_PROCESSED`, `BUSY` and `TOKEN_REFUSED` speak about one request or one question, not
about the act; what they do depends on what else was sent, so `operations.facts` weighs them before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = [
    "BUSY",
    "CANCELLED",
    "FAILED",
    "FINAL",
    "NOT_FOUND",
    "NOT_PROCESSED",
    "OPEN",
    "PROCESSING",
    "REQUIRES_ACTION",
    "RETURNED",
    "SEEN",
    "STANDING",
    "SUCCEEDED",
    "TOKEN_REFUSED",
    "TRANSITIONS",
    "UNKNOWN",
    "Attention",
    "Meaning",
    "State",
    "Step",
    "step",
]


class State(StrEnum):
    """Where an operation stands."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"


OPEN: Final = frozenset({State.PROCESSING, State.REQUIRES_ACTION, State.UNKNOWN})
FINAL: Final = frozenset(State) - OPEN


class Meaning(StrEnum):
    """What a partner's code says."""

    SUCCEEDED = "succeeded"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"  # bounced in full after it had succeeded
    SEEN = "seen"  # a duplicate of something known to the partner: inquire, it is no failure
    NOT_FOUND = "not_found"  # the partner knows no such act: a failure only after the settle window
    NOT_PROCESSED = "not_processed"  # this request was not executed; earlier ones may have been
    BUSY = "busy"  # a genuine "not now"; this request was not executed
    TOKEN_REFUSED = "token_refused"
    UNKNOWN = "unknown"  # the partner says itself that it does not know what became of the act
    UNDECLARED = "undeclared"  # a code that the terms do not list, or none at all


SUCCEEDED, PROCESSING, REQUIRES_ACTION = Meaning.SUCCEEDED, Meaning.PROCESSING, Meaning.REQUIRES_ACTION
FAILED, CANCELLED, RETURNED = Meaning.FAILED, Meaning.CANCELLED, Meaning.RETURNED
SEEN, NOT_FOUND, NOT_PROCESSED = Meaning.SEEN, Meaning.NOT_FOUND, Meaning.NOT_PROCESSED
BUSY, TOKEN_REFUSED, UNKNOWN = Meaning.BUSY, Meaning.TOKEN_REFUSED, Meaning.UNKNOWN


class Attention(StrEnum):
    """Why a person should look at an operation."""

    OVERDUE_UNKNOWN = "overdue_unknown"  # inquiries did not settle it within the horizon
    CONFLICT = "conflict"  # two messages contradict each other, or one names another amount or order
    LATE_SUCCESS = "late_success"  # it succeeded after it had been closed as failed or cancelled


class Step(NamedTuple):
    """What a meaning does: the state that stands afterwards and what a person must be told."""

    state: State
    attention: Attention | None = None


_S, _M, _A = State, Meaning, Attention


def _open(state: State) -> dict[tuple[State, Meaning], Step]:
    return {
        (state, _M.SUCCEEDED): Step(_S.SUCCEEDED),
        (state, _M.PROCESSING): Step(_S.PROCESSING),
        (state, _M.REQUIRES_ACTION): Step(_S.REQUIRES_ACTION),
        (state, _M.FAILED): Step(_S.FAILED),
        (state, _M.CANCELLED): Step(_S.CANCELLED),
        (state, _M.RETURNED): Step(_S.RETURNED),
        (state, _M.UNDECLARED): Step(_S.UNKNOWN),
    }


def _ended(state: State) -> dict[tuple[State, Meaning], Step]:
    """What never moves an operation that has ended: news of an earlier stage, and what says nothing."""
    return {(state, meaning): Step(state) for meaning in (_M.PROCESSING, _M.REQUIRES_ACTION, _M.UNDECLARED)}


TRANSITIONS: Final[Mapping[tuple[State, Meaning], Step]] = {
    **_open(State.PROCESSING),
    **_open(State.REQUIRES_ACTION),
    **_open(State.UNKNOWN),
    **_ended(State.SUCCEEDED),
    **_ended(State.FAILED),
    **_ended(State.CANCELLED),
    **_ended(State.RETURNED),
    # It happened; only the money's way back can follow. A refusal that comes now contradicts what was proven.
    (_S.SUCCEEDED, _M.SUCCEEDED): Step(_S.SUCCEEDED),
    (_S.SUCCEEDED, _M.RETURNED): Step(_S.RETURNED),
    (_S.SUCCEEDED, _M.FAILED): Step(_S.SUCCEEDED, _A.CONFLICT),
    (_S.SUCCEEDED, _M.CANCELLED): Step(_S.SUCCEEDED, _A.CONFLICT),
    # It was closed, and then it happened after all: the truth wins, and somebody must act on it.
    (_S.FAILED, _M.SUCCEEDED): Step(_S.SUCCEEDED, _A.LATE_SUCCESS),
    (_S.FAILED, _M.FAILED): Step(_S.FAILED),
    (_S.FAILED, _M.CANCELLED): Step(_S.FAILED),
    (_S.FAILED, _M.RETURNED): Step(_S.RETURNED, _A.LATE_SUCCESS),
    (_S.CANCELLED, _M.SUCCEEDED): Step(_S.SUCCEEDED, _A.LATE_SUCCESS),
    (_S.CANCELLED, _M.FAILED): Step(_S.CANCELLED),
    (_S.CANCELLED, _M.CANCELLED): Step(_S.CANCELLED),
    (_S.CANCELLED, _M.RETURNED): Step(_S.RETURNED, _A.LATE_SUCCESS),
    # It came back; the message of its success was only slower.
    (_S.RETURNED, _M.SUCCEEDED): Step(_S.RETURNED),
    (_S.RETURNED, _M.RETURNED): Step(_S.RETURNED),
    (_S.RETURNED, _M.FAILED): Step(_S.RETURNED),
    (_S.RETURNED, _M.CANCELLED): Step(_S.RETURNED),
}


def step(state: State, meaning: Meaning) -> Step:
    """What `meaning` does to `state`. Raises `KeyError` for meanings that are about a request only."""
    return TRANSITIONS[state, meaning]


STANDING: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    # status -> the statuses that may follow it
    "consent": {
        "pending": frozenset({"active", "rejected", "expired", "revoked", "consumed"}),
        "active": frozenset({"expired", "revoked", "consumed"}),
        "expired": frozenset({"active"}),  # re-authorised at the bank
        "revoked": frozenset({"active"}),
        "rejected": frozenset(),
        "consumed": frozenset(),
    },
    "policy": {
        "pending_issue": frozenset({"in_force", "lapsed", "cancelled", "expired"}),
        "in_force": frozenset({"lapsed", "cancelled", "expired"}),
        "lapsed": frozenset({"in_force", "cancelled", "expired"}),
        "cancelled": frozenset(),
        "expired": frozenset(),
    },
    "claim": {
        "filed": frozenset({"in_review", "approved", "paid", "rejected", "withdrawn"}),
        "in_review": frozenset({"approved", "paid", "rejected", "withdrawn"}),
        "approved": frozenset({"paid", "rejected"}),
        "paid": frozenset(),
        "rejected": frozenset({"in_review"}),
        "withdrawn": frozenset(),
    },
}
"""Status tables of what an act created and what lives on after it."""
