"""A unit of work: rows that wait for a commit. It is a list, not an open transaction; none spans an await.

`intend` is the gate in front of the wire: it commits everything that waits together with the intent, and only what it
returns opens the transport. A work that lost a race is poisoned, so an adapter that swallows the exception cannot send.
"""

from __future__ import annotations

from gateway.store.interface import (
    Draft,
    EventStaged,
    OperationChanged,
    Recorded,
    Released,
    Row,
    Stale,
    Store,
    Taken,
    Unchanged,
)

__all__ = ["Durable", "Work"]

_KEY = object()


class Durable:
    """Proof that an intent is on disk. Only `Work.intend` can make one; it opens the transport once."""

    __slots__ = ("digest", "intent", "used")

    def __init__(self, key: object, intent: str, digest: str | None) -> None:
        if key is not _KEY:
            raise TypeError("only Work.intend gives this proof")
        self.intent = intent
        self.digest = digest
        self.used = False


class Work:
    """Rows of one call. `add` them as they arise; `intend` and `commit` make them durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: list[Row] = []
        self._poison: Exception | None = None
        self.committed = False  # whether anything of it is durable

    @property
    def waiting(self) -> tuple[Row, ...]:
        return tuple(self._rows)

    def add(self, *rows: Row) -> None:
        self._rows.extend(rows)

    async def intend(self, intent: Draft) -> Durable:
        """Commit what waits and the intent together.

        Raises `Taken`, `Stale`, `StorageError`; then nothing may leave.
        """
        self._rows.append(Recorded(intent))
        try:
            await self.commit()
        except Stale as stale:
            self._rows.pop()
            self._poison = stale
            raise
        return Durable(_KEY, intent.id, intent.digest)

    async def commit(self) -> None:
        """Commit what waits; with nothing waiting it does nothing. Raises `Taken`, `Stale`, `StorageError`."""
        if self._poison is not None:
            raise self._poison
        rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            await self._store.commit(rows)
            self.committed = True
        except Taken as lost:
            self._poison = lost
            raise
        except Stale:
            # The caller decides again from what stands now; its other rows must not be lost meanwhile.
            self._rows = rows + self._rows
            raise

    def drop_changes(self) -> None:
        """Take back the operation's staged change, its record and its events, before deciding again after `Stale`.

        What was observed stays: it happened, whatever is made of it.
        """
        self._rows = [row for row in self._rows if not _decided(row)]


def _decided(row: Row) -> bool:
    """Whether the row says what was made of a fact, or on which version, rather than what was observed."""
    if isinstance(row, Recorded):
        return row.draft.kind == "change"
    return isinstance(row, OperationChanged | Unchanged | EventStaged | Released)
