"""The retry decision: may this request be sent again?

Rules of this module
- It decides from facts only: how often the partner may execute the request, and what was observed.
  It knows no partner, no clock and no socket, and it has no memory.
- It never says what happened to the money. Doubt is the sum over all sends; `operations` keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

from gateway.wire.observed import Observed

__all__ = ["DECISIONS", "Decision", "Pace", "Repeat", "backoff", "decide", "retry_after_seconds"]


class Repeat(Enum):
    """How often the partner may execute the same request."""

    SAFE = "a question: it has no effect"
    KEYED = "the same key has the same effect once, as long as the partner remembers it"
    ONCE = "each request that arrives may act anew"


class Decision(Enum):
    """What to do after one attempt."""

    STOP = "what was observed is the answer"
    RETRY = "send again, after a pause"
    RENEW = "get a new token, then send again at once"


DECISIONS: Final[Mapping[tuple[Repeat, Observed], Decision]] = {
    # Nothing left this machine: the partner cannot have acted.
    (Repeat.SAFE, Observed.NOT_SENT): Decision.RETRY,
    (Repeat.KEYED, Observed.NOT_SENT): Decision.RETRY,
    (Repeat.ONCE, Observed.NOT_SENT): Decision.RETRY,
    # Headers left and no reply came: a question may be asked again, and the same key has the same effect once (the
    # partner's promise). What may act twice stays in doubt; only an inquiry can tell.
    (Repeat.SAFE, Observed.SILENCE): Decision.RETRY,
    (Repeat.KEYED, Observed.SILENCE): Decision.RETRY,
    (Repeat.ONCE, Observed.SILENCE): Decision.STOP,
    # The same: a reply that proves nothing may have been written by a proxy after it had passed the request on.
    (Repeat.SAFE, Observed.UNPROVEN): Decision.RETRY,
    (Repeat.KEYED, Observed.UNPROVEN): Decision.RETRY,
    (Repeat.ONCE, Observed.UNPROVEN): Decision.STOP,
    # The partner itself says that it did not execute this request.
    (Repeat.SAFE, Observed.BUSY): Decision.RETRY,
    (Repeat.KEYED, Observed.BUSY): Decision.RETRY,
    (Repeat.ONCE, Observed.BUSY): Decision.RETRY,
    # For what may act twice, `observed.classify` says so only where the code proves that nothing was executed.
    (Repeat.SAFE, Observed.TOKEN_STALE): Decision.RENEW,
    (Repeat.KEYED, Observed.TOKEN_STALE): Decision.RENEW,
    (Repeat.ONCE, Observed.TOKEN_STALE): Decision.RENEW,
    # A second new token would be refused as well.
    (Repeat.SAFE, Observed.TOKEN_REFUSED): Decision.STOP,
    (Repeat.KEYED, Observed.TOKEN_REFUSED): Decision.STOP,
    (Repeat.ONCE, Observed.TOKEN_REFUSED): Decision.STOP,
    # It is answered.
    (Repeat.SAFE, Observed.GENUINE): Decision.STOP,
    (Repeat.KEYED, Observed.GENUINE): Decision.STOP,
    (Repeat.ONCE, Observed.GENUINE): Decision.STOP,
}


def decide(repeat: Repeat, observed: Observed) -> Decision:
    """Say what to do after one attempt. Total: every combination has a row, and a test walks them all."""
    return DECISIONS[repeat, observed]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how fast one request may be sent again; seconds."""

    attempts: int = 3
    base_seconds: float = 0.2
    cap_seconds: float = 20.0
    shortest_seconds: float = 0.05  # an attempt with less time than this is not begun
    attempt_seconds: float = 15.0  # longest wait for one reply, where the request may be sent again


def backoff(pace: Pace, attempt: int, chance: float, asked_for: float | None = None) -> float:
    """Seconds before the attempt after number `attempt`: full jitter, and at least what the partner `asked_for`.

    `chance` is drawn from [0, 1).
    """
    jitter = chance * min(pace.cap_seconds, pace.base_seconds * 2.0 ** (attempt - 1))
    return max(jitter, asked_for or 0.0)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """The header `Retry-After` (RFC 9110 section 10.2.3), seconds or a date; None if it is missing or is neither."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        return None
    return max(0.0, (until - now).total_seconds())
