"""Erasure: makes what is known about a person unreadable for ever, by destroying the keys that sealed it.

An erasure, step by step
  1. nothing is erased under legal hold, or while an operation about the person is open: doubt needs what it is about
  2. nothing new is sealed by the person's key; processes that share the keys get time to learn it
  3. all that is about the person's operations is looked through for the keys that sealed it, follow-ups included
  4. the keys' ids are remembered outside of every database                     (see `audit.erasures`)
  5. the act is recorded: who, why, and the person's tag; digests of messages are taken away
  6. the keys are destroyed

Rules
- No leaf is changed or removed: a leaf holds salted commitments, and the salts are sealed by the keys.
- A subject that no operation names may be the id of an operation that names no person: it is a subject of its own.
- What was written before there were keys cannot be made unreadable so. It is counted, and the record says it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from gateway.audit.erasures import Erasures
from gateway.audit.journal import Journal
from gateway.audit.record import instant
from gateway.audit.vault import SHARED_SECONDS, Vault
from gateway.model.clock import Clock
from gateway.model.problems import Conflicting, Invalid, NotFound
from gateway.operations.sealing import SealedStore, Traces
from gateway.store.interface import Recorded, Row, Store
from gateway.store.operation import Operation
from gateway.store.subjects import Forgotten

__all__ = ["Erased", "Erasing", "Person"]

log = logging.getLogger(__name__)

PAGE = 200


@dataclass(frozen=True, slots=True)
class Person:
    """Whose data it is: a subject of a client, or one operation that names none."""

    client: str
    subject: str


@dataclass(frozen=True, slots=True)
class Erased:
    """The record of the act, what it was about, and how many sealed values could not be made unreadable."""

    record: str
    operations: int
    keys: int
    left: int


class Erasing:
    """Erases, holds and releases. `store` is the sealed one."""

    def __init__(self, store: Store, vault: Vault, erasures: Erasures, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._traces = Traces(store.inner if isinstance(store, SealedStore) else store)
        self._vault = vault
        self._erasures = erasures
        self._journal = journal
        self._clock = clock

    async def erase(self, person: Person, reason: str, actor: str) -> Erased:
        """Steps 1 to 6. Raises `Invalid`, `NotFound`, `Conflicting`, `StorageError`."""
        _needs(reason)
        tag = self._vault.tag(person.client, person.subject)
        # 1.
        since = await self._vault.keys.held(tag)
        if since is not None:
            detail = f"it is under legal hold since {since:%Y-%m-%d}; `lendgate audit release` ends that"
            raise Conflicting(detail, kind="legal_hold")
        _refuse_open(await self._about(person, tag))
        # 2.
        named = await self._vault.forget_name(tag)
        if self._vault.shared:
            await self._clock.sleep(SHARED_SECONDS + 1)
        # 3.
        operations = await self._about(person, tag)
        _refuse_open(operations)
        keys, left = await self._traces.keys([one.id for one in operations])
        if named is not None:
            keys.add(named)
        # 4.
        at = instant(self._clock.now())
        await asyncio.to_thread(self._erasures.append, tag, sorted(keys), at)
        # 5.
        act = self._journal.act(
            actor=actor,
            what="erase",
            reason=reason,
            evidence=f"{len(operations)} operations, {len(keys)} keys" + (f", {left} values left" if left else ""),
            subject=tag,
        )
        forgotten: list[Row] = [Forgotten(one.id) for one in operations]
        await self._store.commit([*forgotten, Recorded(act)])
        # 6.
        count = await self._vault.destroy(keys)
        if left:
            log.warning("an erasure left %d values that were written before there were keys", left)
        return Erased(act.id, len(operations), count, left)

    async def hold(self, person: Person, reason: str, actor: str) -> str:
        """Put under legal hold; the id of the record. Raises `Invalid`, `NotFound`, `StorageError`."""
        _needs(reason)
        tag = self._vault.tag(person.client, person.subject)
        await self._about(person, tag)
        await self._vault.keys.hold(tag, self._clock.now())
        return await self._record("legal hold", tag, reason, actor)

    async def release(self, person: Person, reason: str, actor: str) -> str:
        """End the legal hold; the id of the record. Raises `Invalid`, `Conflicting` (there is none), `StorageError`."""
        _needs(reason)
        tag = self._vault.tag(person.client, person.subject)
        if await self._vault.keys.held(tag) is None:
            raise Conflicting("it is not under legal hold", kind="no_legal_hold")
        record = await self._record("release from legal hold", tag, reason, actor)
        await self._vault.keys.release_hold(tag)
        return record

    async def replay(self) -> int:
        """Destroy once more what a restored key store brought back; how many keys. Raises what `erase` raises."""
        brought_back: list[str] = []
        for one in await asyncio.to_thread(self._erasures.read):
            brought_back += [key.id for key in await self._vault.keys.keys(one.keys)]
        if not brought_back:
            return 0
        record = self._journal.system(what="erasures replayed", detail={"keys": len(brought_back)})
        await self._store.commit([Recorded(record)])
        return await self._vault.destroy(brought_back)

    async def _record(self, what: str, tag: str, reason: str, actor: str) -> str:
        act = self._journal.act(actor=actor, what=what, reason=reason, subject=tag)
        await self._store.commit([Recorded(act)])
        return act.id

    async def _about(self, person: Person, tag: str) -> list[Operation]:
        """Every operation about the person, with those that follow one of them. Raises `NotFound`, `Invalid`."""
        ids = await self._store.operations_about(person.client, tag)
        if not ids:
            alone = await self._store.operation(person.subject, person.client)
            if alone is None:
                raise NotFound("no operation of this client is about that subject; an operation may be named by its id")
            if alone.subject is not None:
                raise Invalid("this operation is about a person: erase the subject that it names")
            ids = [alone.id]
        found: dict[str, Operation] = {}
        while ids:
            id_ = ids.pop()
            one = await self._store.operation(id_)
            if one is None or id_ in found:
                continue
            found[id_] = one
            before = None
            while page := await self._store.operations(parent=id_, before=before, limit=PAGE):
                ids += [child.id for child in page]
                before = page[-1].id
        return list(found.values())


def _needs(reason: str) -> None:
    if not reason.strip():
        raise Invalid("say why; it is kept for ever")


def _refuse_open(operations: list[Operation]) -> None:
    going = [one.id for one in operations if one.open]
    if going:
        detail = f"{len(going)} operations about it have not ended: {', '.join(going[:5])}; settle them first"
        raise Conflicting(detail, kind="operations_open", members={"operations": going[:100]})
