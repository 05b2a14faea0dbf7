"""Numbers that a writer gives inside its transaction: operations, records in store, chain and process, and events.

Rules
- No number is left out: what a rolled-back transaction gave is given again. `mark` and `back_to` go with savepoints.
- Valid only while nobody else writes: one process on a file, or whoever holds the lock on the numbers of a database.
- Pure: it asks nobody. Ends of chains that it does not know are named by `unknown` and told by `learn`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.store.interface import Draft

__all__ = ["Mark", "Numbering", "Place"]

REMEMBERED_CHAINS: Final = 20_000
"""Ends of chains kept in memory, so that the record after an intent needs no query."""


class Mark(NamedTuple):
    """Where the numbers stood."""

    opened: int
    position: int
    cursor: int
    counter: int
    ends: dict[str, tuple[int, str]]


class Place(NamedTuple):
    """A finished record: its place in the store and in its chain, its leaf and the leaf's hash."""

    position: int
    number: int
    leaf: bytes
    hash: str


class Numbering:
    """The last numbers given: operations `opened`, records' `position`, events' `cursor`, and the process's counter."""

    def __init__(self, opened: int = 0, position: int = 0, cursor: int = 0) -> None:
        self.opened = opened
        self.position = position
        self.cursor = cursor
        self._counter = 0
        self._ends: dict[str, tuple[int, str]] = {}  # committed: number and hash of a chain's last record
        self._new_ends: dict[str, tuple[int, str]] = {}  # of this transaction

    def mark(self) -> Mark:
        """Where the numbers stand, for `back_to`."""
        return Mark(self.opened, self.position, self.cursor, self._counter, dict(self._new_ends))

    def back_to(self, mark: Mark) -> None:
        """Forget numbers that were given since; the rows that carried them were rolled back."""
        self.opened, self.position, self.cursor, self._counter, ends = mark
        self._new_ends = dict(ends)

    def committed(self) -> None:
        """The transaction is durable: what was numbered stays so."""
        self._ends.update(self._new_ends)
        self._new_ends.clear()
        while len(self._ends) > REMEMBERED_CHAINS:
            del self._ends[next(iter(self._ends))]

    def overtaken(self, opened: int, position: int, cursor: int) -> None:
        """Somebody else wrote meanwhile: the numbers stand here now, and ends of chains must be learnt again."""
        self.opened, self.position, self.cursor = opened, position, cursor
        self._ends.clear()

    def open(self, count: int) -> range:
        """Numbers for so many operations."""
        self.opened += count
        return range(self.opened - count + 1, self.opened + 1)

    def stage(self, count: int) -> range:
        """Cursors for so many events."""
        self.cursor += count
        return range(self.cursor - count + 1, self.cursor + 1)

    def unknown(self, chains: Iterable[str]) -> list[str]:
        """Those of `chains` whose end must be learnt before a record can be placed; each is named once."""
        return [chain for chain in dict.fromkeys(chains) if chain not in self._new_ends and chain not in self._ends]

    def learn(self, chain: str, number: int, hash_: str) -> None:
        """The last record of `chain` as it is stored. A chain that has none is not told."""
        self._new_ends[chain] = (number, hash_)

    def place(self, draft: Draft) -> Place:
        """Finish `draft` behind the last record of its chain. Raises what finishing it raises, and gives no number."""
        number, previous = self._new_ends.get(draft.chain) or self._ends.get(draft.chain) or (0, "")
        leaf, hash_ = draft.finish(number + 1, previous, self._counter + 1)
        self._counter += 1
        self.position += 1
        self._new_ends[draft.chain] = (number + 1, hash_)
        return Place(self.position, number + 1, leaf, hash_)
