"""Checks a receipt against a log: the entry of that hash is there, or its omission is proven.

    record="rec_…", chain="pay_…", number=3, leaf="<SHA-256>", proof="/v1/audit/records/pay_…/3"

Rules
- The hash tiles are enough, and they are public: no entry is read, so a platform can do this for itself.
- The tiles are held against the signed root. A log that has no such hash, under a checkpoint that was signed later
  than the receipt was given by more than the publishing delay, has left the record out; receipt, answer and checkpoint
  are the evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.tiles import TILE_WIDTH, Read, TileReader, read_tile, split_tile, tile_path, width
from gateway.audit.tree import InvalidProof, RightEdge
from gateway.model.problems import GatewayError

__all__ = ["InvalidReceipt", "Receipt", "find_leaf"]

MEMBER: Final = re.compile(r'([a-z]+)=(?:"([^"]*)"|([0-9]+))')
LEAF: Final = re.compile(r"[0-9a-f]{64}")


class InvalidReceipt(GatewayError):
    """The text is no receipt."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an `Audit-Receipt` says."""

    record: str
    chain: str
    number: int
    leaf: bytes

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Read the header's value, with its name before it or without. Raises `InvalidReceipt`."""
        found = {name: quoted or plain for name, quoted, plain in MEMBER.findall(text)}
        if not LEAF.fullmatch(found.get("leaf", "")) or not found.get("number", "").isdigit():
            raise InvalidReceipt("this is no receipt; give the whole value of the answer's Audit-Receipt header")
        return cls(found.get("record", ""), found.get("chain", ""), int(found["number"]), bytes.fromhex(found["leaf"]))


def find_leaf(read: Read, head: Checkpoint, leaf: bytes) -> int | None:
    """The index of the entry with that hash in the log under `head`; None: the log has none.

    Raises `InvalidProof` if the tiles are not those of the signed root, `MissingTile` if one is not there.
    """
    edge, place = RightEdge(), None
    for index in range(-(-head.size // TILE_WIDTH)):
        tile = read_tile(read, 0, index, head.size)
        if tile is None:
            TileReader(read, head.size)(0, index * TILE_WIDTH)  # says which one is missing
            raise InvalidProof(f"{tile_path(0, index, width(0, index, head.size))} is missing")
        row = split_tile(tile)
        edge.extend(row)
        if place is None and leaf in row:
            place = index * TILE_WIDTH + row.index(leaf)
    if edge.root() != head.root:
        raise InvalidProof(
            "the hash tiles are not those of the signed root: fetch them again, or keep them as evidence"
        )
    return place
