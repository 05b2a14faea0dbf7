"""What the store is asked. Each question is one statement over a connection that cannot write.

Rules
- An operation is its document; `reserved` and `version` are the columns', because follow-ups and leases change them
  without touching the document.
- Point reads take microseconds and run where they are asked; what scans is run in a thread by `sqlite`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import apsw

from gateway.model.problems import StorageError
from gateway.model.states import OPEN
from gateway.store import sqlite_quarantine, sqlite_subjects
from gateway.store.interface import Claimed, Entry, EventRow, StoredCallback, StoredToken
from gateway.store.operation import Operation
from gateway.store.quarantine import Quarantine, Standing
from gateway.store.sqlite_rows import moment
from gateway.store.sqlite_webhooks import WebhookQueries

__all__ = ["Queries", "load"]

ENTRY = "position, id, chain, number, client, kind, at, leaf, hash, digest, content, body"


def load(document: str, reserved: int, version: int) -> Operation:
    """The operation as it stands."""
    operation = Operation.model_validate_json(document)
    if (operation.reserved, operation.version) == (reserved, version):
        return operation
    return operation.model_copy(update={"reserved": reserved, "version": version})


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except apsw.Error as wrong:
        raise StorageError(f"the store cannot be read ({type(wrong).__name__}: {wrong})") from wrong


class Queries:
    """Questions over one connection. Raises `StorageError` if the database cannot be read."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self.webhooks = WebhookQueries(self._all)

    def close(self) -> None:
        self._connection.close()

    def _first(self, query: str, *values: Any) -> Any:
        """The first row (its only value where there is one column), or None."""
        with _reading():
            return self._connection.execute(query, values).get

    def _all(self, query: str, *values: Any) -> list[Any]:
        with _reading():
            return self._connection.execute(query, values).fetchall()

    def standing(self) -> Standing:
        return sqlite_quarantine.standing(self._all)

    def quarantines(self) -> list[Quarantine]:
        return sqlite_quarantine.quarantines(self._all)

    def operations_about(self, client: str, tag: str) -> list[str]:
        return sqlite_subjects.operations_about(self._all, client, tag)

    def callbacks_about(self, operation: str) -> list[str]:
        return sqlite_subjects.callbacks_about(self._all, operation)

    def claimed(self, client: str, key: str) -> Claimed | None:
        found = self._first("SELECT fingerprint, operation FROM keys WHERE client = ? AND key = ?", client, key)
        return Claimed(*found) if found else None

    def operation(self, id_: str, client: str | None) -> Operation | None:
        return self._operation("id = ?1 AND (?2 IS NULL OR client = ?2)", id_, client)

    def by_reference(self, client: str, kind: str, reference: str) -> Operation | None:
        return self._operation("client = ? AND kind = ? AND reference = ?", client, kind, reference)

    def by_partner_key(self, connection: str, kind: str, partner_key: str) -> Operation | None:
        where = "connection = ? AND kind = ? AND partner_key = ? AND state"
        key = (connection, kind, partner_key)
        holder = self._operation(f"{where} NOT IN ('failed', 'cancelled')", *key)
        return holder or self._operation(f"{where} IN ('failed', 'cancelled') ORDER BY row DESC LIMIT 1", *key)

    def by_state_key(self, connection: str, state_key: str) -> Operation | None:
        return self._operation("connection = ? AND state_key = ?", connection, state_key)

    def _operation(self, where: str, *values: Any) -> Operation | None:
        found = self._first(f"SELECT document, reserved, version FROM operations WHERE {where}", *values)
        return load(*found) if found else None

    def operations(
        self,
        *,
        client: str | None,
        kind: str | None,
        state: str | None,
        connection: str | None,
        reference: str | None,
        link: tuple[str, str] | None,
        parent: str | None,
        attention: bool,
        before: str | None,
        limit: int,
    ) -> list[Operation]:
        columns = {
            "client": client,
            "kind": kind,
            "state": state,
            "connection": connection,
            "reference": reference,
            "parent": parent,
        }
        wanted = {name: value for name, value in columns.items() if value is not None}
        where = [f"{name} = ?" for name in wanted]
        values: list[Any] = list(wanted.values())
        few = reference is not None or parent is not None or link is not None
        index = ""
        if state in OPEN and not few:
            where.append("open = 1")
            index = " INDEXED BY operations_open"  # what is open is little, whatever the table's size
        if attention:
            where.append("attention = 1")
        if link is not None:
            same_client = " AND client = ?" if client is not None else ""
            where.append(f"row IN (SELECT operation FROM links WHERE name = ? AND value = ?{same_client})")
            values += [*link, client] if client is not None else link
        if before is not None:
            where.append("row < (SELECT row FROM operations WHERE id = ?)")
            values.append(before)
        # The sign keeps SQLite from walking the whole table in order where few rows can match.
        order = "+row" if few or index else "row"
        query = f"SELECT document, reserved, version FROM operations{index} WHERE {' AND '.join(where) or 'true'}"
        return [load(*found) for found in self._all(f"{query} ORDER BY {order} DESC LIMIT ?", *values, limit)]

    def next_due(self) -> datetime | None:
        """Of what nobody holds the earliest, and of what is held the earliest end of a lease."""
        due = self._first(
            "SELECT min(at) FROM ("
            " SELECT min(next_inquiry_at) AS at FROM operations WHERE next_inquiry_at NOT NULL AND lease_until IS NULL"
            " UNION ALL SELECT min(max(next_inquiry_at, lease_until)) FROM operations"
            " WHERE lease_until IS NOT NULL AND next_inquiry_at IS NOT NULL)"
        )
        return None if due is None else moment(due)

    def entries(self, after: int, limit: int) -> list[Entry]:
        query = f"SELECT {ENTRY} FROM records WHERE position > ? ORDER BY position LIMIT ?"
        return [_entry(found) for found in self._all(query, after, limit)]

    def leaves(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        return self._all(
            "SELECT position, leaf FROM records WHERE position > ? ORDER BY position LIMIT ?", after, limit
        )

    def record(self, chain: str, number: int) -> Entry | None:
        found = self._first(f"SELECT {ENTRY} FROM records WHERE chain = ? AND number = ?", chain, number)
        return _entry(found) if found else None

    def last_record(self, chain: str) -> Entry | None:
        bare = ENTRY.replace(", body", ", NULL")
        found = self._first(f"SELECT {bare} FROM records WHERE chain = ? ORDER BY number DESC LIMIT 1", chain)
        return _entry(found) if found else None

    def chain(self, chain: str) -> list[Entry]:
        query = f"SELECT {ENTRY} FROM records WHERE chain = ? ORDER BY number"
        return [_entry(found) for found in self._all(query, chain)]

    def events(self, client: str, after: int, operation: str | None, limit: int) -> list[EventRow]:
        query = "SELECT cursor, id, client, operation, type, at, document FROM events WHERE client = ? AND cursor > ?"
        values: tuple[Any, ...] = (client, after)
        if operation is not None:
            query, values = f"{query} AND operation = ?", (client, after, operation)
        found = self._all(f"{query} ORDER BY cursor LIMIT ?", *values, limit)
        return [
            EventRow(cursor, id_, owner, act, type_, moment(at), document)
            for cursor, id_, owner, act, type_, at, document in found
        ]

    def token(self, connection: str, name: str) -> StoredToken | None:
        query = "SELECT sealed, expires_at FROM tokens WHERE connection = ? AND name = ?"
        found = self._first(query, connection, name)
        return StoredToken(found[0], None if found[1] is None else moment(found[1])) if found else None

    def callback(self, id_: str) -> StoredCallback | None:
        found = self._first("SELECT id, connection, at, message, verdict FROM callbacks WHERE id = ?", id_)
        return StoredCallback(found[0], found[1], moment(found[2]), found[3], found[4]) if found else None


def _entry(found: Any) -> Entry:
    position, id_, chain, number, client, kind, at, *rest = found
    return Entry(position, id_, chain, number, client, kind, moment(at), *rest)
