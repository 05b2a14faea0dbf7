"""Identifiers: a prefix that says the kind and a UUIDv7 (RFC 9562 section 5.7), so that they sort by time.

Time order keeps the indexes of an ever growing table small and its inserts cheap.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Final

__all__ = ["Identifiers", "entropy", "uuid7"]

MASK: Final = ~(0xF << 76 | 0x3 << 62)
VERSION_AND_VARIANT: Final = 0x7 << 76 | 0x2 << 62


def uuid7(milliseconds: int, entropy: bytes) -> uuid.UUID:
    """A UUIDv7 from Unix milliseconds and ten bytes of chance."""
    return uuid.UUID(int=_uuid7(milliseconds, entropy))


def _uuid7(milliseconds: int, entropy: bytes) -> int:
    return (milliseconds << 80 | int.from_bytes(entropy[:10], "big")) & MASK | VERSION_AND_VARIANT


class _Stock:
    """Chance of the operating system, fetched in portions: one call needs a dozen small pieces, and each would be a
    call of the system. No byte is given twice, whatever the threads and forks."""

    PORTION: Final = 4096

    def __init__(self) -> None:
        self._renew()
        os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()
        self._bytes, self._used = b"", 0

    def take(self, size: int) -> bytes:
        with self._lock:
            if self._used + size > len(self._bytes):
                self._bytes, self._used = os.urandom(self.PORTION + size), 0
            self._used += size
            return self._bytes[self._used - size : self._used]


entropy: Final = _Stock().take
"""`entropy(n)`: n bytes of the operating system's chance, fit for keys and nonces."""


class Identifiers:
    """Draws identifiers and nonces; chance is handed in, so that a test can repeat a run."""

    def __init__(self, now: Callable[[], datetime], entropy: Callable[[int], bytes] = entropy) -> None:
        self._now = now
        self._entropy = entropy

    def new(self, prefix: str) -> str:
        """`new("op")` gives `op_0192f0c4…`: the prefix and 32 hexadecimal digits, in order of time."""
        return f"{prefix}_{_uuid7(int(self._now().timestamp() * 1000), self._entropy(10)):032x}"

    def chance(self, size: int) -> bytes:
        """Unguessable bytes."""
        return self._entropy(size)

    def nonce(self, size: int = 16) -> str:
        """Unguessable text of `2 * size` hexadecimal digits."""
        return self._entropy(size).hex()
