"""What the transparency log and its receipts ask of a store beside whole pages of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.store.interface import Entry

__all__ = ["LogQuestions"]


class LogQuestions(Protocol):
    """What a store answers about single records; every back end does."""

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        """Position and leaf of records in the order of the store, without their bodies."""

    async def record(self, chain: str, number: int) -> Entry | None:
        """One record, by its place in its chain."""

    async def last_record(self, chain: str) -> Entry | None:
        """The newest record of a chain, without its body."""
