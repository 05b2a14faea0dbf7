"""The head of a log's sequence: the one place where it is decided which entries the log has.

Rules
- The head moves by compare-and-swap only. Of two sequencers that both extend it, one loses, and nothing of the loser is
  ever signed or published: so there are never two histories at one size.
- It is durable before anything that builds on it is written.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.audit.directory import STATE, Directory
from gateway.audit.tree import EMPTY_ROOT
from gateway.model.problems import StorageError

__all__ = ["Head", "HeadFile", "Heads"]


@dataclass(frozen=True, slots=True)
class Head:
    """`size` entries under `root` are in the log; the last of them stands at `position` in the store.

    Positions have no gaps, so the entry at index i stands at position - size + i + 1.
    """

    size: int
    root: bytes
    position: int

    @classmethod
    def of_nothing(cls, position: int = 0) -> Head:
        """The head of a log that begins behind `position`."""
        return cls(0, EMPTY_ROOT, position)

    def position_at(self, size: int) -> int:
        """The position of the last entry, when the log had `size`."""
        return self.position - (self.size - size)


class Heads(Protocol):
    """Keeps the head of one log. Both methods raise `StorageError`."""

    async def read_head(self) -> Head | None:
        """The head, or None before the first swap."""

    async def swap_head(self, old: Head | None, new: Head) -> bool:
        """Make `new` the head if `old` is; durable on return. False if another one is."""


class HeadFile:
    """Keeps the head in a file, for all processes of one machine."""

    FILE: Final = f"{STATE}/head"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def read_head(self) -> Head | None:
        return await asyncio.to_thread(self._read)

    async def swap_head(self, old: Head | None, new: Head) -> bool:
        return await asyncio.to_thread(self._swap, old, new)

    def _read(self) -> Head | None:
        raw = self._directory.read(self.FILE)
        if raw is None:
            return None
        try:
            found = json.loads(raw)
            return Head(int(found["size"]), bytes.fromhex(found["root"]), int(found["position"]))
        except (ValueError, KeyError, TypeError):
            raise StorageError(f"the file {self.FILE} of the log is damaged: {raw[:200]!r}") from None

    def _swap(self, old: Head | None, new: Head) -> bool:
        with self._directory.exclusive("head"):
            if self._read() != old:
                return False
            content = {"size": new.size, "root": new.root.hex(), "position": new.position}
            self._directory.replace(self.FILE, json.dumps(content).encode() + b"\n")
            return True
