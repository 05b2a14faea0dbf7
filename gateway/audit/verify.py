"""Verifies the records of a store against themselves, and says what was changed, removed, copied or moved.

For each record, in the order of the store
  1. its position follows the one before
  2. the hash of its leaf is the stored one                          (RFC 6962 section 2.1)
  3. its leaf is canonical JSON of a known format, not too large
  4. what stands beside the leaf agrees with it: id, chain, number, client, kind, time
  5. its sealed part is the one whose hash the leaf holds
  6. its number follows in its chain, from 1
  7. it names the hash of the record before it in the chain
  8. its counter follows in its process, from 1
  9. an outcome answers an intent that was not answered yet
  10. with keys: the sealed part opens, and the commitments in the leaf are to what it holds and to the stored digests

What this cannot see without something kept outside: that the newest records were cut off, or that the whole store was
put back to an older day or written anew. A checkpoint that somebody else holds shows that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from gateway.audit.record import FORMAT, LARGEST_LEAF, SALT_BYTES, commitment, instant, leaf_hash, sealing_context
from gateway.crypto.canonical import canonical_json
from gateway.model.problems import ConfigurationError, NotProven
from gateway.store.interface import Entry, Store

__all__ = ["Fault", "Finding", "Report", "Verifier", "verify", "verify_store"]

MOST_FINDINGS: Final = 1000
"""Findings that are kept with their place; the rest is only counted."""

PAGE: Final = 1000

NAMES: Final = ("id", "kind", "chain", "process")

Unseal = Callable[[bytes, bytes], bytes]
"""Opens a sealed part under its context; raises `NotProven`, or `ConfigurationError` if its key is gone."""


class Fault(StrEnum):
    """What was found."""

    CHANGED = "changed"
    MISSING = "missing"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault: the step that found it and where."""

    fault: Fault
    step: int
    detail: str
    position: int | None = None
    chain: str | None = None


@dataclass(slots=True)
class Report:
    """What was verified and what was found."""

    records: int = 0
    chains: int = 0
    processes: int = 0
    unanswered: list[str] = field(default_factory=list)  # intents without an outcome: in flight, or cut by a crash
    unopened: int = 0  # sealed parts whose key is not held (any more)
    findings: list[Finding] = field(default_factory=list)
    faults: int = 0

    @property
    def passed(self) -> bool:
        return self.faults == 0


class _Sequence:
    """Numbers that should come as 1, 2, 3, …"""

    __slots__ = ("gaps", "next")

    def __init__(self) -> None:
        self.next = 1
        self.gaps: list[tuple[int, int]] = []

    def take(self, number: int) -> Fault | None:
        """What is wrong with this number. A gap is judged at the end: what is missing may still come."""
        if number >= self.next:
            if number > self.next:
                self.gaps.append((self.next, number - 1))
            self.next = number + 1
            return None
        for place, (first, last) in enumerate(self.gaps):
            if first <= number <= last:
                rest = [(first, number - 1), (number + 1, last)]
                self.gaps[place : place + 1] = [(low, high) for low, high in rest if low <= high]
                return Fault.REORDERED
        return Fault.DUPLICATED


@dataclass(slots=True)
class _Chain:
    numbers: _Sequence = field(default_factory=_Sequence)
    last: int = 0
    hash: str = ""


class Verifier:
    """Takes records one by one in the order of the store; `report` closes the account. Memory grows with the chains."""

    def __init__(self, unseal: Unseal | None = None) -> None:
        self._unseal = unseal
        self._report = Report()
        self._positions = _Sequence()
        self._chains: dict[str, _Chain] = {}
        self._processes: dict[str, _Sequence] = {}
        self._intents: dict[str, None] = {}

    def take(self, entry: Entry) -> None:
        """Steps 1 to 10 for one record."""
        self._report.records += 1
        # 1.
        self._find(self._positions.take(entry.position), 1, "its position was taken before", entry)
        # 2.
        intact = leaf_hash(entry.leaf) == entry.hash
        if not intact:
            self._find(Fault.CHANGED, 2, "the leaf does not have the hash that was stored with it", entry)
        # 3.
        leaf = self._parsed(entry)
        # 4.
        if leaf is not None and intact:
            for name in _beside(entry, leaf):
                self._find(Fault.CHANGED, 4, f"the {name} beside the leaf is not the one in it", entry)
        # 5.
        self._sealed(entry, leaf)
        # 6. and 7.
        fault = self._linked(entry, leaf)
        if leaf is None:
            return
        # 8.
        counted = self._processes.setdefault(leaf["process"], _Sequence()).take(leaf["place"]["counter"])
        if counted is not fault:
            self._find(
                counted, 8, f"the counter {leaf['place']['counter']} of {leaf['process']} is out of order", entry
            )
        # 9.
        self._answered(entry, leaf)
        # 10.
        if self._unseal is not None and entry.body is not None:
            self._committed(entry, leaf, self._unseal)

    def report(self) -> Report:
        """Everything that was found, gaps included."""
        self._gaps(self._positions, 1, "the store lacks the position", None)
        for name, chain in self._chains.items():
            self._gaps(chain.numbers, 6, f"the chain {name} lacks the number", name)
        for name, counters in self._processes.items():
            self._gaps(counters, 8, f"the process {name} lacks the counter", None)
        self._report.chains = len(self._chains)
        self._report.processes = len(self._processes)
        self._report.unanswered = list(self._intents)
        return self._report

    def _find(self, fault: Fault | None, step: int, detail: str, entry: Entry) -> None:
        if fault is not None:
            self._add(Finding(fault, step, f"{entry.id}: {detail}", entry.position, entry.chain))

    def _add(self, finding: Finding) -> None:
        self._report.faults += 1
        if len(self._report.findings) < MOST_FINDINGS:
            self._report.findings.append(finding)

    def _gaps(self, sequence: _Sequence, step: int, what: str, chain: str | None) -> None:
        for first, last in sequence.gaps:
            span = str(first) if first == last else f"{first} to {last}"
            self._add(Finding(Fault.MISSING, step, f"{what} {span}", None, chain))
        sequence.gaps = []

    def _parsed(self, entry: Entry) -> dict[str, Any] | None:
        """The leaf's members, or None (and a finding) if it is not a leaf of ours."""
        try:
            leaf = json.loads(entry.leaf)
            canonical = canonical_json(leaf) == entry.leaf
            place = leaf["place"]
            known = leaf["format"] == FORMAT and all(isinstance(leaf[name], str) for name in NAMES)
            placed = isinstance(place["number"], int) and isinstance(place["counter"], int)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._find(Fault.CHANGED, 3, "the leaf is not JSON of the form that is written here", entry)
            return None
        if not (canonical and known and placed) or len(entry.leaf) > LARGEST_LEAF:
            self._find(Fault.CHANGED, 3, "the leaf is not canonical, of an unknown format, or too large", entry)
            return None
        return dict(leaf)

    def _sealed(self, entry: Entry, leaf: dict[str, Any] | None) -> None:
        if leaf is None:
            return
        named = _part(leaf, "sealed").get("hash")
        if entry.body is None:
            if named is not None:
                self._find(Fault.MISSING, 5, "the sealed part is gone", entry)
        elif hashlib.sha256(entry.body).hexdigest() != named:
            self._find(Fault.CHANGED, 5, "the sealed part is not the one that the leaf names", entry)

    def _linked(self, entry: Entry, leaf: dict[str, Any] | None) -> Fault | None:
        """Steps 6 and 7; gives what step 6 found, so that step 8 need not say it again."""
        number = leaf["place"]["number"] if leaf else entry.number
        chain = self._chains.setdefault(leaf["chain"] if leaf else entry.chain, _Chain())
        fault = chain.numbers.take(number)
        self._find(fault, 6, f"the number {number} in its chain is out of order", entry)
        if leaf is not None and number == chain.last + 1 and leaf["place"]["previous"] != chain.hash:
            detail = f"it was written after another record {chain.last} than the one that stands in its chain"
            self._find(Fault.CHANGED, 7, detail, entry)
        if number > chain.last:
            chain.last, chain.hash = number, entry.hash
        return fault

    def _answered(self, entry: Entry, leaf: dict[str, Any]) -> None:
        if leaf["kind"] == "intent":
            self._intents[leaf["id"]] = None
        elif leaf["kind"] == "outcome" and leaf.get("intent") in self._intents:
            del self._intents[leaf["intent"]]
        elif leaf["kind"] == "outcome":
            self._find(Fault.MISSING, 9, "it answers an intent that is not there, or was answered before", entry)

    def _committed(self, entry: Entry, leaf: dict[str, Any], unseal: Unseal) -> None:
        assert entry.body is not None
        try:
            opened = unseal(entry.body, sealing_context(entry.kind, entry.id))
        except ConfigurationError:
            self._report.unopened += 1
            return
        except NotProven:
            self._find(Fault.CHANGED, 10, "the sealed part does not open in this place", entry)
            return
        salt, exact = opened[:SALT_BYTES], opened[SALT_BYTES:]
        whole = hashlib.sha256(exact).hexdigest()
        request, reply = _part(leaf, "request"), _part(leaf, "reply")
        checks = (
            ("digest of the request", request.get("hash"), entry.digest),
            ("digest of the content", request.get("content"), entry.content),
            ("request", request.get("body"), whole),
            ("reply", reply.get("hash"), whole),
        )
        for name, named, digest in checks:
            if named is not None and (digest is None or commitment(salt, digest) != named):
                self._find(Fault.CHANGED, 10, f"the {name} is not the one that the leaf commits to", entry)


def _part(leaf: dict[str, Any], name: str) -> dict[str, Any]:
    part = leaf.get(name)
    return part if isinstance(part, dict) else {}


def _beside(entry: Entry, leaf: dict[str, Any]) -> list[str]:
    """Names of the columns that differ from the leaf."""
    inside = {name: leaf.get(name) for name in ("id", "chain", "client", "kind", "at")}
    inside["number"] = leaf["place"]["number"]
    beside = {
        "id": entry.id,
        "chain": entry.chain,
        "client": entry.client,
        "kind": entry.kind,
        "at": instant(entry.at),
        "number": entry.number,
    }
    return [name for name in beside if beside[name] != inside[name]]


def verify(entries: Iterable[Entry], unseal: Unseal | None = None) -> Report:
    """Verify `entries`, in the order of the store and from its first record on."""
    verifier = Verifier(unseal)
    for entry in entries:
        verifier.take(entry)
    return verifier.report()


async def verify_store(store: Store, unseal: Unseal | None = None) -> Report:
    """Verify every record of `store`. Raises `StorageError` if it cannot be read."""
    verifier = Verifier(unseal)
    page = await store.entries(limit=PAGE)
    while page:
        for entry in page:
            verifier.take(entry)
        page = await store.entries(after=page[-1].position, limit=PAGE)
    return verifier.report()
