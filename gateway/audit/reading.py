"""Reads what a published log says: the leaves of one operation, of a time, of a partner; from its files alone.

Rules
- Only a log's files are read, up to the size that a checkpoint states. So the same answers come from the gateway's own
  directory and from the copy that an auditor took away; whether the files are genuine is `tlog_verify`'s question.
- A search walks over every entry. Leaves are parsed only where their bytes can match.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.audit.record import instant
from gateway.audit.tiles import TILE_WIDTH, Read, entries

__all__ = ["Search", "Wanted", "chain_of", "first_kept", "leaf_of", "search"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An entry that was looked for: its index, the exact bytes, and the members of its JSON."""

    index: int
    leaf: bytes
    members: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.members["id"])

    @property
    def number(self) -> int:
        """Its running number in its chain."""
        return int(self.members["place"]["number"])


@dataclass(frozen=True, slots=True)
class Search:
    """What a leaf must match; None matches all. Times are compared with the leaf's own, the end not included."""

    begin: datetime | None = None
    end: datetime | None = None
    kind: str | None = None
    client: str | None = None
    partner: str | None = None
    connection: str | None = None
    chain: str | None = None
    state: str | None = None  # the state that a change led to
    verb: str | None = None

    def needles(self) -> list[bytes]:
        """What a matching leaf's bytes hold for certain: canonical JSON writes a member in one way only."""
        named = {
            "kind": self.kind,
            "client": self.client,
            "partner": self.partner,
            "connection": self.connection,
            "chain": self.chain,
            "after": self.state,
            "verb": self.verb,
        }
        return [
            f'"{name}":{json.dumps(value, ensure_ascii=False)}'.encode()
            for name, value in named.items()
            if value is not None
        ]

    def matches(self, members: dict[str, Any]) -> bool:
        """Whether the members are what was asked for, and not only bytes somewhere in a leaf."""
        at = members.get("at", "")
        if (self.begin is not None and at < instant(self.begin)) or (self.end is not None and at >= instant(self.end)):
            return False
        pairs = (
            ("kind", self.kind),
            ("client", self.client),
            ("partner", self.partner),
            ("connection", self.connection),
            ("chain", self.chain),
            ("after", self.state),
            ("verb", self.verb),
        )
        return all(wanted is None or members.get(name) == wanted for name, wanted in pairs)


def first_kept(minimum: int) -> int:
    """The first index whose bundle is certainly there, where `minimum` is the log's minimum index."""
    return minimum - minimum % TILE_WIDTH  # only whole bundles below it are gone


def search(read: Read, size: int, wanted: Search, first: int = 0) -> Iterator[Wanted]:
    """The entries from `first` on that match, in the order of the log.

    Raises `MissingTile` where a bundle is missing, `ValueError` for an entry that is no JSON.
    """
    needles = wanted.needles()
    for index, leaf in entries(read, size, first):
        if all(needle in leaf for needle in needles):
            members = json.loads(leaf)
            if wanted.matches(members):
                yield Wanted(index, leaf, members)


def chain_of(read: Read, size: int, chain: str, first: int = 0) -> list[Wanted]:
    """The records of one operation, in the order of the log."""
    return list(search(read, size, Search(chain=chain), first))


def leaf_of(read: Read, size: int, record: str, first: int = 0) -> Wanted | None:
    """The record of that id."""
    needle = f'"id":"{record}"'.encode()
    for index, leaf in entries(read, size, first):
        if needle in leaf:
            members = json.loads(leaf)
            if members.get("id") == record:
                return Wanted(index, leaf, members)
    return None
