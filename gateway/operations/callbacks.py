"""Takes callbacks in: what a partner says on its own.

In this order
  1. the path alone selects the connection and its keys
  2. the message is stored, sealed, within a quota, before anything is done about it
  3. the scheme proves its exact bytes; what it cannot prove changes nothing and is counted
  4. the adapter reads the facts: each names its kind and is judged by the codes of that kind's fetch verb
  5. each goes through the one door
  6. the adapter acknowledges in the partner's words
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from gateway.adapters.verbs import Merged, ReadCallbacks
from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.facts import Fact
from gateway.model.ids import Identifiers
from gateway.model.message import Acknowledgement, Callback
from gateway.model.problems import NotFound, NotProven, NotUnderstood
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.facts import Said, Source
from gateway.operations.kinds import KINDS
from gateway.operations.running import trail
from gateway.store.interface import CallbackSettled, CallbackStored, Recorded, Store, Taken
from gateway.store.subjects import CallbackMatched
from gateway.store.work import Work

__all__ = ["Callbacks"]

log = logging.getLogger(__name__)

UNPROVEN_KEPT_PER_HOUR = 200
"""How many messages that prove nothing a connection stores in an hour; further ones are counted only."""

REFUSAL = Acknowledgement(400, b"not understood")


class Callbacks:
    """Receives, proves, applies and acknowledges."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        door: Door,
        journal: Journal,
        clock: Clock,
        ids: Identifiers,
        seal: Callable[[bytes, bytes], bytes],
    ) -> None:
        self._store = store
        self._connections = connections
        self._door = door
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._seal = seal
        self._window: datetime | None = None  # when the hour of the quota began
        self._unproven: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, str]] = Counter()

    async def receive(self, partner: str, token: str, callback: Callback) -> Acknowledgement:
        """Take one message in. Raises `NotFound` for a path that was never given out, `StorageError`."""
        connection = self._connections.by_token(partner, token)
        if connection is None:
            raise NotFound("there is no such callback address")
        digest = hashlib.sha256(callback.method.encode() + callback.target.encode() + callback.body).hexdigest()
        proven = self._prove(connection, callback)
        if proven is None:
            await self._unproven_one(connection, callback, digest)
            return REFUSAL
        id = await self._keep(connection, callback, digest, self._ids.new("cb"))
        return await self._apply(connection, proven, id, digest)

    def _prove(self, connection: Connection, callback: Callback) -> Callback | None:
        try:
            body = connection.adapter.scheme.verify_callback(callback, connection.keys)
        except NotProven as failure:
            log.warning("a callback to %s proves nothing: %s", connection.name, failure)
            return None
        except Exception as failure:  # noqa: BLE001 - a plugin's code: what it stumbles over is not proven
            log.error("the scheme of %s stumbled over a callback (%s)", connection.name, trail(failure))
            return None
        return Callback(callback.method, callback.target, callback.headers, body, callback.received_at)

    async def _keep(self, connection: Connection, callback: Callback, digest: str, id: str) -> str:
        """Store it under `id`; the id under which the same bytes are stored already, if they are."""
        sealed = self._seal(callback.body, id.encode())
        try:
            await self._store.commit([CallbackStored(id, connection.name, digest, self._clock.now(), sealed)])
        except Taken as taken:
            return taken.operation or id  # the same message came before; applying it again changes nothing
        return id

    async def _apply(self, connection: Connection, callback: Callback, id: str, digest: str) -> Acknowledgement:
        reader = connection.adapter.read_callbacks()
        facts = self._read(reader, callback)
        if reader is None or facts is None:
            await self._settle(connection, id, digest, "unreadable")
            return REFUSAL
        busy, about = False, list[str]()
        for fact in facts:
            busy = not await self._one(connection, fact, id, about) or busy
        await self._settle(connection, id, digest, "unmatched" if busy else "proven", about)
        return reader.acknowledge(callback, Merged(busy=busy))

    def _read(self, reader: ReadCallbacks | None, callback: Callback) -> list[Fact] | None:
        if reader is None:
            return None
        try:
            return list(reader.read(callback))
        except NotUnderstood as failure:
            log.warning("a proven callback was not understood: %s", failure)
        except Exception as failure:  # noqa: BLE001 - a plugin's code: what it stumbles over is not understood
            log.error("the adapter stumbled over a proven callback (%s)", trail(failure))
        return None

    async def _one(self, connection: Connection, fact: Fact, evidence: str, about: list[str]) -> bool:
        """Whether the fact found its operation, which is added to those that the callback is about."""
        kind = next((known for known in KINDS.values() if known.name == fact.kind), None)
        if kind is None or fact.partner_key is None:
            return False
        operation = await self._store.operation_by_partner_key(connection.name, kind.name, fact.partner_key)
        if operation is None:
            return False
        about.append(operation.id)
        adapter = connection.adapter
        judge = kind.fetch.name if kind.fetch is not None and kind.fetch.name in adapter.terms else operation.verb
        terms = adapter.terms[judge].for_method(operation.method)
        said = Said(
            meaning=terms.meaning(fact.code),
            source=Source.CALLBACK,
            fact=fact,
            status=terms.statuses.get(fact.code or ""),
            proof=terms.proof.value,
            evidence=evidence,
        )
        await self._door.apply(operation, said, Work(self._store))
        return True

    async def _settle(
        self, connection: Connection, id: str, digest: str, verdict: str, about: Sequence[str] = ()
    ) -> None:
        self.verdicts[connection.name, verdict] += 1
        record = self._journal.callback(
            chain=id, connection=connection.name, partner=connection.partner, verdict=verdict, digest=digest
        )
        matched = [CallbackMatched(id, operation) for operation in dict.fromkeys(about)]
        await self._store.commit([CallbackSettled(id, verdict), *matched, Recorded(record)])

    async def _unproven_one(self, connection: Connection, callback: Callback, digest: str) -> None:
        """Store and record it while the quota lasts, so that nobody can fill the disk; count it always."""
        self.verdicts[connection.name, "forged"] += 1
        now = self._clock.now()
        if self._window is None or now - self._window > timedelta(hours=1):
            self._window = now
            self._unproven.clear()
        self._unproven[connection.name] += 1
        if self._unproven[connection.name] > UNPROVEN_KEPT_PER_HOUR:
            return
        id = self._ids.new("cb")
        if await self._keep(connection, callback, digest, id) != id:
            return  # the same bytes are there already; a worse signature takes nothing from what they proved
        await self._settle(connection, id, digest, "forged")
        self.verdicts[connection.name, "forged"] -= 1
