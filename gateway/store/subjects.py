"""What the store keeps so that everything about a person can be found again, without naming the person.

Rules
- A subject stands here as a tag alone: an HMAC under a key that is not in the store.
- `Forgotten` takes away what could be guessed at from the outside once the rest is unreadable: digests of messages. The
  leaves hold none of them but salted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["CallbackMatched", "Forgotten", "SubjectRow", "Subjects", "SubjectTagged"]


@dataclass(frozen=True, slots=True)
class SubjectTagged:
    """The operation is about the person of this tag."""

    client: str
    tag: str
    operation: str


@dataclass(frozen=True, slots=True)
class CallbackMatched:
    """The callback was about the operation. Again: nothing changes."""

    callback: str
    operation: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The digests of an operation's messages, and of the callbacks about it, are gone."""

    operation: str


SubjectRow = SubjectTagged | CallbackMatched | Forgotten


class Subjects(Protocol):
    """What a store answers about persons; every back end does."""

    async def operations_about(self, client: str, tag: str) -> list[str]:
        """Ids of the operations that are about the person of this tag, the oldest first."""

    async def callbacks_about(self, operation: str) -> list[str]:
        """Ids of the callbacks that were about an operation."""
