"""What a store knows of itself: which one it is, how far it has come, and when it was put back to an older day.

Rules
- The identity is drawn with the schema, and again in the commit that begins a quarantine: what was written before that
  elsewhere, and is lost here, belongs to another history.
- A quarantine is never deleted. It is over for a connection once somebody has cleared it, for that one or for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

__all__ = [
    "EVERY_CONNECTION",
    "Quarantine",
    "QuarantineBegan",
    "QuarantineCleared",
    "QuarantinePrepared",
    "QuarantineRow",
    "Quarantines",
    "Standing",
    "StoreMarked",
]

EVERY_CONNECTION: Final = "*"


@dataclass(frozen=True, slots=True)
class Standing:
    """The store's identity, whether a mark was ever written for it, and the number and moment of its last record."""

    identity: str
    marked: bool
    number: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The store may have forgotten what was sent. `cleared` names the connections for which it is over.

    `before` is the identity that the store had, `number` its last record then, `mark` the last record that was known
    outside (None: nothing was). Nothing that was sent before `lost_since` is lost (None: nobody knows). `prepared`:
    what was open then has been put in doubt.
    """

    id: str
    began_at: datetime
    cause: str
    before: str
    number: int
    mark: int | None
    lost_since: datetime | None
    prepared: bool = False
    cleared: frozenset[str] = frozenset()

    def holds(self, connection: str) -> bool:
        """Whether it is still on for `connection`."""
        return not self.cleared & {connection, EVERY_CONNECTION}


@dataclass(frozen=True, slots=True)
class QuarantineBegan:
    """From this commit on the store is in quarantine, and has another identity."""

    quarantine: Quarantine
    identity: str


@dataclass(frozen=True, slots=True)
class QuarantinePrepared:
    """Everything that was open when it began is in doubt now."""

    quarantine: str


@dataclass(frozen=True, slots=True)
class QuarantineCleared:
    """A person ends it for one connection, or for `EVERY_CONNECTION`. Clearing it again does nothing."""

    quarantine: str
    connection: str
    at: datetime
    actor: str


@dataclass(frozen=True, slots=True)
class StoreMarked:
    """A high-water mark was written for this store: from now on its absence means something."""


QuarantineRow = QuarantineBegan | QuarantinePrepared | QuarantineCleared | StoreMarked


class Quarantines(Protocol):
    """What a store answers about itself; every back end does."""

    async def standing(self) -> Standing:
        """Which store this is and how far it has come."""

    async def quarantines(self) -> list[Quarantine]:
        """Every quarantine that ever began, the oldest first."""
