"""Tiles and entry bundles (C2SP tlog-tiles): where a log's hashes and entries stand, and how they are encoded.

Rules
- Pure: paths and bytes. `directory` alone writes them to a disk; whoever reads hands in a function.
- A tile holds up to 256 hashes of one level, a bundle the 256 entries below a tile of level 0. Only at the right edge
  stand partial ones; a partial tile is never hashed into the level above.
- `size` is always a tree's, never a tile's: it alone says which tiles exist and how wide the last ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import Final

from gateway.audit.tree import EMPTY_ROOT, HASH_BYTES, RightEdge, hash_leaf, range_root, subtree_root
from gateway.model.problems import GatewayError

__all__ = [
    "ENTRIES",
    "LARGEST_ENTRY",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Edge",
    "MissingTile",
    "Read",
    "TileReader",
    "decode_bundle",
    "encode_bundle",
    "entries",
    "filled",
    "hash_bundle",
    "levels",
    "read_bundle",
    "read_tile",
    "split_tile",
    "tile_path",
    "width",
]

TILE_HEIGHT: Final = 8

TILE_WIDTH: Final = 1 << TILE_HEIGHT

LARGEST_ENTRY: Final = 65_535
"""Bytes; an entry's length is written in 16 bits."""

ENTRIES: Final = "entries"
"""Stands where a tile has its level, in the path of a bundle."""

MOST_TILES_HELD: Final = 64
"""A reader keeps that many tiles of 8 KiB."""

Read = Callable[[str], bytes | None]
"""Gives the file at a path below the log's root, or None if there is none."""


class MissingTile(GatewayError):
    """A tile or bundle that the log must have is not there, or is not what its path says."""


def width(level: int, index: int, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves; 0 if it does not exist."""
    return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH))


def levels(size: int) -> int:
    """How many levels of tiles a tree of `size` leaves has."""
    return (size.bit_length() + TILE_HEIGHT - 1) // TILE_HEIGHT


def tile_path(level: int | str, index: int, width: int = TILE_WIDTH) -> str:
    """`tile/<L>/<N>[.p/<W>]`; the level `ENTRIES` names the bundle."""
    thousands = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        thousands = f"x{index % 1000:03}/{thousands}"
    partial = f".p/{width}" if width < TILE_WIDTH else ""
    return f"tile/{level}/{thousands}{partial}"


def filled(before: int, after: int) -> list[str]:
    """Paths of the tiles and the bundle that were partial at the size `before` and are full at the size `after`."""
    paths = []
    for level in range(levels(before)):
        index = (before >> (TILE_HEIGHT * level)) // TILE_WIDTH
        if width(level, index, before) and width(level, index, after) == TILE_WIDTH:
            paths += [tile_path(level, index)] if level else [tile_path(level, index), tile_path(ENTRIES, index)]
    return paths


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """Entries behind their lengths. Raises `ValueError` for one that is too large."""
    return b"".join([_encode_entry(leaf) for leaf in leaves])


def _encode_entry(leaf: bytes) -> bytes:
    if len(leaf) > LARGEST_ENTRY:
        raise ValueError(f"an entry of {len(leaf)} bytes is larger than {LARGEST_ENTRY}")
    return len(leaf).to_bytes(2, "big") + leaf


def decode_bundle(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. Raises `ValueError` where the lengths do not add up."""
    leaves, place, end = [], 0, len(bundle)
    while place < end:
        start = place + 2
        place = start + int.from_bytes(bundle[place:start], "big")
        leaves.append(bundle[start:place])
    if place != end:
        raise ValueError(f"the bundle is cut off behind its entry {len(leaves) - 1}")
    return leaves


def hash_bundle(bundle: bytes) -> list[bytes]:
    """The leaf hashes of a bundle. Raises `ValueError` where the lengths do not add up.

    The same walk as `decode_bundle` in one pass: whoever verifies a log spends half of the time here.
    """
    hashes: list[bytes] = []
    place, start, end = 0, 2, len(bundle)
    take, digest = hashes.append, sha256
    while start <= end:
        place = start + ((bundle[start - 2] << 8) | bundle[start - 1])
        take(digest(b"\x00" + bundle[start:place]).digest())
        start = place + 2
    if place != end:
        raise ValueError(f"the bundle is cut off behind its entry {len(hashes) - 1}")
    return hashes


def split_tile(tile: bytes) -> list[bytes]:
    """The hashes of a tile."""
    return [tile[place : place + HASH_BYTES] for place in range(0, len(tile), HASH_BYTES)]


def read_tile(read: Read, level: int, index: int, size: int) -> bytes | None:
    """The tile as it stands in a tree of `size`: the partial one, or that much of the one that was filled since.

    None if neither is there. Raises `MissingTile` if it is shorter than it has to be.
    """
    return _read(read, level, index, width(level, index, size))


def read_bundle(read: Read, index: int, size: int) -> bytes | None:
    """The bundle as it stands in a tree of `size`. A full one, where the partial one is gone, may hold more entries."""
    wide = width(0, index, size)
    partial = read(tile_path(ENTRIES, index, wide))
    return read(tile_path(ENTRIES, index)) if partial is None and wide < TILE_WIDTH else partial


def _read(read: Read, level: int, index: int, wide: int) -> bytes | None:
    path = tile_path(level, index, wide)
    tile = read(path)
    if tile is None and wide < TILE_WIDTH:
        # "Logs … MAY delete any partial tile once the corresponding full tile is … available."
        path = tile_path(level, index)
        tile = read(path)
        tile = None if tile is None else tile[: wide * HASH_BYTES]
    if tile is not None and len(tile) != wide * HASH_BYTES:
        raise MissingTile(f"{path} has {len(tile)} bytes, not {wide * HASH_BYTES}")
    return tile


class TileReader:
    """Gives hashes of complete subtrees (a `ReadHash`) from the tiles of a tree of `size` leaves."""

    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self.size = size
        self._held: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """Raises `MissingTile`."""
        tile_level, above = divmod(level, TILE_HEIGHT)
        first, number = index << above, 1 << above
        tile = self._tile(tile_level, first // TILE_WIDTH)
        start = first % TILE_WIDTH * HASH_BYTES
        row = split_tile(tile[start : start + number * HASH_BYTES])
        if len(row) != number:
            raise MissingTile(f"{tile_path(tile_level, first // TILE_WIDTH)} does not reach to the hash {first}")
        return subtree_root(row)

    def root(self, size: int | None = None) -> bytes:
        """The root of the tree as it was at `size`. Raises `MissingTile`."""
        return range_root(self, 0, self.size if size is None else size)

    def _tile(self, level: int, index: int) -> bytes:
        tile = self._held.get((level, index))
        if tile is None:
            tile = read_tile(self._read, level, index, self.size)
            if tile is None:
                raise MissingTile(f"{tile_path(level, index, width(level, index, self.size))} is missing")
            if len(self._held) >= MOST_TILES_HELD:
                del self._held[next(iter(self._held))]
            self._held[level, index] = tile
        return tile


def entries(read: Read, size: int, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Index and bytes of each entry from `first` on, one bundle at a time; nothing is verified.

    Raises `MissingTile` where a bundle is missing (pruned, perhaps) or damaged.
    """
    for index in range(first // TILE_WIDTH, -(-size // TILE_WIDTH)):
        wide = width(0, index, size)
        bundle = read_bundle(read, index, size)
        path = tile_path(ENTRIES, index, wide)
        if bundle is None:
            raise MissingTile(f"{path} is missing")
        try:
            leaves = decode_bundle(bundle)[:wide]
        except ValueError as error:
            raise MissingTile(f"{path}: {error}") from None
        if len(leaves) != wide:
            raise MissingTile(f"{path} has {len(leaves)} entries, not {wide}")
        begin = index * TILE_WIDTH
        yield from ((begin + place, leaf) for place, leaf in enumerate(leaves) if begin + place >= first)


class Edge:
    """The right edge of a growing log: the unfinished tile of each level and the unfinished bundle.

    Memory is bounded by one tile a level and what was appended since `take_full`.
    """

    def __init__(self) -> None:
        self.size = 0
        self._rows: list[list[bytes]] = [[]]  # the hashes of each level's unfinished tile
        self._bundle: list[bytes] = []
        self._taken = 0  # the size at which the partial ones were taken
        self._full: dict[str, bytes] = {}

    @classmethod
    def load(cls, read: Read, size: int) -> Edge:
        """The edge of the log as it stands on disk at `size`. Raises `MissingTile`."""
        edge = cls()
        edge.size = edge._taken = size
        edge._rows = [edge._load_row(read, level) for level in range(levels(size))] or [[]]
        if size % TILE_WIDTH:
            edge._bundle = [_encode_entry(leaf) for _, leaf in entries(read, size, size - size % TILE_WIDTH)]
            if [hash_leaf(leaf[2:]) for leaf in edge._bundle] != edge._rows[0]:
                raise MissingTile(f"the last entries of the log are not those of its tree of size {size}")
        return edge

    def _load_row(self, read: Read, level: int) -> list[bytes]:
        index = (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
        wide = width(level, index, self.size)
        tile = read_tile(read, level, index, self.size) if wide else b""
        if tile is None:
            raise MissingTile(f"{tile_path(level, index, wide)} is missing")
        return split_tile(tile)

    def append(self, leaf: bytes) -> None:
        """Add an entry. Raises `ValueError` if it is too large."""
        self._bundle.append(_encode_entry(leaf))
        self._rows[0].append(hash_leaf(leaf))
        self.size += 1
        if len(self._bundle) == TILE_WIDTH:
            self._full[tile_path(ENTRIES, self.size // TILE_WIDTH - 1)] = b"".join(self._bundle)
            self._bundle.clear()
            self._carry()

    def _carry(self) -> None:
        """Finish each tile that has become full; its root is the next hash of the level above."""
        level = 0
        while len(self._rows[level]) == TILE_WIDTH:
            row = self._rows[level]
            self._full[tile_path(level, (self.size >> (TILE_HEIGHT * (level + 1))) - 1)] = b"".join(row)
            if level + 1 == len(self._rows):
                self._rows.append([])
            self._rows[level + 1].append(subtree_root(row))
            row.clear()
            level += 1

    def take_full(self) -> dict[str, bytes]:
        """The tiles and bundles that have become full since the last time, path to bytes."""
        files, self._full = self._full, {}
        return files

    def take_partial(self) -> dict[str, bytes]:
        """The unfinished tiles and the unfinished bundle, as far as they have changed since the last time."""
        files = {}
        if self._bundle and self.size != self._taken:
            files[tile_path(ENTRIES, self.size // TILE_WIDTH, len(self._bundle))] = b"".join(self._bundle)
        for level, row in enumerate(self._rows):
            count = self.size >> (TILE_HEIGHT * level)
            if row and count != self._taken >> (TILE_HEIGHT * level):
                files[tile_path(level, count // TILE_WIDTH, len(row))] = b"".join(row)
        self._taken = self.size
        return files

    def root(self) -> bytes:
        """The root over all entries; what it costs does not depend on the size but for its levels."""
        if not self.size:
            return EMPTY_ROOT
        edge = RightEdge()
        for level in range(len(self._rows) - 1, -1, -1):
            edge.extend(self._rows[level], TILE_HEIGHT * level)
        return edge.root()
