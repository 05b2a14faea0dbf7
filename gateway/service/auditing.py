"""What auditors and platforms are given about records: where one stands in the log, what was sent, and evidence of it.

Rules
- Whoever reads bodies or takes evidence away leaves a record of it first: who, what, and why.
- A record's index follows from its position in the store, because positions have no gaps. It is given only with a proof
  that was verified against the published checkpoint: what is not published yet has none.
- The work on files runs in a thread: the calls of platforms do not wait for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.audit.checkpoint import CHECKPOINT, open_checkpoint
from gateway.audit.directory import FileReader
from gateway.audit.evidence import Disclosure, LogPart, Scope, bundle
from gateway.audit.journal import Journal
from gateway.audit.note import VerifierKey
from gateway.audit.policy import COSIGNED, POLICY
from gateway.audit.proof import Proof, prove, verify_proof
from gateway.audit.reading import Search, Wanted, search
from gateway.audit.record import SALT_BYTES, sealing_context
from gateway.audit.vault import Vault
from gateway.model.clock import Clock
from gateway.model.problems import ConfigurationError, NotFound, NotProven, Overloaded, Refused, Retry
from gateway.service.config import Configuration
from gateway.store.interface import Entry, Recorded, Store

__all__ = ["Asked", "Auditing", "Evidence", "Placed", "PublishedLog", "partner_keys"]

MOST_RECORDS: Final = 20_000
"""In one bundle; a longer time is asked for in parts."""

LONGEST_WAIT_SECONDS: Final = 5.0
"""For the checkpoint that covers a record that was just written."""

Unseal = Callable[[bytes, bytes], bytes]
"""Opens a sealed part under its context; raises `NotProven`, or `ConfigurationError` if its key is gone."""


@dataclass(frozen=True, slots=True)
class PublishedLog:
    """The log that this process publishes: its entry at index i is the record at the position `base` + i + 1."""

    read: FileReader
    key: VerifierKey
    base: int

    def part(self) -> LogPart:
        """It as it stands now. Raises `NotFound` before the first checkpoint."""
        note = self.read(CHECKPOINT)
        if note is None:
            raise NotFound("the log has published no checkpoint yet")
        return LogPart(self.read, note, self.key, self.read(POLICY))

    def cosigned(self, part: LogPart, last: int) -> LogPart:
        """The same under the newest checkpoint that witnesses cosigned, if that covers the index `last`."""
        note = self.read(COSIGNED)
        there = None if note is None else replace(part, checkpoint=note)
        return there if there is not None and _size(there) > last else part


@dataclass(frozen=True, slots=True)
class Placed:
    """A record and its place in the log; without a proof it is not published yet."""

    entry: Entry
    proof: Proof | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What evidence is asked for: an operation, or the records from one moment to another; with bodies or without."""

    operation: str | None
    begin: datetime | None
    end: datetime | None
    bodies: bool
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A bundle, and the record of its making."""

    packed: bytes
    records: int
    made: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.packed).hexdigest()


class Auditing:
    """Answers about records. `log` is None where another process publishes it."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        clock: Clock,
        unseal: Unseal,
        log: PublishedLog | None,
        keys: Mapping[str, str],
        vault: Vault | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._unseal = unseal
        self.log = log
        self._keys = keys
        self._vault = vault

    async def placed(self, chain: str, number: int) -> Placed | None:
        """One record with its proof. Raises `MissingTile` and `InvalidProof` if the log is damaged."""
        entry = await self._store.record(chain, number)
        if entry is None or self.log is None:
            return None if entry is None else Placed(entry, None)
        return Placed(entry, await asyncio.to_thread(_proof, self.log, entry))

    async def bodies(self, operation: str, actor: str, reason: str) -> dict[str, Disclosure]:
        """What was sent and received for an operation, by record; the reading is recorded before."""
        await self._record(actor, f"read the bodies of {operation}", reason, operation)
        entries = await self._store.chain(operation)
        await self._fetch(entries)
        return {entry.id: opened for entry in entries if (opened := self._opened(entry)) is not None}

    async def evidence(self, asked: Asked) -> Evidence:
        """Make a bundle. The export is recorded before it is made.

        Raises `NotFound` where there is nothing, `Refused` where there is too much or it is not published here.
        """
        if self.log is None:
            raise NotFound("this process does not publish the log; ask the one that does")
        what = asked.operation or f"the records from {asked.begin} to {asked.end}"
        bodies = "with bodies" if asked.bodies else "without bodies"
        made = await self._record(asked.actor, f"export {what}, {bodies}", asked.reason, asked.operation)
        if asked.operation is not None:
            entries = await self._store.chain(asked.operation)
            part, found = await self._covered(self.log, entries)
            scope = Scope("operation", asked.operation)
        else:
            part = self.log.part()
            found = await asyncio.to_thread(_between, part, asked.begin, asked.end)
            part = self.log.cosigned(part, found[-1].index)
            entries = await self._entries(self.log, found) if asked.bodies else []
            scope = Scope("range", first=found[0].index, end=found[-1].index + 1, asked=_words(asked))
        if asked.bodies:
            await self._fetch(entries)
        opened = [one for one in map(self._opened, entries) if one is not None] if asked.bodies else []
        packed = await asyncio.to_thread(
            bundle,
            scope,
            [part],
            [(0, one) for one in found],
            disclosures=opened,
            partner_keys=self._keys,
            made_at=self._clock.now(),
            made_by=asked.actor,
        )
        return Evidence(packed, len(found), made)

    async def _record(self, actor: str, what: str, reason: str, operation: str | None) -> str:
        """An act of its own chain: reading an operation adds nothing to the operation."""
        act = self._journal.act(actor=actor, what=what, reason=reason, evidence=operation)
        await self._store.commit([Recorded(act)])
        return act.id

    async def _covered(self, log: PublishedLog, entries: Sequence[Entry]) -> tuple[LogPart, list[Wanted]]:
        """The records of an operation, and a checkpoint that covers them; what is newer than a second may not be."""
        if not entries:
            raise NotFound("there is no record of that")
        last, until = entries[-1].position - log.base - 1, self._clock.monotonic() + LONGEST_WAIT_SECONDS
        while _size(part := log.part()) <= last:
            if self._clock.monotonic() > until:
                raise Overloaded("the newest record is not published yet", retry=Retry.AFTER, retry_after_seconds=5)
            await self._clock.sleep(0.1)
        part = log.cosigned(part, last)
        return part, [Wanted(one.position - log.base - 1, one.leaf, json.loads(one.leaf)) for one in entries]

    async def _entries(self, log: PublishedLog, found: Sequence[Wanted]) -> list[Entry]:
        after, last = log.base + found[0].index, log.base + found[-1].index + 1
        entries: list[Entry] = []
        while after < last:
            page = await self._store.entries(after=after, limit=min(1000, last - after))
            if not page:
                break
            entries += page
            after = page[-1].position
        return entries

    async def _fetch(self, entries: Sequence[Entry]) -> None:
        if self._vault is not None:
            await self._vault.fetch([entry.body for entry in entries if entry.body is not None])

    def _opened(self, entry: Entry) -> Disclosure | None:
        """What the record commits to; None where it commits to nothing."""
        if entry.body is None:
            return None
        try:
            opened = self._unseal(entry.body, sealing_context(entry.kind, entry.id))
        except ConfigurationError:
            return Disclosure(entry.id, unavailable="its key was destroyed, or is not held here")
        except NotProven:
            return Disclosure(entry.id, unavailable="what is stored does not open as this record's")
        salt, exact = opened[:SALT_BYTES], opened[SALT_BYTES:]
        return Disclosure(entry.id, salt, exact or None, entry.digest)


def partner_keys(configuration: Configuration) -> dict[str, str]:
    """Institutions' public keys and roots as configured, by the name of their file in a bundle."""
    files: dict[str, str] = {}
    for name, section in configuration.connections.items():
        for place, pem in enumerate(section.partner_keys.values()):
            files[f"{name}/key-{place}.pem"] = pem
        for place, pem in enumerate(section.partner_roots):
            files[f"{name}/root-{place}.pem"] = pem
    return files


def _size(part: LogPart) -> int:
    return open_checkpoint(part.checkpoint, part.key).checkpoint.size


def _proof(log: PublishedLog, entry: Entry) -> Proof | None:
    part, index = log.part(), entry.position - log.base - 1
    if not 0 <= index < _size(part):
        return None
    proof = prove(part.read, index, part.checkpoint)
    verify_proof(proof, entry.leaf, part.key)
    return proof


def _between(part: LogPart, begin: datetime | None, end: datetime | None) -> list[Wanted]:
    """The unbroken run of entries that holds all of that time. Raises `NotFound`, `Refused`."""
    size = _size(part)
    inside = [one.index for one in search(part.read, size, Search(begin=begin, end=end))]
    if not inside:
        raise NotFound("the log has no record of that time")
    first, last = inside[0], inside[-1]
    if last - first >= MOST_RECORDS:
        detail = f"these are {last - first + 1} records; one bundle takes {MOST_RECORDS}: ask for a shorter time"
        raise Refused(detail, kind="invalid_fields", status=422)
    found = []
    for one in search(part.read, size, Search(), first):
        if one.index > last:
            break
        found.append(one)
    return found


def _words(asked: Asked) -> dict[str, Any]:
    moments = {"from": asked.begin, "to": asked.end}
    return {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
