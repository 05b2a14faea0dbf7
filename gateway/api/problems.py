"""Problems as they are written out (RFC 9457): from a refusal, from an operation that failed, from our own failures.

Rules
- Every problem says `outcome` (may money have moved?) and `retry` (what is safe next?), so that nobody has to guess.
- Nothing internal is written out: no exception's text but that of a `Refused`, which is meant for the caller.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.model.problems import Conflicting, FieldError, NotFound, Outcome, Refused, Retry
from gateway.operations.view import public
from gateway.store.operation import Operation

__all__ = [
    "MEDIA_TYPE",
    "Problem",
    "failure",
    "not_found",
    "of_operation",
    "of_refusal",
    "refused",
    "running",
    "wrong_parameter",
]

MEDIA_TYPE: Final = "application/problem+json"

NOT_SENT_REASONS: Final = frozenset({"not_sent", "no_answer", "token_refused", "busy", "not_found"})
"""Reasons of a failed operation for which the partner's own word about the act was never heard: it did not happen."""

EARLIER_CALLS: Final = frozenset({"call_in_progress", "reference_taken"})
"""Refusals that point to an earlier call for the same act: nothing was sent for this one, but that one may act."""

MOST_ERRORS: Final = 50
"""Field errors that are listed; a body that has more is no body of ours."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem ready to be written; `members` are extensions, such as `operation`."""

    kind: str
    detail: str
    status: int
    outcome: Outcome
    retry: Retry
    retry_after_seconds: int | None = None
    errors: tuple[FieldError, ...] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    more_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        after = {} if self.retry_after_seconds is None else {"Retry-After": str(self.retry_after_seconds)}
        return {**self.more_headers, **after}

    def body(self, request_id: str) -> bytes:
        """The document; `type` is relative to this gateway, where a page explains it."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.kind}",
            "title": PROBLEM_KINDS[self.kind].title if self.kind in PROBLEM_KINDS else "Refused",
            "status": self.status,
            "detail": self.detail,
            "outcome": self.outcome.value,
            "retry": self.retry.value,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = [{"path": e.path, "detail": e.detail} for e in self.errors[:MOST_ERRORS]]
        document.update({name: value for name, value in self.members.items() if name not in document})
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def of_refusal(refusal: Refused) -> Problem:
    """A refusal: nothing was sent."""
    return Problem(
        kind=refusal.kind,
        detail=refusal.detail,
        status=refusal.status,
        outcome=Outcome.UNKNOWN if refusal.kind in EARLIER_CALLS else Outcome.NOT_SENT,
        retry=refusal.retry,
        retry_after_seconds=refusal.retry_after_seconds,
        errors=refusal.fields,
        members=refusal.members,
    )


def of_operation(operation: Operation) -> Problem:
    """The answer to a call whose operation failed for certain; the whole operation goes with it."""
    reason = operation.reason
    code = reason.code if reason else "failed"
    said = reason.detail or reason.partner_message if reason else None
    members = {"operation": public(operation)}
    if code == "declined":
        detail = f"{operation.partner} declined: {said}" if said else f"{operation.partner} declined"
        return Problem("declined", detail, 422, Outcome.DECLINED, Retry.NEW_REFERENCE, members=members)
    # What the partner refused to process, by a code of its own, is no failure of a server: it would be refused again.
    refused_by_partner = code == "not_sent" and reason is not None and reason.partner_code is not None
    if code in NOT_SENT_REASONS and not refused_by_partner:
        detail = said or "the act did not happen"
        return Problem("not_sent", detail, 503, Outcome.NOT_SENT, Retry.NEW_REFERENCE, members=members)
    detail = said or f"it failed ({code})"
    return Problem("failed", detail, 422, Outcome.NOT_SENT, Retry.NEW_REFERENCE, members=members)


def failure(kind: str, *, acts: bool) -> Problem:
    """Our own failure. A call that `acts` may have acted: its own key tells, and acts once at most."""
    known = PROBLEM_KINDS[kind]
    outcome = Outcome.UNKNOWN if acts else Outcome.NOT_SENT
    retry = Retry.SAME_KEY if acts else Retry.AFTER
    return Problem(kind, known.meaning if acts else known.title, known.status, outcome, retry, 5)


def refused(kind: str, detail: str, **more: Any) -> Refused:
    """A refusal of this floor, with the status of its kind."""
    return Refused(detail, kind=kind, status=PROBLEM_KINDS[kind].status, **more)


def wrong_parameter(name: str, detail: str) -> Refused:
    """One wrong query parameter."""
    return refused("invalid_query", f"{name} {detail}", fields=[FieldError(name, detail)])


def not_found(what: str, id: str) -> Refused:
    """There is no such thing for this client."""
    return NotFound(f"there is no {what} {id!r}")


def running(operation: Operation) -> Refused:
    """The call of this operation has not ended: what would ask about it must wait."""
    return Conflicting(
        f"the call of {operation.id} is still running",
        kind="call_in_progress",
        retry=Retry.AFTER,
        retry_after_seconds=1,
        members={"operation": operation.id},
    )
