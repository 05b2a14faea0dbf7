"""Persons' tags and matched callbacks on SQLite.

Rules
- `WRITERS` run in the writer's thread, inside its transaction; questions run over a connection that cannot write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import apsw

from gateway.store.sqlite_rows import Values
from gateway.store.subjects import CallbackMatched, Forgotten, SubjectTagged

__all__ = ["WRITERS", "callbacks_about", "operations_about"]

Ask = Callable[..., list[Any]]
"""Runs a question and gives all rows."""


def _tag(connection: apsw.Connection, values: Values) -> None:
    connection.execute("INSERT OR IGNORE INTO subject_tags (client, tag, operation) VALUES (?, ?, ?)", values)


def _matched(connection: apsw.Connection, values: Values) -> None:
    connection.execute("INSERT OR IGNORE INTO callback_matches (operation, callback) VALUES (?2, ?1)", values)


def _forget(connection: apsw.Connection, values: Values) -> None:
    about = "SELECT callback FROM callback_matches WHERE operation = ?1"
    connection.execute(
        f"UPDATE records SET digest = NULL, content = NULL WHERE chain = ?1 OR chain IN ({about})", values
    )
    connection.execute(f"UPDATE callbacks SET digest = id WHERE id IN ({about})", values)


WRITERS: Final[Mapping[type[Any], Callable[[apsw.Connection, Values], None]]] = {
    SubjectTagged: _tag,
    CallbackMatched: _matched,
    Forgotten: _forget,
}


def operations_about(ask: Ask, client: str, tag: str) -> list[str]:
    """See `Subjects.operations_about`."""
    query = "SELECT operation FROM subject_tags WHERE client = ? AND tag = ? ORDER BY operation"
    return [one for (one,) in ask(query, client, tag)]


def callbacks_about(ask: Ask, operation: str) -> list[str]:
    """See `Subjects.callbacks_about`."""
    return [one for (one,) in ask("SELECT callback FROM callback_matches WHERE operation = ?", operation)]
