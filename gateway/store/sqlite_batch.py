"""One batch inside its transaction: rows of many callers are written together, and each caller keeps its own fate.

Rules
- Runs in the writer's thread, inside a transaction that `sqlite_writer` began and ends.
- `together` writes the rows of all callers table by table. Whatever collides makes it raise; then the transaction is
  rolled back and `alone` writes one caller after the other, each inside a savepoint, and says exactly what was taken.
- `together` is stricter than `alone`, never laxer: nobody opens where a sibling was open before the batch, and nobody
  reserves what the same batch gives back.
- Numbers come from memory: this is the only writer, and the process's lock on the file keeps it so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import apsw

from gateway.store import sqlite_quarantine, sqlite_subjects
from gateway.store import sqlite_rows as sql
from gateway.store.interface import (
    CallbackSettled,
    CallbackStored,
    Draft,
    EventStaged,
    KeyClaimed,
    OperationChanged,
    OperationOpened,
    Recorded,
    Released,
    Reserved,
    Stale,
    Taken,
    TokenDropped,
    TokenKept,
    Unchanged,
)
from gateway.store.numbering import Numbering
from gateway.store.sqlite_rows import Bound, ManyRows, Values, microseconds
from gateway.store.sqlite_webhooks import WRITERS, taken_by
from gateway.store.webhooks import EndpointAdded

__all__ = ["Batch"]


class Batch:
    """Writes rows over `connection` and gives the numbers. One object serves all batches of a process."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.numbers = Numbering(
            self._last("SELECT max(row) FROM operations"),
            self._last("SELECT max(position) FROM records"),
            self._last("SELECT max(cursor) FROM events"),
        )
        # The order in which `together` writes; that of changes, reservations and releases is the strict one.
        self._write: dict[type[Any], Callable[[Sequence[Bound]], None]] = {
            Unchanged: self._compare,
            KeyClaimed: self._claim,
            OperationOpened: self._open,
            OperationChanged: self._change,
            Reserved: self._reserve,
            Released: self._release,
            Recorded: self._record,
            EventStaged: self._stage,
            CallbackStored: self._keep_callbacks,
            CallbackSettled: self._settle_callbacks,
            TokenKept: self._keep_tokens,
            TokenDropped: self._drop_tokens,
            **{kind: partial(self._each, write) for kind, write in {**WRITERS, **sqlite_quarantine.WRITERS}.items()},
            **{kind: partial(self._each, write) for kind, write in sqlite_subjects.WRITERS.items()},
        }

    def _last(self, query: str) -> int:
        return self._connection.execute(query).get or 0

    def together(self, callers: Iterable[Sequence[Bound]]) -> None:
        """Write the rows of all callers. Whatever it raises only says: `alone` must find out whose fault it is."""
        groups: dict[type[Any], list[Bound]] = {}
        for rows in callers:
            for bound in rows:
                groups.setdefault(type(bound.row), []).append(bound)
        for kind, write in self._write.items():
            if kind in groups:
                write(groups[kind])

    def alone(self, rows: Sequence[Bound]) -> None:
        """Write the rows of one caller, in its order. Raises `Taken`, `Stale`, or what finishing a record raises."""
        for bound in rows:
            try:
                self._write[type(bound.row)]([bound])
            except apsw.ConstraintError as refused:
                raise self._explained(bound, refused) from None

    def _insert(self, statement: ManyRows, rows: Sequence[Values]) -> None:
        for text, values, _ in statement.portions(rows):
            self._connection.execute(text, values)

    def _compare(self, group: Sequence[Bound]) -> None:
        for bound in group:
            if (
                self._connection.execute("SELECT version FROM operations WHERE id = ?1", bound.values[:1]).get
                != bound.values[1]
            ):
                raise Stale(bound.values[0])

    def _claim(self, group: Sequence[Bound]) -> None:
        self._insert(sql.KEYS, [bound.values for bound in group])

    def _open(self, group: Sequence[Bound]) -> None:
        places = self.numbers.open(len(group))
        self._insert(sql.OPERATIONS, [(place, *bound.values) for place, bound in zip(places, group, strict=True)])
        opened: list[OperationOpened] = [bound.row for bound in group if isinstance(bound.row, OperationOpened)]
        links = [
            (name, value, row.operation.client, place)
            for place, row in zip(places, opened, strict=True)
            for name, value in row.operation.links_to.items()
        ]
        self._insert(sql.LINKS, links)
        self._refuse_siblings([row for row in opened if row.siblings])

    def _refuse_siblings(self, opened: Sequence[OperationOpened]) -> None:
        """Runs after the insert, so that two of the same batch see each other."""
        if not opened:
            return
        asked = [(row.operation.client, row.operation.kind, row.siblings, row.operation.id) for row in opened]
        found: list[Any] = self._connection.execute(
            "SELECT asked.key, other.id FROM json_each(?) AS asked CROSS JOIN operations AS other"
            " WHERE other.open = 1 AND other.client = asked.value ->> 0 AND other.kind = asked.value ->> 1"
            " AND other.siblings = asked.value ->> 2 AND other.id <> asked.value ->> 3",
            (json.dumps(asked),),
        ).fetchall()
        for index, other in found:
            if other not in opened[index].despite:
                raise Taken("sibling", other)

    def _change(self, group: Sequence[Bound]) -> None:
        for text, values, count in sql.CHANGES.portions([bound.values for bound in group]):
            self._connection.execute(text, values)
            if self._connection.changes() != count:
                raise Stale(values[0])

    def _reserve(self, group: Sequence[Bound]) -> None:
        for bound in group:
            self._connection.execute(
                "UPDATE operations SET reserved = reserved + ?1 WHERE id = ?2 AND client = ?3 AND state = 'succeeded'"
                " AND reserved + ?1 <= reservable",
                bound.values,
            )
            if not self._connection.changes():
                raise Taken("reservation", bound.values[1])

    def _release(self, group: Sequence[Bound]) -> None:
        for bound in group:
            self._update("UPDATE operations SET reserved = reserved - ?1 WHERE id = ?2 AND client = ?3", bound)

    def _record(self, group: Sequence[Bound]) -> None:
        drafts = [bound.row.draft for bound in group if isinstance(bound.row, Recorded)]
        self._learn_ends(self.numbers.unknown(draft.chain for draft in drafts))
        self._insert(sql.RECORDS, [self._finished(draft) for draft in drafts])

    def _learn_ends(self, chains: Sequence[str]) -> None:
        """Ask for the ends of the chains that this process has not written to yet, all in one query."""
        if not chains:
            return
        found: list[Any] = self._connection.execute(
            "SELECT chain, number, hash FROM json_each(?) AS asked CROSS JOIN records"
            " WHERE chain = asked.value AND number = (SELECT max(number) FROM records WHERE chain = asked.value)",
            (json.dumps(chains),),
        ).fetchall()
        for chain, number, hash_ in found:
            self.numbers.learn(chain, number, hash_)

    def _finished(self, draft: Draft) -> Values:
        place = self.numbers.place(draft)
        return (
            place.position,
            draft.id,
            draft.chain,
            place.number,
            draft.client,
            draft.kind,
            microseconds(draft.at),
            place.leaf,
            place.hash,
            draft.digest,
            draft.content,
            draft.body,
        )

    def _stage(self, group: Sequence[Bound]) -> None:
        cursors = self.numbers.stage(len(group))
        self._insert(sql.EVENTS, [(cursor, *bound.values) for cursor, bound in zip(cursors, group, strict=True)])

    def _keep_callbacks(self, group: Sequence[Bound]) -> None:
        self._insert(sql.CALLBACKS, [bound.values for bound in group])

    def _settle_callbacks(self, group: Sequence[Bound]) -> None:
        for bound in group:
            self._update("UPDATE callbacks SET verdict = ? WHERE id = ?", bound)

    def _keep_tokens(self, group: Sequence[Bound]) -> None:
        for bound in group:
            self._connection.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?, ?, ?)", bound.values)

    def _drop_tokens(self, group: Sequence[Bound]) -> None:
        for bound in group:
            self._connection.execute("DELETE FROM tokens WHERE connection = ? AND name = ?", bound.values)

    def _each(self, write: Callable[[apsw.Connection, Values], None], group: Sequence[Bound]) -> None:
        for bound in group:
            write(self._connection, bound.values)

    def _update(self, statement: str, bound: Bound) -> None:
        self._connection.execute(statement, bound.values)
        if not self._connection.changes():
            raise ValueError(f"{bound.row} is about something that does not exist")

    def _explained(self, bound: Bound, refused: apsw.ConstraintError) -> Exception:
        """Which unique key it was, and who holds it."""
        row = bound.row
        if isinstance(row, KeyClaimed):
            operation, fingerprint = self._connection.execute(
                "SELECT operation, fingerprint FROM keys WHERE client = ? AND key = ?", (row.client, row.key)
            ).get
            return Taken("key", operation, fingerprint)
        if isinstance(row, CallbackStored):
            query = "SELECT id FROM callbacks WHERE connection = ? AND digest = ?"
            return Taken("callback", self._connection.execute(query, (row.connection, row.digest)).get)
        if isinstance(row, OperationOpened):
            return self._explained_operation(row)
        if isinstance(row, EndpointAdded):
            return taken_by(self._connection, row)
        if isinstance(row, Released):
            return ValueError(f"{row.parent} holds less than {row.amount}: it was given back before")
        return ValueError(f"{type(row).__name__} cannot be stored: {refused}")

    def _explained_operation(self, row: OperationOpened) -> Taken:
        one = row.operation
        query = "SELECT id FROM operations WHERE client = ? AND kind = ? AND reference = ?"
        holder = self._connection.execute(query, (one.client, one.kind, one.reference)).get
        if holder is not None:
            return Taken("reference", holder)
        query = (
            "SELECT id FROM operations WHERE connection = ? AND kind = ? AND partner_key = ?"
            " AND state NOT IN ('failed', 'cancelled')"
        )
        holder = self._connection.execute(query, (one.connection, one.kind, one.partner_key)).get
        if holder is not None:
            return Taken("partner_key", holder)
        return Taken("operation", one.id)
