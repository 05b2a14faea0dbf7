"""What can be told from the records of a store without opening a gateway on it, also while one runs.

Nothing here writes a record, needs a plugin, or trusts anything but the records themselves.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, Final

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.tree import RightEdge, hash_leaf
from gateway.audit.vault import Vault
from gateway.audit.verify import Report, verify
from gateway.crypto.seal import Sealer
from gateway.service.config import Configuration
from gateway.service.derived import Purpose, derived_key
from gateway.service.stores import entries
from gateway.service.vault import open_vault
from gateway.store.interface import Entry

__all__ = ["intents", "left_out", "verify_records"]

PAGE: Final = 1000


def verify_records(configuration: Configuration) -> Report:
    """Verify every record, and with the installation secret also what is sealed.

    Raises `ConfigurationError` if there is no store yet, `StorageError` if it cannot be read.
    """
    sealer = Sealer(derived_key(configuration.gateway.secret(), Purpose.STORED))
    found = entries(configuration)  # first: it says what is wrong where there is no store
    if configuration.gateway.database_url is None and not configuration.subject_keys.exists():
        return verify(found, sealer.open)  # a store from before there were subject keys
    with ThreadPoolExecutor(1) as thread:  # keys come by a loop of its own, and the caller may have one already
        return thread.submit(_with_vault, configuration, sealer, found).result()


def _with_vault(configuration: Configuration, sealer: Sealer, found: Iterator[Entry]) -> Report:
    with asyncio.Runner() as runner:
        vault = runner.run(open_vault(configuration, sealer, read_only=True))
        try:
            return verify(_with_keys(found, vault, runner), vault.open)
        finally:
            runner.run(vault.close())


def _with_keys(found: Iterator[Entry], vault: Vault, runner: asyncio.Runner) -> Iterator[Entry]:
    """The same records; the keys of each are fetched before it is given."""
    while page := list(islice(found, PAGE)):
        runner.run(vault.fetch([entry.body for entry in page if entry.body is not None]))
        yield from page


def left_out(configuration: Configuration, checkpoint: Checkpoint) -> str | None:
    """What is wrong if the store's first records are not those that a checkpoint of the log stands for.

    Raises `ConfigurationError`, `StorageError`.
    """
    edge = RightEdge()
    for entry in entries(configuration):
        if edge.size == checkpoint.size:
            break
        edge.append(hash_leaf(entry.leaf))
    if edge.size < checkpoint.size:
        return f"the log has {checkpoint.size} entries and the store only {edge.size} records: the newest were cut off"
    if edge.root() != checkpoint.root:
        return f"the store's first {checkpoint.size} records are not those that the log took"
    return None


def intents(configuration: Configuration) -> Iterator[dict[str, Any]]:
    """Every request that was about to leave, in order, with what was observed of it (None: no outcome is on record)."""
    asked: dict[str, dict[str, Any]] = {}
    for entry in entries(configuration):
        leaf = json.loads(entry.leaf)
        if entry.kind == "intent":
            names = ("at", "partner", "connection", "operation", "verb", "attempt", "effect", "method", "url")
            shown = {name: leaf.get(name) for name in names}
            asked[entry.id] = {"id": entry.id, **shown, "digest": entry.digest, "observed": None}
        elif entry.kind == "outcome" and leaf.get("intent") in asked:
            asked[leaf["intent"]] |= {name: leaf.get(name) for name in ("observed", "status", "code", "verdict")}
    yield from asked.values()
