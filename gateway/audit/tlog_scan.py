"""Derives a part of a log's tree from its entries, and compares each step with the tiles that are stored.

Rules
- A part is one tile of level 1 and what is below it: 65,536 entries. Parts share nothing, so that each may be scanned
  by a process of its own; one bundle at a time is in memory.
- Where two files differ, the hash above them says which is right, and that one is carried up: one fault, one finding.
  At the right edge, where nothing is above, it remains a `Doubt` until the root is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.audit.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    MissingTile,
    Read,
    hash_bundle,
    read_bundle,
    read_tile,
    split_tile,
    tile_path,
    width,
)
from gateway.audit.tlog_findings import LogFault, LogFinding, compare_entries
from gateway.audit.tree import subtree_root

__all__ = ["MOST_FINDINGS", "Doubt", "Part", "parts", "scan_part"]

MOST_FINDINGS: Final = 1000
"""Findings that are kept; the rest is only counted."""

Row = list[bytes]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two rows of hashes for one unfinished tile. What becomes of it depends on which of them leads to the root."""

    level: int
    index: int
    size: int
    derived: Row
    stored: Row

    def findings(self, derived_is_right: bool | None) -> list[LogFinding]:
        """What was changed: the tile, what is below it, or (None) nobody can say."""
        path = tile_path(self.level, self.index, width(self.level, self.index, self.size))
        if derived_is_right is None:
            detail = "it differs from what is below it, and neither leads to the signed root"
            return [LogFinding(LogFault.CHANGED, path, detail)]
        if derived_is_right:
            return [_tile_changed(path, self.derived, self.stored)]
        return below_changed(self.level, self.index, self.size, self.derived, self.stored)


@dataclass(slots=True)
class Part:
    """What was found in one part."""

    row: Row = field(default_factory=list)  # the hashes of its tile of level 1
    tail: Row = field(default_factory=list)  # those of the unfinished tile of level 0, in the last part
    entries: int = 0
    pruned: int = 0
    content_bytes: int = 0
    findings: list[LogFinding] = field(default_factory=list)
    faults: int = 0
    doubts: list[Doubt] = field(default_factory=list)
    strays: dict[int, bytes] = field(default_factory=dict)  # bundles that belong elsewhere: the root over what is there

    def find(self, *findings: LogFinding) -> None:
        """Keep findings, up to a limit."""
        self.faults += len(findings)
        self.findings += findings[: MOST_FINDINGS - len(self.findings)]


def parts(size: int) -> int:
    """How many parts a log of `size` entries has."""
    return -(-size // (TILE_WIDTH * TILE_WIDTH))


def scan_part(read: Read, size: int, number: int, minimum: int) -> Part:
    """Scan the part. Bundles that end at or below the index `minimum` may be gone."""
    part = Part()
    above = stored_row(part, read, 1, number, size) if width(1, number, size) else None
    first = number * TILE_WIDTH
    for index in range(first, min(first + TILE_WIDTH, -(-size // TILE_WIDTH))):
        parent = above[index - first] if above is not None and index - first < len(above) else None
        row = _scan_bundle(part, read, size, index, minimum, parent)
        if width(0, index, size) < TILE_WIDTH:
            part.tail = row
        else:
            part.row.append(subtree_root(row) if row else parent or b"")
    if part.row:
        part.row = check_row(part, read, size, 1, number, part.row, above)
    return part


def _scan_bundle(part: Part, read: Read, size: int, index: int, minimum: int, parent: bytes | None) -> Row:
    """The leaf hashes of one bundle, as right as they can be known; empty if there is neither bundle nor tile."""
    wide = width(0, index, size)
    derived, tile = _bundle_row(part, read, size, index, minimum), _stored_tile(part, read, 0, index, size)
    # Nearly always; comparing before the tile is split saves a tenth of the time.
    if derived is not None and tile == b"".join(derived):
        return derived
    stored = None if tile is None else split_tile(tile)
    path, bundle = tile_path(0, index, wide), tile_path(ENTRIES, index, wide)
    if derived is not None and stored is None and len(derived) != wide:
        detail = f"the bundle has {len(derived)} entries, not {wide}"
        part.find(LogFinding(LogFault.CHANGED, bundle, detail, index * TILE_WIDTH))
        return []
    if derived is None or stored is None:
        return derived or stored or []
    whole = len(derived) == wide
    if wide < TILE_WIDTH:
        part.doubts.append(Doubt(0, index, size, derived, stored))
        return derived
    if parent is not None and whole and subtree_root(derived) == parent:
        part.find(_tile_changed(path, derived, stored))
        return derived
    if parent is not None and subtree_root(stored) != parent:
        part.find(LogFinding(LogFault.CHANGED, path, "neither it nor its bundle has the hash that stands above them"))
        return derived if whole else stored
    if whole:
        part.strays[index] = subtree_root(derived)
    part.find(*compare_entries(derived, stored, bundle, index * TILE_WIDTH))
    return stored


def _bundle_row(part: Part, read: Read, size: int, index: int, minimum: int) -> Row | None:
    wide = width(0, index, size)
    path = tile_path(ENTRIES, index, wide)
    raw = read_bundle(read, index, size)
    if raw is None:
        if (index + 1) * TILE_WIDTH <= minimum:
            part.pruned += wide
        else:
            last = index * TILE_WIDTH + wide - 1
            detail = f"the bundle with the entries {index * TILE_WIDTH} to {last} is not there"
            part.find(LogFinding(LogFault.MISSING, path, detail, index * TILE_WIDTH))
        return None
    try:
        row = hash_bundle(raw)
    except ValueError as error:
        part.find(LogFinding(LogFault.CHANGED, path, str(error), index * TILE_WIDTH))
        return None
    if wide < len(row) and read(path) is None:
        del row[wide:]  # the bundle was filled since, and stands in for the partial one
    part.entries += len(row)
    part.content_bytes += len(raw)
    return row


def stored_row(part: Part, read: Read, level: int, index: int, size: int) -> Row | None:
    """The hashes of a stored tile, or None and a finding."""
    tile = _stored_tile(part, read, level, index, size)
    return None if tile is None else split_tile(tile)


def _stored_tile(part: Part, read: Read, level: int, index: int, size: int) -> bytes | None:
    path = tile_path(level, index, width(level, index, size))
    try:
        tile = read_tile(read, level, index, size)
    except MissingTile as error:
        part.find(LogFinding(LogFault.CHANGED, path, str(error)))
        return None
    if tile is None:
        part.find(LogFinding(LogFault.MISSING, path, "the tile is not there"))
    return tile


def check_row(part: Part, read: Read, size: int, level: int, index: int, derived: Row, stored: Row | None) -> Row:
    """Compare the hashes of a tile of level 1 or above with those from below; gives those that are right."""
    if stored is None or derived == stored:
        return derived
    if len(derived) < TILE_WIDTH:
        part.doubts.append(Doubt(level, index, size, derived, stored))
        return derived
    parent = _stored_hash(read, level + 1, index, size)
    path = tile_path(level, index)
    if parent == subtree_root(derived):
        part.find(_tile_changed(path, derived, stored))
        return derived
    if parent == subtree_root(stored):
        part.find(*below_changed(level, index, size, derived, stored))
        return stored
    part.find(LogFinding(LogFault.CHANGED, path, "neither it nor what is below it has the hash that stands above"))
    return derived


def _stored_hash(read: Read, level: int, index: int, size: int) -> bytes | None:
    try:
        tile = read_tile(read, level, index // TILE_WIDTH, size)
    except MissingTile:
        return None
    return None if tile is None else split_tile(tile)[index % TILE_WIDTH]


def below_changed(level: int, index: int, size: int, derived: Row, stored: Row) -> list[LogFinding]:
    """Findings for what differs from a tile that is right."""
    if level == 0:
        path = tile_path(ENTRIES, index, width(0, index, size))
        return list(compare_entries(derived, stored, path, index * TILE_WIDTH))
    return [
        _subtree_changed(level - 1, index * TILE_WIDTH + place)
        for place, (one, other) in enumerate(zip(derived, stored, strict=True))
        if one != other
    ]


def _subtree_changed(level: int, index: int) -> LogFinding:
    span = 1 << (TILE_HEIGHT * (level + 1))
    detail = f"the entries {index * span} to {(index + 1) * span - 1} are not those of the tree, and the tile agrees"
    return LogFinding(LogFault.CHANGED, tile_path(level, index), detail, index * span)


def _tile_changed(path: str, derived: Sequence[bytes], stored: Sequence[bytes]) -> LogFinding:
    places = [place for place, (one, other) in enumerate(zip(derived, stored, strict=False)) if one != other]
    return LogFinding(LogFault.CHANGED, path, f"{len(places)} of its hashes differ from what is below; that is right")
