"""Learns a partner's new public key when a reply is signed with one that is not held.

Rules
- A key is taken only if it came as a certificate that leads to one of the connection's `partner_roots`. Where none are
  configured, nothing is learnt: the partner's word alone proves nothing about the partner's keys.
- One fetch for all that wait for the same key. A key that could not be learnt is not asked for again for a minute.
- While a key is being fetched, no other is learnt for the reply to that very fetch.
- What was learnt is recorded. It is held until the process ends; whoever wants to keep it, configures it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

from gateway.adapters.verbs import FETCH_KEYS
from gateway.audit.journal import Journal
from gateway.crypto.chain import require_chain
from gateway.crypto.keys import KeyRing
from gateway.model.clock import Clock
from gateway.model.problems import NotProven, StorageError
from gateway.operations.connections import Connection
from gateway.operations.reads import Reads
from gateway.store.interface import Recorded, Store

__all__ = ["KeyLearner"]

log = logging.getLogger(__name__)

REST_SECONDS: Final = 60.0
FAILURES_REMEMBERED: Final = 256

_learning: ContextVar[bool] = ContextVar("learning", default=False)


class KeyLearner:
    """Learns keys for one connection; `ready` gives it the connection, which needs a channel, which needs this."""

    def __init__(self, ring: KeyRing, roots: Sequence[str], journal: Journal, store: Store, clock: Clock) -> None:
        self._ring = ring
        self._roots = roots
        self._journal = journal
        self._store = store
        self._clock = clock
        self._connection: Connection | None = None
        self._reads: Reads | None = None
        self._flights: dict[str, asyncio.Task[bool]] = {}
        self._failed_at: dict[str, float] = {}

    def ready(self, connection: Connection, reads: Reads) -> None:
        """From now on keys can be fetched."""
        self._connection, self._reads = connection, reads

    async def __call__(self, key_id: str) -> bool:
        """Whether the key of that id is held now."""
        if _learning.get() or not self._roots or self._reads is None or self._connection is None:
            return False
        if FETCH_KEYS.of(self._connection.adapter) is None:
            return False
        failed_at = self._failed_at.get(key_id)
        if failed_at is not None and self._clock.monotonic() - failed_at < REST_SECONDS:
            return False
        flight = self._flights.get(key_id)
        if flight is None:
            flight = asyncio.create_task(self._learn(key_id, self._connection, self._reads))
            self._flights[key_id] = flight
            flight.add_done_callback(lambda done: self._flights.pop(key_id, None))
        return await asyncio.shield(flight)

    async def _learn(self, key_id: str, connection: Connection, reads: Reads) -> bool:
        _learning.set(True)
        try:
            fetched = await reads.read(connection, FETCH_KEYS, key_id, client="")
            pem = fetched.keys.get(key_id)
            if pem is None:
                raise NotProven("the partner published other keys, but not this one")
            require_chain(pem, self._roots, self._clock.now())
            self._ring.add_partner_key(key_id, pem)
        except StorageError:
            raise
        # Whatever the adapter, the partner or the certificate did: the key is not held, and asking at once is no use.
        except Exception as failure:  # noqa: BLE001 - see above
            log.warning("%s: the key %r is not taken: %s", connection.name, key_id[:80], failure)
            if len(self._failed_at) >= FAILURES_REMEMBERED:
                self._failed_at.clear()
            self._failed_at[key_id] = self._clock.monotonic()
            return False
        detail = {"connection": connection.name, "partner": connection.partner, "key_id": key_id[:128]}
        await self._store.commit([Recorded(self._journal.system(what="partner_key_learnt", detail=detail))])
        log.info("%s: the partner's key %r is taken: it leads to a pinned root", connection.name, key_id[:80])
        return True
