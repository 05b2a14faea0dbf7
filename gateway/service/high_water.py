"""The high-water mark: outside the store, how far the store had come; it shows when the store was put back.

Rules
- The mark names the store's identity and its last record. It is written at most a second behind, off the path of calls,
  and whole or not at all: to another name, fsynced, renamed, and the folder fsynced.
- It is only ever written from what is durable in the store, so after any crash the store is at the mark or ahead of it.
- A store behind its mark, another store, or none where there is a mark: quarantine. So is a store that once had a mark
  and has none now. A store from before there were marks gets its first one, and goes on.
- Each gateway writes a mark of its own. A mark that names an identity which the store had before a quarantine is one
  of a gateway that was not there: what was lost then is known.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store.durable import replace
from gateway.store.interface import Store
from gateway.store.quarantine import Quarantine, Standing, StoreMarked

__all__ = ["MARGIN", "HighWater", "Lost", "Mark", "judge", "read_mark", "write_mark"]

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 0.4
"""Between two looks at the store: with a slow disk's fsync it stays below a second."""

MARGIN: Final = timedelta(minutes=1)
"""A record is dated before it is committed, and clocks of two gateways differ: what is lost may be older by so much."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Store and number of its last record. `restored`: it was put back on purpose, and by which backup."""

    store: str
    number: int
    restored: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Why the store must not be trusted to know what was sent. `since`: nothing older is lost; None: nobody knows."""

    cause: str
    mark: int | None
    since: datetime | None


def read_mark(path: Path) -> Mark | None:
    """The mark, or None if there is none. Raises `ConfigurationError` for one that cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Mark(str(found["store"]), int(found["number"]), found.get("restored"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise ConfigurationError(
            f"the high-water mark {path} cannot be read ({type(wrong).__name__}): remove it, and the gateway starts in"
            " quarantine"
        ) from None


def write_mark(path: Path, mark: Mark) -> None:
    """Replace the mark; durable on return. Raises `OSError`."""
    replace(path, json.dumps(asdict(mark)).encode() + b"\n")


def judge(standing: Standing, mark: Mark | None, quarantines: list[Quarantine]) -> Lost | None:
    """What the mark says about the store, or None if it is the one that it should be. Pure."""
    since = None if standing.last_at is None else standing.last_at - MARGIN
    if mark is None:
        why = "the high-water mark is gone, so nobody can say whether the store is the newest"
        return Lost(why, None, since) if standing.marked else None
    if mark.restored is not None:
        return Lost(f"restored from {mark.restored}", mark.number, since if mark.store == standing.identity else None)
    if mark.store == standing.identity:
        if standing.number >= mark.number:
            return None
        return Lost(f"the store ends at record {standing.number}, the mark at {mark.number}", mark.number, since)
    if any(mark.store == one.before for one in quarantines):
        return None
    what = "the store is new" if standing.number == 0 else "the store is another one"
    return Lost(f"{what}, but the mark knows {mark.number} records", mark.number, None)


class HighWater:
    """Keeps the mark at `path` up with `store`."""

    def __init__(self, path: Path, store: Store) -> None:
        self._path = path
        self._store = store
        self._written: Mark | None = None
        self._marked = False
        self._failing = False
        self._stopping = asyncio.Event()

    async def look(self) -> tuple[Standing, Lost | None]:
        """Compare store and mark, before anything is written. Raises `ConfigurationError`, `StorageError`."""
        standing = await self._store.standing()
        mark = await asyncio.to_thread(read_mark, self._path)
        return standing, judge(standing, mark, await self._store.quarantines())

    async def write(self) -> None:
        """Bring the mark up to the store. Raises `ConfigurationError` if it cannot be written, `StorageError`."""
        standing = await self._store.standing()
        mark = Mark(standing.identity, standing.number)
        if mark == self._written:
            return
        try:
            await asyncio.to_thread(write_mark, self._path, mark)
        except OSError as wrong:
            raise ConfigurationError(
                f"the high-water mark {self._path} cannot be written ({wrong.strerror}): without it a store that was"
                " put back is not found out. Give the gateway's user a folder that it may write"
            ) from None
        self._written = mark
        if not (standing.marked or self._marked):
            await self._store.commit([StoreMarked()])
        self._marked = True

    async def run(self, also: Callable[[], Awaitable[None]]) -> None:
        """Write until `stop`, and do `also` each time. Raises `StorageError`."""
        while not self._stopping.is_set():
            try:
                await self.write()
                self._failing = False
            except ConfigurationError as wrong:
                if not self._failing:
                    log.error("%s", wrong)
                self._failing = True
            await also()
            try:
                await asyncio.wait_for(self._stopping.wait(), EVERY_SECONDS)
            except TimeoutError:
                pass

    def stop(self) -> None:
        self._stopping.set()

    async def close(self) -> None:
        """The last word at the end of the process."""
        try:
            await self.write()
        except (ConfigurationError, StorageError) as wrong:
            log.error("the high-water mark is behind: %s", wrong)
