"""The sequencer gives each record its index in the log, and publishes checkpoints.

One round
  1. read what the store holds behind the head, in its order and without gaps
  2. work out the tree that they make
  3. swap the head; whoever loses here drops the round and follows the winner
  4. write tiles and bundles, durably
  5. sign and publish the checkpoint
  6. drop the partial tiles that have become full

Rules
- The store is the staging area: a record is durable there before it has an index. So a round that broke off behind
  step 3 is repeated from the store, gives the same bytes, and must give the root that the head promises.
- Nothing is signed before the head was swapped.
- Whatever went wrong in a round, the next one begins with `_recover`, as a restart does.
- What is published never goes back: a store that was put back to an older day stops the sequencer. Only a person can
  decide what to do then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from gateway.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from gateway.audit.directory import PUBLIC_KEY, Directory
from gateway.audit.head import Head, Heads
from gateway.audit.note import InvalidNote, Signer, parse_note
from gateway.audit.policy import COSIGNED
from gateway.audit.tiles import Edge, MissingTile, TileReader, filled
from gateway.audit.tree import hash_leaf
from gateway.model.clock import Clock
from gateway.model.problems import StorageError

__all__ = ["INTERVAL_SECONDS", "Entries", "Sequencer"]

INTERVAL_SECONDS: Final = 0.5
"""From the start of one round to the next. A record that just missed one is published a round and an interval later:
within a second, as long as a round takes less than half of one."""

MOST_ENTRIES: Final = 16_384
"""In one round; what it keeps in memory are these, and one tile for each level."""

PAGE: Final = 1000

T = TypeVar("T")


class Entries(Protocol):
    """What the sequencer needs of the store."""

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        """Positions and leaves of records in the order of the store."""


class Sequencer:
    """Keeps one log. `signer.key` names the log: its name is the origin. `begin_behind` is for a log that continues a
    closed one: the position of the last record there.
    """

    def __init__(
        self,
        directory: Directory,
        heads: Heads,
        store: Entries,
        signer: Signer,
        clock: Clock,
        *,
        begin_behind: int = 0,
        interval_seconds: float = INTERVAL_SECONDS,
        most_entries: int = MOST_ENTRIES,
    ) -> None:
        self._directory = directory
        self._heads = heads
        self._store = store
        self._signer = signer
        self._clock = clock
        self.base = begin_behind  # the entry at index i is the record at the position base + i + 1
        self._interval = interval_seconds
        self._most = most_entries
        # One thread: disk work that outlives a cancelled round is done before that of the next begins.
        self._thread = ThreadPoolExecutor(1, "sequencer")
        self._state: tuple[Head, Edge] | None = None
        self._gap: int | None = None

    @property
    def gap(self) -> int | None:
        """A position that the store lacks while it holds later ones. Nothing behind it enters the log: if it stays, a
        record was removed, and somebody has to look.
        """
        return self._gap

    async def open(self) -> Head:
        """Become the writer of the directory and finish what an earlier one began; gives the head.

        Raises `StorageError` if another process is the writer, or if head, directory and store contradict each other.
        """
        await self._work(self._directory.lock)
        self._state = await self._recover()
        await self._work(self._directory.replace, PUBLIC_KEY, f"{self._signer.key}\n".encode())
        return self._state[0]

    async def close(self) -> None:
        """Finish the disk work that is going on and let another process write."""
        await asyncio.to_thread(self._thread.shutdown)
        self._directory.close()

    async def run(self) -> None:
        """Round after round until it is cancelled. Raises `StorageError`: the process has to stop."""
        while True:
            started = self._clock.monotonic()
            taken = await self.advance()
            if taken < self._most:
                await self._clock.sleep(max(0.0, self._interval - (self._clock.monotonic() - started)))

    async def advance(self) -> int:
        """One round; how many records it published. Raises `StorageError`."""
        state, self._state = self._state, None  # gone unless the round ends well
        head, edge = state or await self._recover()
        # 1.
        leaves = await self._behind(head.position, self._most)
        if not leaves:
            self._state = head, edge
            return 0
        # 2.
        root = await self._work(_append, edge, leaves)
        # 3.
        new = Head(edge.size, root, head.position + len(leaves))
        if not await self._heads.swap_head(head, new):
            self._state = await self._recover()
            return 0
        # 4. to 6.
        await self._work(self._write, edge)
        await self._work(self._publish, head.size, new)
        self._state = new, edge
        return len(leaves)

    async def prune(self, minimum: int) -> int:
        """Let go of the bundles that end at or below the index `minimum`; gives how many (see `Directory.prune`).

        Whether it may be done, by the retention policy and by holds, was decided and recorded before.
        """
        return await self._work(self._directory.prune, minimum)

    async def cosigned(self, note: bytes) -> None:
        """Publish a checkpoint that witnesses have cosigned; nothing if the log was published under another head since.

        The copy in `COSIGNED` stays when the next checkpoint comes.
        """
        await self._work(self._cosigned, note)

    def _cosigned(self, note: bytes) -> None:
        open_checkpoint(note, self._signer.key)
        self._directory.replace(COSIGNED, note)
        published = self._directory.published()
        if published is not None and parse_note(published).text == parse_note(note).text:
            self._directory.publish(note)

    async def _recover(self) -> tuple[Head, Edge]:
        """Bring the directory to the head: after a start, after a round that broke off, after one that was lost."""
        head = await self._heads.read_head()
        if head is None:
            head = Head.of_nothing(self.base)
            if not await self._heads.swap_head(None, head):
                return await self._recover()
        self.base = head.position - head.size
        published, edge = await self._work(self._load, head)
        if published:
            await self._compare_last(head.position_at(published), published)
        while edge.size < head.size:
            leaves = await self._behind(head.position_at(edge.size), min(self._most, head.size - edge.size))
            if not leaves:
                raise StorageError(
                    f"the log has records up to the position {head.position}, and the store ends at "
                    f"{head.position_at(edge.size)}: it was put back or cut; restore what is missing"
                )
            await self._work(_append, edge, leaves)
            await self._work(self._write_full, edge)
        await self._work(self._finish, published, head, edge)
        return head, edge

    async def _compare_last(self, position: int, size: int) -> None:
        """The last record of the published log has to stand in the store, where it stood when it was taken.

        Otherwise the store was put back, and gives the positions that the log has passed to other records.
        """
        expected = await self._work(TileReader(self._directory.read, size), 0, size - 1)
        page = await self._store.leaves(after=position - 1, limit=1)
        if not page or page[0][0] != position or hash_leaf(page[0][1]) != expected:
            raise StorageError(
                f"the log's last record is at the position {position}, and the store holds none or another one there: "
                "it was put back or cut. Restore it, or close this log and begin another one"
            )

    async def _behind(self, position: int, most: int) -> list[bytes]:
        """Leaves from the store; up to the first gap, which is a commit that cannot be seen yet, or a removal."""
        leaves: list[bytes] = []
        self._gap = None
        while len(leaves) < most:
            limit = min(PAGE, most - len(leaves))
            page = await self._store.leaves(after=position + len(leaves), limit=limit)
            for place, leaf in page:
                if place != position + len(leaves) + 1:
                    self._gap = position + len(leaves) + 1
                    return leaves
                leaves.append(leaf)
            if len(page) < limit:
                break
        return leaves

    def _load(self, head: Head) -> tuple[int, Edge]:
        """What is published, checked against the head and against the tiles."""
        raw = self._directory.published()
        if raw is None:
            return 0, Edge()
        try:
            published = open_checkpoint(raw, self._signer.key).checkpoint
            edge = Edge.load(self._directory.read, published.size)
        except (InvalidNote, MissingTile) as error:
            raise StorageError(f"the log's directory is damaged or belongs to another log: {error}") from error
        if edge.root() != published.root:
            raise StorageError(f"the tiles of the log do not have the root that was published for {published.size}")
        if head.size < published.size or (head.size == published.size and head.root != published.root):
            raise StorageError(
                f"the log has published {published.size} entries, and the head knows another {head.size}: the store "
                "was put back to an older day. Restore it, or close this log and begin another one"
            )
        return published.size, edge

    def _finish(self, published: int, head: Head, edge: Edge) -> None:
        if edge.root() != head.root:
            raise StorageError(
                f"the store's records up to the position {head.position} are not those that the log took"
            )
        if self._directory.published() is None or published < head.size:
            self._write(edge)
            self._publish(published, head)
        self._directory.sweep(head.size)

    def _write_full(self, edge: Edge) -> None:
        self._directory.add(edge.take_full())

    def _write(self, edge: Edge) -> None:
        self._directory.add(edge.take_full() | edge.take_partial())

    def _publish(self, before: int, head: Head) -> None:
        checkpoint = Checkpoint(self._signer.key.name, head.size, head.root)
        self._directory.publish(sign_checkpoint(checkpoint, self._signer))
        self._directory.drop_partials(filled(before, head.size))

    async def _work(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _append(edge: Edge, leaves: Sequence[bytes]) -> bytes:
    try:
        for leaf in leaves:
            edge.append(leaf)
    except ValueError as error:
        raise StorageError(f"the store holds a record that no log takes: {error}") from error
    return edge.root()
