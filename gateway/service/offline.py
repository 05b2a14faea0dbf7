"""What can be read from a database without opening a gateway on it, also while one runs.

Nothing here writes, takes the store's lock or needs a plugin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.tree import RightEdge, hash_leaf
from gateway.audit.verify import Report, Verifier
from gateway.crypto.seal import Sealer
from gateway.model.problems import ConfigurationError
from gateway.service.derived import Purpose, derived_key
from gateway.store.interface import Entry
from gateway.store.sqlite_file import reader
from gateway.store.sqlite_queries import Queries

__all__ = ["intents", "left_out", "verify_database"]

PAGE = 1000


def verify_database(database: Path, secret: bytes | None = None) -> Report:
    """Verify every record; with the installation secret also what is sealed.

    Raises `ConfigurationError` if there is no such file, `StorageError` if it cannot be read.
    """
    verifier = Verifier(Sealer(derived_key(secret, Purpose.STORED)).open if secret else None)
    for entry in entries(database):
        verifier.take(entry)
    return verifier.report()


def left_out(database: Path, checkpoint: Checkpoint) -> str | None:
    """What is wrong if the store's first records are not those that a checkpoint of the log stands for.

    Raises `ConfigurationError`, `StorageError`.
    """
    edge = RightEdge()
    for entry in entries(database):
        if edge.size == checkpoint.size:
            break
        edge.append(hash_leaf(entry.leaf))
    if edge.size < checkpoint.size:
        return f"the log has {checkpoint.size} entries and the store only {edge.size} records: the newest were cut off"
    if edge.root() != checkpoint.root:
        return f"the store's first {checkpoint.size} records are not those that the log took"
    return None


def intents(database: Path) -> Iterator[dict[str, Any]]:
    """Every request that was about to leave, in order, with what was observed of it (None: no outcome is on record)."""
    asked: dict[str, dict[str, Any]] = {}
    for entry in entries(database):
        leaf = json.loads(entry.leaf)
        if entry.kind == "intent":
            names = ("at", "partner", "connection", "operation", "verb", "attempt", "effect", "method", "url")
            shown = {name: leaf.get(name) for name in names}
            asked[entry.id] = {"id": entry.id, **shown, "digest": entry.digest, "observed": None}
        elif entry.kind == "outcome" and leaf.get("intent") in asked:
            asked[leaf["intent"]] |= {name: leaf.get(name) for name in ("observed", "status", "code", "verdict")}
    yield from asked.values()


def entries(database: Path) -> Iterator[Entry]:
    """Every record in the order of the store."""
    if not database.is_file():
        raise ConfigurationError(f"there is no database {database}; has a gateway run with this configuration?")
    connection = reader(database)
    try:
        queries = Queries(connection)
        page = queries.entries(0, PAGE)
        while page:
            yield from page
            page = queries.entries(page[-1].position, PAGE)
    finally:
        connection.close()
