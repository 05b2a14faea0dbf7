"""The store's identity and its quarantines on SQLite.

Rules
- `WRITERS` run in the writer's thread, inside its transaction; questions run over a connection that cannot write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import apsw

from gateway.store.quarantine import (
    Quarantine,
    QuarantineBegan,
    QuarantineCleared,
    QuarantinePrepared,
    Standing,
    StoreMarked,
)
from gateway.store.sqlite_rows import Values, moment

__all__ = ["WRITERS", "quarantines", "standing"]

QUARANTINE: Final = "id, began_at, cause, before, number, mark, lost_since, prepared"

Ask = Callable[..., list[Any]]
"""Runs a question and gives all rows."""


def _begin(connection: apsw.Connection, values: Values) -> None:
    identity, *quarantine = values
    connection.execute(f"INSERT INTO quarantines ({QUARANTINE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", quarantine)
    connection.execute("UPDATE store_identity SET id = ?", (identity,))


def _prepared(connection: apsw.Connection, values: Values) -> None:
    connection.execute("UPDATE quarantines SET prepared = 1 WHERE id = ?", values)


def _clear(connection: apsw.Connection, values: Values) -> None:
    connection.execute("INSERT OR IGNORE INTO quarantine_clearances VALUES (?, ?, ?, ?)", values)


def _mark(connection: apsw.Connection, values: Values) -> None:
    connection.execute("UPDATE store_identity SET marked = 1 WHERE marked = 0")


WRITERS: Final[Mapping[type[Any], Callable[[apsw.Connection, Values], None]]] = {
    QuarantineBegan: _begin,
    QuarantinePrepared: _prepared,
    QuarantineCleared: _clear,
    StoreMarked: _mark,
}


def standing(ask: Ask) -> Standing:
    """See `Quarantines.standing`."""
    ((identity, marked),) = ask("SELECT id, marked FROM store_identity")
    last = ask("SELECT position, at FROM records ORDER BY position DESC LIMIT 1")
    number, at = last[0] if last else (0, None)
    return Standing(identity, bool(marked), number, None if at is None else moment(at))


def quarantines(ask: Ask) -> list[Quarantine]:
    """See `Quarantines.quarantines`."""
    found = ask(f"SELECT {QUARANTINE} FROM quarantines ORDER BY began_at, id")
    cleared: dict[str, set[str]] = {}
    for quarantine, connection in ask("SELECT quarantine, connection FROM quarantine_clearances") if found else ():
        cleared.setdefault(quarantine, set()).add(connection)
    return [
        Quarantine(
            id_,
            moment(began_at),
            cause,
            before,
            number,
            mark,
            None if lost_since is None else moment(lost_since),
            bool(prepared),
            frozenset(cleared.get(id_, ())),
        )
        for id_, began_at, cause, before, number, mark, lost_since, prepared in found
    ]
