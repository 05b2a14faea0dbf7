"""The store of keys that can be destroyed: apart from the store of everything else, with backups that live shortly.

Each key seals what is known about one person (per client), or about one operation that names no person. It rests
wrapped by a key of the installation. Whoever destroys it here makes what it sealed unreadable wherever that was copied
to, save where a copy of this store is.

Rules
- `add` and `name` are durable on return: nothing may be sealed by a key that could be lost.
- A key is found by its id, which stands in front of whatever it sealed. A person's newest key is found by a `tag` (HMAC
  of client and subject), so that this store holds no identifier in clear.
- `destroy` leaves nothing of a key behind in the files or tables that it controls.
- A legal hold stands here, beside the keys that it protects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["StoredKey", "SubjectKeys"]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A wrapped key. `kek` names the key that wrapped it."""

    id: str
    wrapped: bytes
    kek: str


class SubjectKeys(Protocol):
    """What both back ends offer. Everything raises `StorageError` where the database fails."""

    async def add(self, keys: Sequence[StoredKey]) -> None:
        """Keep new keys, durably."""

    async def keys(self, ids: Sequence[str]) -> list[StoredKey]:
        """Those of `ids` that exist."""

    async def named(self, tag: str) -> str | None:
        """The id of the key that seals for `tag` now."""

    async def name(self, tag: str, id: str) -> str:
        """Let the key `id` seal for `tag` unless one does already; the id of the one that does."""

    async def forget_name(self, tag: str) -> None:
        """From now on nothing more is sealed by the key that `tag` names; the key itself stays."""

    async def destroy(self, ids: Sequence[str]) -> int:
        """Destroy keys for ever, with the names that they have. How many of them existed."""

    async def wrapped_by_others(self, kek: str, limit: int) -> list[StoredKey]:
        """Keys that are wrapped by another key than `kek`."""

    async def rewrap(self, keys: Sequence[StoredKey]) -> None:
        """Replace the wrapping of keys; one that was destroyed meanwhile stays destroyed."""

    async def hold(self, tag: str, at: datetime) -> None:
        """Put `tag` under legal hold. Again: nothing changes."""

    async def release_hold(self, tag: str) -> bool:
        """End the legal hold; whether there was one."""

    async def held(self, tag: str) -> datetime | None:
        """Since when `tag` is under legal hold."""

    async def close(self) -> None: ...
