"""One run of a verb as the wire sees it: what it may do, what it did, and what that leaves in doubt.

Rules
- The engine hands in a `Conduct` and reads the `Exchange` afterwards. Nothing that an adapter catches or returns
  changes what stands here.
- Doubt is the sum: `unsettled` is the OR over all sends of the act. A later send that provably did not arrive takes
  nothing away from an earlier one that may have.
- Knows no socket and no partner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gateway.model.message import Asked, Handoff, Reply
from gateway.model.problems import AdapterError, NotSent
from gateway.model.states import Meaning
from gateway.model.terms import Proof
from gateway.store.operation import Operation
from gateway.store.work import Work
from gateway.wire.observed import Observed
from gateway.wire.retry import Repeat

__all__ = ["Attempt", "Conduct", "Exchange", "ReplayDiffers"]


class ReplayDiffers(AdapterError):
    """A replay would send another body than the one on record, so nothing was sent."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """What one run of a verb may do on the wire.

    `repeat` is about its act (questions are always safe) and holds until `key_until` (None: for ever). `code` reads a
    reply's code from proven bytes and may raise. `deadline` is of the monotonic clock. `effects` False: the verb only
    reads. `expected_content`: a replay; SHA-256, in hexadecimal, that the act's body must have before it is signed.
    """

    repeat: Repeat
    key_until: datetime | None
    codes: Mapping[str, Meaning]
    code: Callable[[Reply], str | None]
    proof: Proof
    deadline: float
    effects: bool
    expected_content: str | None
    consent: str | None
    purpose: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was recorded and sent, or that failed to leave, and what was observed."""

    number: int
    effect: bool
    observed: Observed
    may_have_acted: bool  # always False for a question
    sent_at: datetime  # when its intent was durable and it was about to leave
    status: int | None = None
    code: str | None = None
    meaning: Meaning = Meaning.UNDECLARED
    detail: str | None = None
    retry_after: float | None = None  # seconds
    reply: Reply | None = None  # where it is genuine or a genuine "not now": its body is exactly what was proven
    intent: str = ""  # ids of the records
    outcome: str = ""


@dataclass(slots=True)
class Exchange:
    """One run of a verb. `chain` is where its records stand: the operation's id, or an id of its own."""

    work: Work
    conduct: Conduct
    chain: str
    client: str
    operation: str | None
    verb: str
    handoff: Handoff | None = None
    code: str | None = None  # the authorisation code that a browser brought back, until it is used
    attempts: list[Attempt] = field(default_factory=list)
    content: str | None = None  # SHA-256 of the act's body before it was signed

    def begin(self, asked: Asked, now: datetime) -> None:
        """Admit one request of the verb. Raises `AdapterError`, `ReplayDiffers` and `NotSent`; then nothing left."""
        if not asked.effect:
            return
        if not self.conduct.effects:
            raise AdapterError(f"{self.verb} only reads: it may `ask`, never `act`")
        if self.content is not None:
            raise AdapterError(f"{self.verb} acted twice; a verb has one effect, a second one belongs to another verb")
        content = hashlib.sha256(asked.request.body).hexdigest()
        if self.conduct.expected_content is not None:
            if content != self.conduct.expected_content:
                raise ReplayDiffers(
                    f"{self.verb} was to repeat an act, but gave another body than the one on record; build the body "
                    "from the initiation alone (`requested_at` is the time to use)"
                )
            if self.repeat(asked, now, 0.0) is Repeat.ONCE:
                raise NotSent(f"the partner may have forgotten the key of {self.chain}: repeating could act twice")
        self.content = content

    def repeat(self, asked: Asked, now: datetime, seconds_left: float) -> Repeat:
        """How often the partner may execute `asked`: a key counts only if it outlives the time that is left."""
        if not asked.effect:
            return Repeat.SAFE
        until = self.conduct.key_until
        if self.conduct.repeat is Repeat.KEYED and until is not None and now + timedelta(seconds=seconds_left) >= until:
            return Repeat.ONCE
        return self.conduct.repeat

    @property
    def unsettled(self) -> bool:
        """Whether a send of the act may have been executed without any genuine word about it."""
        return any(one.may_have_acted and one.observed is not Observed.GENUINE for one in self.attempts)

    @property
    def acted(self) -> bool:
        """Whether a send of the act may have been executed, answered or not."""
        return any(one.may_have_acted for one in self.attempts)

    @property
    def acted_and_heard(self) -> bool:
        """Whether the act got a genuine answer that does not rule it out."""
        return any(one.may_have_acted and one.observed is Observed.GENUINE for one in self.attempts)

    @property
    def evidence(self) -> str | None:
        """Id of the record that shows how the last attempt ended."""
        return self.attempts[-1].outcome if self.attempts else None

    @property
    def first_sent_at(self) -> datetime | None:
        """When something first left this machine, or may have."""
        return next((one.sent_at for one in self.attempts if one.observed is not Observed.NOT_SENT), None)

    @property
    def last_sent_at(self) -> datetime | None:
        """When something last left this machine, or may have."""
        return next((one.sent_at for one in reversed(self.attempts) if one.observed is not Observed.NOT_SENT), None)

    def summary(self, operation: Operation) -> dict[str, Any]:
        """What the operation remembers of this run. The key's life counts from the very first send."""
        return {
            "attempts": operation.attempts + max(1, len(self.attempts)),
            "first_sent_at": operation.first_sent_at or self.first_sent_at,
            "last_sent_at": self.last_sent_at or operation.last_sent_at,
        }
