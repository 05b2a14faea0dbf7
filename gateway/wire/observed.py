"""What one attempt showed on the wire, by one pure function over facts.

Rules of this module
- It knows no partner, no clock and no socket. What left this machine is told by the transport's flag, never by the
  name of an exception.
- Only proven bytes say anything about money. A bare refusal of the token is the one thing that is believed without
  proof, and then only where the partner may execute the request again.
- A code decides what became of an act; here it only tells "not now" and "not with this token" from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from gateway.model.states import Meaning
from gateway.model.terms import Proof

__all__ = ["BROKEN", "Observed", "Seen", "Verdict", "classify", "may_have_acted"]


class Observed(Enum):
    """What was observed; with how often the partner may execute the request, it decides whether to send again."""

    NOT_SENT = "no header left this machine"
    SILENCE = "headers left, no complete reply came"
    UNPROVEN = "a reply came that proves nothing (unsigned, badly signed, made by something in between)"
    BUSY = "a genuine 'not now'"
    TOKEN_STALE = "the token was refused; none was renewed in this call yet"
    TOKEN_REFUSED = "the token renewed in this call was refused too"
    GENUINE = "a genuine reply"


class Verdict(StrEnum):
    """What the scheme said about a reply."""

    NONE = "none"  # there was no complete reply to look at
    PROVEN = "proven"
    BAD = "bad"
    UNKNOWN_KEY = "unknown_key"


BROKEN: Final = frozenset({"malformed", "too_large", "compressed"})
"""Kinds of failure with which something did come back, though nothing that can be a reply."""

NOT_EXECUTED: Final = frozenset({Meaning.NOT_PROCESSED, Meaning.BUSY, Meaning.TOKEN_REFUSED})
"""What a proven code must mean so that this very request was not executed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The facts of one attempt. `status` None: no complete reply came, and `failure` is the transport's kind of it.

    `code` was read from proven bytes, and `meaning` is what the terms say about it.
    """

    headers_sent: bool
    failure: str | None = None
    status: int | None = None
    retry_after: bool = False
    verdict: Verdict = Verdict.NONE
    code: str | None = None
    meaning: Meaning = Meaning.UNDECLARED


def classify(
    seen: Seen,
    *,
    once: bool = False,
    proof: Proof = Proof.SIGNATURE,
    refused: frozenset[str | int] = frozenset(),
    renewed: bool = False,
) -> Observed:
    """Name what was observed. Total: every combination has an answer.

    `once`: the partner may execute the request again if it is sent again. `refused`: how the request's grant says that
    a refusal of its token looks (empty: the request carries no token); `renewed`: it was renewed in this call.
    """
    # 1. Is there a complete reply?
    if seen.status is None:
        if not seen.headers_sent:
            return Observed.NOT_SENT
        return Observed.UNPROVEN if seen.failure in BROKEN else Observed.SILENCE
    proven = seen.verdict is Verdict.PROVEN and _speaks_for_the_partner(seen.status, proof)
    # 2. Does it refuse the token? Where a repetition could act twice, a bare status is not enough.
    if refused and _refuses_the_token(seen, proven, refused):
        if once and not (proven and seen.meaning is Meaning.TOKEN_REFUSED):
            return Observed.UNPROVEN
        return Observed.TOKEN_REFUSED if renewed else Observed.TOKEN_STALE
    # 3. Is it the partner's word?
    if not proven:
        return Observed.UNPROVEN
    # 4. Does it say "not now"? Statuses count only where the terms say nothing about the code.
    if seen.meaning is Meaning.BUSY:
        return Observed.BUSY
    if seen.meaning is Meaning.UNDECLARED and (seen.status == 429 or (seen.status == 503 and seen.retry_after)):
        return Observed.BUSY
    # 5. Then its code decides, on another floor.
    return Observed.GENUINE


def may_have_acted(observed: Observed, meaning: Meaning) -> bool:
    """Whether the partner may have executed the request that ended so. Total."""
    if observed in (Observed.NOT_SENT, Observed.BUSY):
        return False
    if observed in (Observed.SILENCE, Observed.UNPROVEN):
        return True
    return meaning not in NOT_EXECUTED


def _speaks_for_the_partner(status: int, proof: Proof) -> bool:
    """A redirect is never followed and no protocol of ours answers with one. Where only the channel proves, what a
    proxy writes by itself (408, 500 and more) may have been written after it had passed the request on."""
    if status < 200 or 300 <= status < 400:
        return False
    return proof is Proof.SIGNATURE or not (status == 408 or status >= 500)


def _refuses_the_token(seen: Seen, proven: bool, refused: frozenset[str | int]) -> bool:
    if proven and (seen.meaning is Meaning.TOKEN_REFUSED or seen.code in refused):
        return True
    # A proven code that the terms explain otherwise goes before the status under which it came.
    explained = proven and seen.meaning is not Meaning.UNDECLARED
    return seen.status in refused and not explained
