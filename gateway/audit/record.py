"""A record's leaf: the bytes that are kept for ever, and their hash.

Rules
- A leaf is canonical JSON of at most 65,535 bytes, hashed as RFC 6962 hashes a leaf: SHA-256 over 0x00 and the bytes.
  A transparency log takes both unchanged. The stored bytes are the truth: whoever verifies hashes them as they are.
- No body, no secret and no personal data stands in a leaf in clear. What was sent or received is there as a salted
  commitment; the salt stands in the sealed part, so that destroying its key leaves nothing to guess at.
- `place` is what only the store's writer knows: number in the chain, hash of the record before it there, and the
  process's counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.crypto.canonical import canonical_json

__all__ = [
    "FORMAT",
    "LARGEST_LEAF",
    "SALT_BYTES",
    "Leaf",
    "commitment",
    "instant",
    "leaf_hash",
    "sealing_context",
    "shown",
]

FORMAT: Final = 1
"""Version of the leaf's members."""

LARGEST_LEAF: Final = 65_535
"""Bytes; C2SP tlog-tiles gives an entry's length in 16 bits."""

PLACE_BYTES: Final = 160
"""The most that `place` can take: two integers, a hash, and their names."""

SALT_BYTES: Final = 16


class Leaf:
    """All of a leaf but its place; called inside the store's transaction, it gives bytes and hash (see `Finish`)."""

    __slots__ = ("_after", "_before", "fields")

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Members that are None are left out. Raises `ValueError` if the leaf would be too large."""
        self.fields = {name: value for name, value in fields.items() if value is not None}
        self._before, self._after = _around_place(self.fields)
        size = len(self._before) + len(self._after) + PLACE_BYTES
        if size > LARGEST_LEAF:
            raise ValueError(f"a record of {size} bytes does not fit into a leaf of {LARGEST_LEAF}")

    def __call__(self, number: int, previous: str, counter: int) -> tuple[bytes, str]:
        place = f'"place":{{"counter":{counter},"number":{number},"previous":"{previous}"}}'
        leaf = self._before + place.encode() + self._after
        return leaf, leaf_hash(leaf)


def _around_place(fields: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The leaf in canonical form, cut where its `place` goes: members are sorted by name."""
    text = canonical_json({**fields, "place": 0})
    if text.count(b'"place":0') == 1:
        before, _, after = text.partition(b'"place":0')
        return before, after
    # A member has a member of that name inside: the two halves are written one by one.
    before = canonical_json({name: value for name, value in fields.items() if name < "place"})
    after = canonical_json({name: value for name, value in fields.items() if name > "place"})
    return before[:-1] + b",", b"," + after[1:]


def leaf_hash(leaf: bytes) -> str:
    """RFC 6962 section 2.1, in hexadecimal."""
    return hashlib.sha256(b"\x00" + leaf).hexdigest()


def commitment(salt: bytes, digest: str) -> str:
    """Binds to what `digest` (SHA-256, hexadecimal) stands for, and tells nothing to those who lack the salt."""
    return hashlib.sha256(salt + bytes.fromhex(digest)).hexdigest()


def sealing_context(kind: str, id_: str) -> bytes:
    """What the sealed part of a record is bound to, so that it cannot be moved to another one."""
    return f"record {kind} {id_}".encode()


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def shown(url: str) -> str:
    """Where a request goes, for a leaf: origin, path, and the names in the query; their values stay sealed."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    names = "&".join(pair.partition("=")[0] for pair in parts.query.split("&")) if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{'?' + names if names else ''}"
