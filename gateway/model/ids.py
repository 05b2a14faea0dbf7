"""Identifiers: a prefix that says the kind and a UUIDv7 (RFC 9562 section 5.7), so that they sort by time.

Time order keeps the indexes of an ever growing table small and its inserts cheap.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime

__all__ = ["Identifiers", "uuid7"]


def uuid7(milliseconds: int, entropy: bytes) -> uuid.UUID:
    """A UUIDv7 from Unix milliseconds and ten bytes of chance."""
    value = int.from_bytes(milliseconds.to_bytes(6, "big") + entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return uuid.UUID(int=value)


class Identifiers:
    """Draws identifiers and nonces; chance is handed in, so that a test can repeat a run."""

    def __init__(self, now: Callable[[], datetime], entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._now = now
        self._entropy = entropy

    def new(self, prefix: str) -> str:
        """`new("op")` gives `op_0192f0c4…`: the prefix and 32 hexadecimal digits, in order of time."""
        return f"{prefix}_{uuid7(int(self._now().timestamp() * 1000), self._entropy(10)).hex}"

    def nonce(self, size: int = 16) -> str:
        """Unguessable text of `2 * size` hexadecimal digits."""
        return self._entropy(size).hex()
