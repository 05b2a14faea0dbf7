"""One batch inside its transaction: rows of many callers are written together, and each caller keeps its own fate.

Rules
- Runs inside a transaction that `postgres_writer` began and ends, and that has taken the `lock` first. The lock is one
  row: whoever holds it is the only writer among all processes. So there is one order of locks, numbers have no gaps,
  and nobody reads an event before all that have smaller cursors are there to be read.
- `together` writes the rows of all callers table by table. Whatever collides makes it raise; then the writer rolls back
  to a savepoint and tries fewer callers, until the one that collides is `alone` and is told exactly what was taken.
- `together` is stricter than `alone`, never laxer: nobody opens where a sibling was open before the batch, and nobody
  reserves what the same batch gives back.
- Numbers come from memory as long as no other process wrote in between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import asyncpg

from gateway.store import postgres_quarantine, postgres_subjects
from gateway.store import postgres_rows as sql
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
from gateway.store.postgres_rows import Bound, ManyRows, Values
from gateway.store.postgres_webhooks import TAKEN_BY, WRITERS
from gateway.store.webhooks import EndpointAdded

__all__ = ["Batch", "Colliding"]

LOCK: Final = (
    "UPDATE heads SET opened = opened + $1, position = position + $2, cursor = cursor + $3, before = writer,"
    " writer = $4 RETURNING opened - $1, position - $2, cursor - $3, before"
)
CORRECT: Final = "UPDATE heads SET opened = $1, position = $2, cursor = $3"
HOLDING: Final = "SELECT id FROM operations WHERE connection = $1 AND kind = $2 AND partner_key = $3"
HOLDERS: Final = (
    ("reference", "SELECT id FROM operations WHERE client = $1 AND kind = $2 AND reference = $3"),
    ("partner_key", f"{HOLDING} AND state NOT IN ('failed', 'cancelled')"),
)


class Heads(NamedTuple):
    """Where the numbers stand in the database."""

    opened: int
    position: int
    cursor: int


class Colliding(Exception):
    """A row that the database refused: `Batch.explained` says why, after the savepoint was rolled back."""

    def __init__(self, bound: Bound, refused: asyncpg.PostgresError) -> None:
        super().__init__(str(refused))
        self.bound = bound
        self.refused = refused


class Batch:
    """Writes rows over `connection` and gives the numbers. One object serves all batches of a process."""

    def __init__(self, connection: Any, process: int) -> None:
        self._connection = connection
        self._process = process
        self._heads = Heads(0, 0, 0)  # as the transaction will leave them
        self.numbers = Numbering()
        # The order in which `together` writes; that of changes, reservations and releases is the strict one.
        self._write: dict[type[Any], Callable[[Sequence[Bound]], Awaitable[None]]] = {
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
            **{kind: partial(self._each, write) for kind, write in {**WRITERS, **postgres_quarantine.WRITERS}.items()},
            **{kind: partial(self._each, write) for kind, write in postgres_subjects.WRITERS.items()},
        }

    async def lock(self, callers: Iterable[Sequence[Bound]] = ()) -> None:
        """Become the only writer until the transaction ends; promise the numbers that `callers` will need."""
        kinds = [type(bound.row) for rows in callers for bound in rows]
        counts = kinds.count(OperationOpened), kinds.count(Recorded), kinds.count(EventStaged)
        *heads, before = await self._connection.fetchrow(LOCK, *counts, self._process)
        if before != self._process:
            self.numbers.overtaken(*heads)
        self._heads = Heads(*(head + count for head, count in zip(heads, counts, strict=True)))

    async def correct(self) -> None:
        """Let the database know the numbers that were given, where they are not the promised ones."""
        given = Heads(self.numbers.opened, self.numbers.position, self.numbers.cursor)
        if given != self._heads:
            await self._connection.execute(CORRECT, *given)

    async def together(self, callers: Iterable[Sequence[Bound]]) -> None:
        """Write the rows of all callers. Whatever it raises only says: somebody among them collides."""
        groups: dict[type[Any], list[Bound]] = {}
        for rows in callers:
            for bound in rows:
                groups.setdefault(type(bound.row), []).append(bound)
        for kind, write in self._write.items():
            if kind in groups:
                await write(groups[kind])

    async def alone(self, rows: Sequence[Bound]) -> None:
        """Write the rows of one caller, in its order.

        Raises `Taken`, `Stale`, `Colliding`, or what finishing a record raises.
        """
        for bound in rows:
            try:
                await self._write[type(bound.row)]([bound])
            except asyncpg.IntegrityConstraintViolationError as refused:
                raise Colliding(bound, refused) from None

    async def explained(self, collision: Colliding) -> Exception:
        """Which unique key it was, and who holds it."""
        row, constraint = collision.bound.row, collision.refused.constraint_name
        if constraint == "keys_pkey" and isinstance(row, KeyClaimed):
            query = "SELECT operation, fingerprint FROM keys WHERE client = $1 AND key = $2"
            found = await self._connection.fetchrow(query, row.client, row.key)
            return Taken("key", *(found or ()))
        if constraint == "callbacks_digest" and isinstance(row, CallbackStored):
            query = "SELECT id FROM callbacks WHERE connection = $1 AND digest = $2"
            return Taken("callback", await self._connection.fetchval(query, row.connection, row.digest))
        if isinstance(row, OperationOpened) and isinstance(collision.refused, asyncpg.UniqueViolationError):
            return await self._explained_operation(row)
        if constraint == "webhook_endpoints_url" and isinstance(row, EndpointAdded):
            found = await self._connection.fetchval(TAKEN_BY, row.endpoint.client, row.endpoint.url)
            return Taken("endpoint", found)
        if constraint == "operations_reserved" and isinstance(row, Released):
            return ValueError(f"{row.parent} holds less than {row.amount}: it was given back before")
        return ValueError(f"{type(row).__name__} cannot be stored: {collision.refused}")

    async def _explained_operation(self, row: OperationOpened) -> Taken:
        """Which of several indexes speaks first is the database's affair; what we say first is not."""
        one = row.operation
        keys = {
            "reference": (one.client, one.kind, one.reference),
            "partner_key": (one.connection, one.kind, one.partner_key),
        }
        for what, query in HOLDERS:
            holder = await self._connection.fetchval(query, *keys[what])
            if holder is not None:
                return Taken("reference" if what == "reference" else "partner_key", holder)
        return Taken("operation", one.id)

    async def _insert(self, statement: ManyRows, rows: Sequence[Values], *first: Any) -> int:
        """How many rows the statement wrote."""
        return _count(await self._connection.execute(statement.text, *first, *ManyRows.arrays(rows)))

    async def _compare(self, group: Sequence[Bound]) -> None:
        arrays = ManyRows.arrays([bound.values for bound in group])
        changed = await self._connection.fetchval(sql.UNCHANGED.text, *arrays)
        if changed is not None:
            raise Stale(changed)

    async def _claim(self, group: Sequence[Bound]) -> None:
        await self._insert(sql.KEYS, [bound.values for bound in group])

    async def _open(self, group: Sequence[Bound]) -> None:
        places = self.numbers.open(len(group))
        rows = [(place, *bound.values) for place, bound in zip(places, group, strict=True)]
        await self._insert(sql.OPERATIONS, rows, self._process)
        opened: list[OperationOpened] = [bound.row for bound in group if isinstance(bound.row, OperationOpened)]
        links = [
            (name, value, row.operation.client, place)
            for place, row in zip(places, opened, strict=True)
            for name, value in row.operation.links_to.items()
        ]
        if links:
            await self._insert(sql.LINKS, links)
        await self._refuse_siblings([row for row in opened if row.siblings])

    async def _refuse_siblings(self, opened: Sequence[OperationOpened]) -> None:
        """Runs after the insert, so that two of the same batch see each other; those of others wait for the lock."""
        if not opened:
            return
        asked = [(row.operation.client, row.operation.kind, row.siblings, row.operation.id) for row in opened]
        for index, other in await self._connection.fetch(sql.SIBLINGS.text, *ManyRows.arrays(asked)):
            if other not in opened[index].despite:
                raise Taken("sibling", other)

    async def _change(self, group: Sequence[Bound]) -> None:
        if await self._insert(sql.CHANGES, [bound.values for bound in group], self._process) != len(group):
            raise Stale(group[0].values[0])

    async def _reserve(self, group: Sequence[Bound]) -> None:
        for bound in group:
            if not _count(await self._connection.execute(sql.RESERVE, *bound.values)):
                raise Taken("reservation", bound.values[1])

    async def _release(self, group: Sequence[Bound]) -> None:
        for bound in group:
            await self._update(sql.RELEASE, bound)

    async def _record(self, group: Sequence[Bound]) -> None:
        drafts = [bound.row.draft for bound in group if isinstance(bound.row, Recorded)]
        unknown = self.numbers.unknown(draft.chain for draft in drafts)
        if unknown:
            for chain, number, hash_ in await self._connection.fetch(sql.ENDS, unknown):
                self.numbers.learn(chain, number, hash_)
        await self._insert(sql.RECORDS, [self._finished(draft) for draft in drafts])

    def _finished(self, draft: Draft) -> Values:
        place = self.numbers.place(draft)
        return (
            place.position,
            draft.id,
            draft.chain,
            place.number,
            draft.client,
            draft.kind,
            draft.at,
            place.leaf,
            place.hash,
            draft.digest,
            draft.content,
            draft.body,
        )

    async def _stage(self, group: Sequence[Bound]) -> None:
        cursors = self.numbers.stage(len(group))
        await self._insert(sql.EVENTS, [(cursor, *bound.values) for cursor, bound in zip(cursors, group, strict=True)])

    async def _keep_callbacks(self, group: Sequence[Bound]) -> None:
        await self._insert(sql.CALLBACKS, [bound.values for bound in group])

    async def _settle_callbacks(self, group: Sequence[Bound]) -> None:
        for bound in group:
            await self._update(sql.SETTLE_CALLBACK, bound)

    async def _keep_tokens(self, group: Sequence[Bound]) -> None:
        for bound in group:
            await self._connection.execute(sql.KEEP_TOKEN, *bound.values)

    async def _drop_tokens(self, group: Sequence[Bound]) -> None:
        for bound in group:
            await self._connection.execute(sql.DROP_TOKEN, *bound.values)

    async def _each(self, write: Callable[[Any, Values], Awaitable[None]], group: Sequence[Bound]) -> None:
        for bound in group:
            await write(self._connection, bound.values)

    async def _update(self, statement: str, bound: Bound) -> None:
        if not _count(await self._connection.execute(statement, *bound.values)):
            raise ValueError(f"{bound.row} is about something that does not exist")


def _count(status: str) -> int:
    """How many rows a statement touched: the last word of what PostgreSQL says ("UPDATE 3")."""
    return int(status.rpartition(" ")[2])
